"""The scikit-learn transformers that conf/features names, made and not yet fitted: the escape hatch."""

from __future__ import annotations

import inspect
import re
from typing import Any

from stages.runtime.archive import with_one_job
from stages.runtime.contract import Contract
from stages.shared.errors import InputError, did_you_mean
from stages.shared.features.schema import FeaturesConf
from stages.shared.models.make import make_target, seeded

OWN = ("of", "name")  # keys that are no arguments of the transformer
LEARNS = "learns from the target, and a training row's own would leak into it; encode: [target] leaves its fold out"
SEED = 0  # of one that takes a random_state and was given none: featurize has no seed, its file says all


def transformer_faults(conf: FeaturesConf, contract: Contract) -> list[str]:
    """Return what is wrong with the declared transformers, before any row is read."""
    faults: list[str] = []
    names = [name_of(declared) for declared in conf.transformers]
    for place, declared in enumerate(conf.transformers):
        where = f"transformers[{place}]"
        own = [*_target_faults(declared, names[:place]), *_column_faults(declared.get("of"), contract)]
        faults += [f"{where}{fault}" for fault in own]
        if not own:
            try:
                make(declared, where)
            except InputError as error:
                faults.append(str(error))
    return faults


def name_of(declared: dict[str, Any]) -> Any:
    """Return what the features begin with: `name`, or else the last word of `_target_` in lower case."""
    return declared.get("name", str(declared.get("_target_")).rpartition(".")[2].lower())


def _target_faults(declared: dict[str, Any], taken: list[Any]) -> list[str]:
    if not isinstance(declared.get("_target_"), str):
        return [": no _target_, the class of a transformer"]
    name = name_of(declared)
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.+-]*", name):
        return [f".name: should be letters, digits and _ . + -, a letter first, got {name!r}"]
    return [f".name: {name!r} names an earlier one; give it a name of its own"] if name in taken else []


def _column_faults(of: Any, contract: Contract) -> list[str]:
    if not isinstance(of, list) or not of or len({*map(str, of)}) != len(of):
        return [f".of: should be a list of input columns, each once, got {of!r}"]
    strange = [name for name in of if name not in contract.inputs]
    roles = {name: contract.columns[name].role for name in strange if name in contract.columns}
    return [
        f".of: {name} has role {roles[name]} in {contract.name}"
        if name in roles
        else f".of: no input column {name!r}{did_you_mean(str(name), contract.inputs)}"
        for name in strange
    ]


def make(declared: dict[str, Any], where: str) -> Any:
    """Return the transformer, not fitted. Raises InputError for what is none, and for one that reads the target."""
    found = make_target({key: value for key, value in declared.items() if key not in OWN}, where)
    target = declared["_target_"]
    absent = [name for name in ("fit", "transform", "get_params") if not hasattr(found, name)]
    if absent or isinstance(found, type):
        what = "a class, not made" if isinstance(found, type) else f"it has no {' and no '.join(absent)}"
        raise InputError(f"{where}: {target} is not a transformer: {what}")
    if _needs_target(found):
        raise InputError(f"{where}: {target} {LEARNS}")
    return with_one_job(seeded(_with_tuples(found), SEED))


def _needs_target(estimator: Any) -> bool:
    given = inspect.signature(estimator.fit).parameters.get("y")
    if given is not None and given.default is inspect.Parameter.empty:
        return True
    return hasattr(estimator, "__sklearn_tags__") and bool(estimator.__sklearn_tags__().target_tags.required)


def _with_tuples(estimator: Any) -> Any:
    """Return the transformer with lists as tuples where its own default is one: YAML has no tuple."""
    known = inspect.signature(type(estimator).__init__).parameters
    lists = {name: value for name, value in estimator.get_params(deep=False).items() if isinstance(value, list)}
    names = [name for name in lists if name in known and isinstance(known[name].default, tuple)]
    return estimator.set_params(**{name: tuple(lists[name]) for name in names})
