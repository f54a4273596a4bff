"""Fits the feature plan on the training rows and applies it to all of them.

data/prepare -> data/featurize/plan.json, features.parquet; reports/featurize/summary.json.
By hand: python -m stages.featurize features=standard

Nothing but training rows is looked at while fitting; the plan is plain data that a packaged model evaluates by itself.
A training row gets what the plan would give it had its fold not been seen, where the target is looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier
from stages.runtime.plan import Feature, stored, table_sql
from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.features.crossfit import bucket_sql, fold_sql
from stages.shared.features.fitting import check, fit
from stages.shared.features.pruning import find_useless
from stages.shared.features.schema import FeaturesConf
from stages.shared.files import read_json, replacing, write_json
from stages.shared.progress import Progress
from stages.shared.tables import connect, copy_to_parquet, parquet, plan_quickly

if TYPE_CHECKING:
    import duckdb

SOURCE, DATA, REPORTS = Path("data/prepare"), Path("data/featurize"), Path("reports/featurize")


def main() -> None:
    """Fit on the training rows, transform all, write."""
    conf, choice, _ = compose("features", FeaturesConf)
    contract = Contract.from_json(read_json(SOURCE / "contract.json"))
    wanted = check(conf, contract, f"conf/features/{choice}.yaml")
    connection = connect()
    connection.execute(f"CREATE VIEW kept AS SELECT * FROM {parquet(SOURCE / 'kept.parquet')}")
    connection.execute("CREATE VIEW train AS SELECT * FROM kept WHERE _split = 'train'")
    progress = Progress("featurize", "steps", 3)
    candidates = fit(connection, contract, conf, wanted)
    progress.update(1, f": {len(candidates)} features fitted")
    folds = f"{bucket_sql(contract)} AS _bucket, {fold_sql(contract)} AS _fold"
    connection.execute(f"CREATE VIEW folded AS SELECT *, {folds} FROM kept")
    features, dropped = prune(connection, conf, candidates)
    plan_quickly(connection, len(features))
    progress.update(2, f": {len(features)} features chosen")
    with replacing(DATA, REPORTS) as (data, reports):
        query = f"{table_sql(features, 'folded', carried(contract, read_json(SOURCE / 'split.json')))} ORDER BY t._row"
        n_rows = copy_to_parquet(connection, query, data / "features.parquet")
        progress.close()
        write_json(data / "plan.json", stored(features))
        write_json(reports / "summary.json", {"features": len(features), **dropped})
    print(
        f"featurize: {DATA}/features.parquet  {n_rows} rows x {len(features)} features, "
        f"{len(dropped['dropped_constant'])} constant dropped"
    )


def carried(contract: Contract, split: dict[str, Any]) -> str:
    """Return the SELECT list of what travels beside the features: row, side, target, group and weight if any, and what
    cross-validation needs: the bucket and, by time, the moment in seconds since 1970."""
    names = [("_target", contract.target)]
    names += [(f"_{role}", name) for role in ("group", "weight") for name in contract.with_role(role)]
    columns = ["t._row", "t._split", "t._bucket", *(f"t.{identifier(name)} AS {alias}" for alias, name in names)]
    if split["by"] == "time":
        [time] = contract.with_role("time")
        columns.append(f"epoch_us(t.{identifier(time)}::TIMESTAMP) / 1e6::DOUBLE AS _time")
    return ", ".join(columns)


def prune(
    connection: duckdb.DuckDBPyConnection, conf: FeaturesConf, candidates: list[Feature]
) -> tuple[list[Feature], dict[str, Any]]:
    """Return the features that say something, and which do not. Raises InputError where none is left."""
    if not candidates:
        raise InputError("no feature is left: no input column becomes one (conf/features, roles in conf/data)")
    connection.execute("CREATE VIEW folded_train AS SELECT * FROM folded WHERE _split = 'train'")
    useless = find_useless(connection, candidates, "folded_train")
    if conf.drop_constant and len(useless.constant) == len(candidates):
        raise InputError(
            "no feature is left: all have one value in the training rows "
            f"(levels with fewer than {conf.categories.min_rows} rows share one, categories.min_rows)",
            useless.constant,
        )
    constant = useless.constant if conf.drop_constant else []
    duplicate = useless.duplicate if conf.drop_duplicate else {}
    features = [feature for feature in candidates if feature["name"] not in {*constant, *duplicate}]
    return features, {"dropped_constant": constant, "dropped_duplicate": duplicate}


if __name__ == "__main__":
    run("featurize", main)
