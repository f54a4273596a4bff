"""Features by scikit-learn transformers: fitted, tried, applied and stored.

Fitted on training rows in the source's order, without the target, on one thread. What a transformer makes of a row must
hang on no other row, and be finite or, where an input is missing, missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.operation import Feature, columns_of
from stages.runtime.plan import stored, table_sql
from stages.runtime.transformer import FILE, Transformer, first_line, one_thread, transformed
from stages.shared.errors import InputError
from stages.shared.features.schema import FeaturesConf
from stages.shared.features.transformers import LEARNS, make, name_of
from stages.shared.files import write_json
from stages.shared.models.archive import skops_bytes
from stages.shared.progress import Progress

if TYPE_CHECKING:
    import duckdb
    import numpy as np

MOST = 4096  # features of one transformer
SAMPLE = 64  # training rows that are asked together and alone
SAME = 1e-6  # of an output's largest number: what rounding may differ
BLOCK = 65_536  # rows asked together
# What they make of a value is the same bits whatever stands beside it; any other transformer is asked row by row.
BY_VALUE = ("Binarizer", "KBinsDiscretizer", "MaxAbsScaler", "MinMaxScaler", "OneHotEncoder", "OrdinalEncoder",
            "QuantileTransformer", "RobustScaler", "SimpleImputer", "StandardScaler")  # fmt: skip


@dataclass(frozen=True)
class Fitted:
    """A fitted transformer as it is stored, and the features that it gives."""

    meta: dict[str, Any]
    archive: bytes
    features: list[Feature]


@dataclass(frozen=True)
class Table:
    """What a transformer reads of all rows, in the source's order."""

    inputs: list[Feature]
    rows: np.ndarray[Any, Any]  # (n_rows,), the record's number in the source
    is_train: np.ndarray[Any, Any]  # (n_rows,)
    X: np.ndarray[Any, Any]  # (n_rows, n_inputs), NaN for missing


def add_transformed(
    connection: duckdb.DuckDBPyConnection, conf: FeaturesConf, candidates: list[Feature], where: str
) -> list[Fitted]:
    """Return the transformers, fitted on the training rows of `folded`, which gains the columns of their outputs.

    `candidates` are the plan's features, some of which they read. Raises InputError, naming the file `where`.
    """
    import numpy as np

    found: list[Fitted] = []
    outputs: dict[str, np.ndarray[Any, Any]] = {}
    for place, declared in enumerate(conf.transformers):
        what = f"{where}: transformers[{place}]"
        table = _read(connection, _inputs(declared["of"], candidates, what))
        one, values = _fitted(declared, f"_transformed_{place}", table, what)
        _check_names(one.features, [*candidates, *(feature for each in found for feature in each.features)], what)
        found.append(one)
        columns = map(np.ascontiguousarray, values.T)
        outputs |= {"_row": table.rows, **dict(zip(one.meta["outputs"], columns, strict=True))}
    columns_sql = ", ".join(f"nullif({name}, 'nan'::DOUBLE) AS {name}" for name in outputs if name != "_row")
    connection.execute(f"CREATE TABLE transformed AS SELECT _row, {columns_sql} FROM outputs")
    connection.execute("ALTER VIEW folded RENAME TO plain")
    connection.execute("CREATE VIEW folded AS SELECT * FROM plain JOIN transformed USING (_row)")
    return found


def store_transformers(folder: Path, transformers: list[Fitted], features: list[Feature]) -> None:
    """Write the transformers of which any output is among the features that are left, for runtime/transformer.py."""
    left = {feature["output"] for feature in features if "output" in feature}
    used = [each for each in transformers if not left.isdisjoint(each.meta["outputs"])]
    if used:
        write_json(folder / FILE, [each.meta for each in used])
    for each in used:
        (folder / each.meta["file"]).write_bytes(each.archive)


def _inputs(of: list[str], candidates: list[Feature], what: str) -> list[Feature]:
    """Return the plan's features of each column, in the order of `of`; those of two columns are neither's."""
    made = {name: [feature for feature in candidates if columns_of(feature) == [name]] for name in of}
    idle = [name for name in of if not made[name]]
    if idle:
        raise InputError(f"{what}.of: no feature is made of {', '.join(idle)}, and a transformer reads features")
    return [feature for name in of for feature in made[name]]


def _read(connection: duckdb.DuckDBPyConnection, inputs: list[Feature]) -> Table:
    import numpy as np

    query = table_sql(inputs, "folded", "t._row, t._split = 'train' AS _train")
    fetched = connection.execute(f"{query} ORDER BY t._row").fetchnumpy()
    columns = [np.ma.filled(fetched[feature["name"]].astype(float), np.nan) for feature in inputs]
    return Table(inputs, fetched["_row"], fetched["_train"].astype(bool), np.column_stack(columns))


def _check_names(features: list[Feature], others: list[Feature], what: str) -> None:
    taken = {feature["name"].lower() for feature in others}
    clash = [feature["name"] for feature in features if feature["name"].lower() in taken]
    if clash:
        raise InputError(f"{what}.name: there is a feature {clash[0]} already; give it another name")


def _fitted(declared: dict[str, Any], prefix: str, table: Table, where: str) -> tuple[Fitted, np.ndarray[Any, Any]]:
    """Return a transformer fitted on training rows, and what it makes of all rows, shape (n_rows, n_outputs)."""
    import numpy as np

    estimator = make(declared, where)
    what = f"{where}: {type(estimator).__name__}"
    train = table.X[table.is_train]
    _fit(estimator, train, table, what)
    n_outputs, is_equal = _tried(estimator, train, what)
    takes_missing = bool(np.isnan(train).any()) or _takes_missing(estimator, train.shape[1])
    if not takes_missing:
        _refuse_missing(table, what)
    meta = {
        "name": name_of(declared),
        "file": f"{prefix.lstrip('_')}.skops",
        "columns": declared["of"],
        "inputs": stored(table.inputs),
        "outputs": [f"{prefix}_{number}" for number in range(n_outputs)],
        "takes_missing": takes_missing,
    }
    archive = _archive(estimator, where)
    kept = Transformer(meta, archive).estimator
    values = _apply(kept, table, n_outputs, BLOCK if is_equal and _is_by_value(kept) else 1, what)
    _check_finite(values, table, what)
    features = [
        {"name": f"{meta['name']}_{number}", "op": "transformed", "output": output, "columns": declared["of"]}
        for number, output in enumerate(meta["outputs"])
    ]
    return Fitted(meta, archive, features), values


def _fit(estimator: Any, train: np.ndarray[Any, Any], table: Table, what: str) -> None:
    import numpy as np

    try:
        with one_thread():
            estimator.fit(train)
    except Exception as error:  # a class that we know nothing of, and what it was told
        if "NaN" in str(error) and np.isnan(train).any():
            _refuse_missing(table, what)
        if "requires y" in str(error) or "argument: 'y'" in str(error):  # a step of a pipeline, or a class without tags
            raise InputError(f"{what} {LEARNS}") from error
        raise InputError(f"{what} cannot be fitted: {first_line(error)}") from error


def _takes_missing(estimator: Any, n_inputs: int) -> bool:
    import numpy as np

    try:
        transformed(estimator, np.full((1, n_inputs), np.nan))
    except (ValueError, TypeError):
        return False
    return True


def _refuse_missing(table: Table, what: str) -> None:
    """Raise InputError where a value is missing, for a transformer that takes none."""
    import numpy as np

    missing = np.isnan(table.X).sum(axis=0).tolist()
    of = {columns_of(feature)[0]: n for feature, n in zip(table.inputs, missing, strict=True) if n}
    if of:
        counts = ", ".join(f"{name} lacks them in {n} of {len(table.X)} rows" for name, n in of.items())
        advice = "name sklearn.pipeline.make_pipeline, with sklearn.impute.SimpleImputer before it"
        raise InputError(f"{what} takes no missing values, and {counts}; {advice}")


def _tried(estimator: Any, train: np.ndarray[Any, Any], what: str) -> tuple[int, bool]:
    """Return the number of outputs, and whether some rows have the same bits together and alone.

    Raises InputError where they differ by more than rounding: such an answer would not be a request's.
    """
    import numpy as np

    some = train[np.unique(np.linspace(0, len(train) - 1, SAMPLE).round().astype(int))]
    try:
        together = transformed(estimator, some)
        alone = [transformed(estimator, row[None]) for row in some]
    except Exception as error:
        raise InputError(f"{what}: {first_line(error)}") from error
    if together.ndim != 2 or len(together) != len(some) or not 0 < together.shape[1] <= MOST:
        shape = " x ".join(map(str, together.shape))
        raise InputError(f"{what}: should give 1 to {MOST} numbers a row, gives {shape} of {len(some)} rows")
    is_table = all(row.shape == (1, together.shape[1]) for row in alone)
    single = np.concatenate(alone) if is_table else np.full_like(together, np.nan)
    scale = np.abs(np.where(np.isfinite(together), together, 0.0)).max(axis=0)
    if not is_table or not np.isclose(single, together, rtol=0.0, atol=SAME * scale, equal_nan=True).all():
        raise InputError(f"{what} makes of a row alone not what it makes of it among others, and requests come alone")
    return together.shape[1], single.tobytes() == together.tobytes()


def _archive(estimator: Any, where: str) -> bytes:
    try:
        return skops_bytes(estimator)
    except InputError as error:
        raise InputError(f"{where}: {error.what}", error.faults) from None


def _is_by_value(estimator: Any) -> bool:
    steps = [step for _, step in estimator.steps] if type(estimator).__name__ == "Pipeline" else [estimator]
    kinds = [type(step) for step in steps]
    return all(kind.__name__ in BY_VALUE and kind.__module__.startswith("sklearn.") for kind in kinds)


def _apply(estimator: Any, table: Table, n_outputs: int, block: int, what: str) -> np.ndarray[Any, Any]:
    """Return what the transformer makes of all rows, asked `block` at once: 1 gives a request's own bits."""
    import numpy as np

    values = np.empty((len(table.X), n_outputs))
    progress = Progress("featurize", "rows transformed", len(values))
    for start in range(0, len(values), block):
        try:
            values[start : start + block] = transformed(estimator, table.X[start : start + block].copy())
        except ValueError as error:
            near = f"row {table.rows[start]}" if block == 1 else "some rows"
            raise InputError(f"{what} refuses {near}: {first_line(error)}") from error
        progress.update(start + block)
    progress.close()
    return values


def _check_finite(values: np.ndarray[Any, Any], table: Table, what: str) -> None:
    """Raise InputError for an infinite number, and for a missing one where no input is missing."""
    import numpy as np

    is_missing = np.isnan(values) & np.isnan(table.X).any(axis=1, keepdims=True)
    for place, output in np.argwhere(~np.isfinite(values) & ~is_missing)[:1].tolist():
        given = zip(table.inputs, table.X[place].tolist(), strict=True)
        inputs = ", ".join(f"{feature['name']} is {value:.6g}" for feature, value in given)
        raise InputError(f"{what} gives {values[place, output]} in row {table.rows[place]}, where {inputs}")
