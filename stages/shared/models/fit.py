"""Fits one declared model on given rows: what train, tuning and cross-validation share."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages.runtime.dense import Dense, expand_matrix, narrow_matrix
from stages.runtime.plan import Feature
from stages.shared.errors import InputError
from stages.shared.models import stopping
from stages.shared.models.constraints import monotone_arguments, row_weights
from stages.shared.models.declared import ModelConf, NotOffered, member_conf
from stages.shared.models.dense import fit_dense
from stages.shared.models.make import accepts, make_estimator
from stages.shared.models.objective import objective_arguments
from stages.shared.models.store import kind_of
from stages.shared.progress import say
from stages.shared.rows import Rows

if TYPE_CHECKING:
    import numpy as np

# Their sums over threads depend on the number of threads: fitted on one.
ONE_THREAD = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


@dataclass(frozen=True)
class Task:
    """What is predicted."""

    kind: str  # binary, multiclass, regression
    classes: list[str]  # none for a number


@dataclass(frozen=True)
class Recipe:
    """A declaration, and what is fitted by it."""

    conf: ModelConf
    where: str  # the file it stands in, for messages
    seed: int
    task: Task
    features: list[Feature]

    def with_conf(self, conf: ModelConf) -> Recipe:
        """Return the recipe with another declaration from the same file."""
        return dataclasses.replace(self, conf=conf)

    def member(self, name: str) -> Recipe:
        """Return the recipe of one member of an ensemble."""
        return dataclasses.replace(self, conf=member_conf(self.conf, name), where=f"{self.where}: members.{name}")


@dataclass(frozen=True)
class Fitted:
    """An estimator and what its inputs go through."""

    estimator: Any
    dense: Dense | None
    centre: list[float] | None  # linear: the mean of each of its columns over the training rows

    @property
    def meta(self) -> dict[str, Any]:
        """Return what model.json says of it."""
        return {"dense": self.dense} | ({"centre": self.centre} if self.centre is not None else {})

    def score(self, task: Task, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the library's scores, shape (n_rows, n_outputs): what `Model` gives, up to the last bits."""
        import numpy as np

        X = encoded(self.estimator, self.dense, X)
        if hasattr(self.estimator, "booster_"):  # its own wrapper warns of names that no array has
            return np.asarray(self.estimator.booster_.predict(X)).reshape(len(X), -1)
        if task.kind == "regression":
            return np.asarray(self.estimator.predict(X), dtype=float).reshape(-1, 1)
        scores = np.asarray(self.estimator.predict_proba(X), dtype=float)
        return scores[:, 1:] if task.kind == "binary" else scores


def fit_declared(recipe: Recipe, train: Rows, validation: Rows | None) -> Fitted:
    """Return the declared model fitted on `train`; `validation` stops it early where that is declared.

    Without validation rows all the trees or epochs that are declared are fitted.

    Raises InputError, naming the file, for what the estimator refuses.
    """
    conf, where, task, features = recipe.conf, recipe.where, recipe.task, recipe.features
    estimator = make_declared(recipe)
    check_weights(conf, estimator, where)
    check_empty(estimator, features, train, where)
    dense = fit_dense(features, train.X) if conf.inputs == "dense" else None

    def given(rows: Rows) -> Rows:
        weight = row_weights(rows, conf.class_weight, task.classes, where)
        return dataclasses.replace(rows, X=encoded(estimator, dense, rows.X), weight=weight)

    own, stop = given(train), None if validation is None else given(validation)
    n_rows, n_columns = own.X.shape
    say(f"train: fitting {type(estimator).__name__} on {n_rows} rows x {n_columns} columns")
    try:
        with one_order_of_sums(estimator):
            stopping.fit(conf, where, estimator, task.kind, features, own, stop)
    except Exception as error:
        if not isinstance(error, ValueError | TypeError) and type(error).__name__ not in (
            "LightGBMError",
            "XGBoostError",
        ):
            raise
        raise InputError(f"{where}: {str(error).splitlines()[0]}") from error
    centre = own.X.mean(axis=0).tolist() if kind_of(estimator) == "linear" else None
    return Fitted(estimator, dense, centre)


def refit(recipe: Recipe, rows: Rows, fitted: Fitted) -> Fitted:
    """Return the declared model fitted on `rows`, with as many trees or epochs as `fitted` stopped at."""
    found = steps(fitted.estimator)
    if found is not None:
        conf, (names, count) = recipe.conf, found
        rest = [{key: value for key, value in part.items() if key not in names}
                for part in (conf.estimator, conf.classifier, conf.regressor)]  # fmt: skip
        first = {**rest[0], names[0]: count}
        conf = dataclasses.replace(conf, estimator=first, classifier=rest[1], regressor=rest[2])
        recipe = recipe.with_conf(conf)
    return fit_declared(recipe, rows, None)


def n_trees(estimator: Any) -> int | None:
    """Return the number of trees where they are not the declared ones: boosting stops early."""
    is_boosted = hasattr(estimator, "booster_") or getattr(estimator, "early_stopping_rounds", None)
    found = steps(estimator) if is_boosted else None
    return None if found is None else found[1]


def steps(estimator: Any) -> tuple[list[str], int] | None:
    """Return what the number of trees or epochs is called, and where it stopped; None where nothing stops early."""
    if hasattr(estimator, "booster_"):
        from lightgbm.basic import _ConfigAliases

        names = sorted(_ConfigAliases.get("num_iterations"), key=lambda name: name != "n_estimators")
        return names, int(estimator.booster_.best_iteration or estimator.booster_.current_iteration())
    if getattr(estimator, "early_stopping_rounds", None):
        return ["n_estimators"], int(estimator.best_iteration) + 1
    if type(estimator).__name__.startswith("HistGradientBoosting"):
        return ["max_iter"], max(1, int(estimator.n_iter_))
    best = getattr(estimator, "best_epoch_", None)
    return None if best is None else (["max_iter"], int(best))


def encoded(estimator: Any, dense: Dense | None, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return what the estimator is given, as `Model` does: dense columns, or features, huge ones to LightGBM only."""
    if dense is not None:
        return expand_matrix(dense, X)
    return X if type(estimator).__module__.startswith("lightgbm.") else narrow_matrix(X)


def make_declared(recipe: Recipe) -> Any:
    """Return the estimator, not fitted, with its objective and its monotone constraints."""
    conf, where, task = recipe.conf, recipe.where, recipe.task
    arguments = conf.estimator | (conf.regressor if task.kind == "regression" else conf.classifier)
    if task.kind == "regression":
        arguments = arguments | objective_arguments(conf, str(arguments.get("_target_")), where)
    estimator = make_estimator(arguments, recipe.seed, where, task.kind)
    return estimator.set_params(**monotone_arguments(conf, estimator, recipe.features, task.kind, where))


def check_weights(conf: ModelConf, estimator: Any, where: str) -> None:
    """Raise NotOffered where class weights are declared for an estimator whose `fit` takes none."""
    if conf.class_weight is not None and not accepts(estimator.fit, "sample_weight"):
        raise NotOffered(f"{where}: class_weight: {type(estimator).__name__} takes no weights")


def check_empty(estimator: Any, features: list[Feature], train: Rows, where: str) -> None:
    """Raise InputError for features without a value in HistGradientBoosting, which scikit-learn 1.9 fails on."""
    if not type(estimator).__name__.startswith("HistGradientBoosting"):
        return
    import numpy as np

    empty = [feature["name"] for feature, values in zip(features, train.X.T, strict=True) if np.isnan(values).all()]
    if empty:
        what = f"{where}: {type(estimator).__name__} takes no feature without a value in the training rows: "
        raise InputError(f"{what}{', '.join(empty)}; drop_constant: true in conf/features/ leaves them out")


def one_order_of_sums(estimator: Any) -> Any:
    """Return the context in which sums do not depend on the number of cores: linear algebra on one thread."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, None if type(estimator).__name__ in ONE_THREAD else "blas")
