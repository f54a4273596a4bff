"""Rows that models find hard: each kind gives a result, or one clear line, never a traceback."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from test_models import FEATURES, KINDS, TASKS, declared, rows

from stages.shared.errors import InputError
from stages.shared.models.calibrate import choose_calibration
from stages.shared.models.declared import ModelConf
from stages.shared.models.fit import Fitted, Recipe, fit_declared
from stages.shared.models.threshold import choose_threshold, cuts
from stages.shared.rows import Rows


def column(place: int, value: float) -> Callable[[Rows], None]:
    return lambda given: given.X.__setitem__((slice(None), place), value)


def two_of_a_class(given: Rows) -> None:
    given.y[:] = 0
    given.y[[3, 17]] = 1


HARD: dict[str, Callable[[Rows], None]] = {
    "a column all missing": column(0, np.nan),
    "a category all missing": column(2, np.nan),
    "a constant column": column(1, 4.0),
    "a class with two rows": two_of_a_class,
    "infinities": lambda given: given.X.__setitem__((slice(0, 40, 2), 1), np.inf),
    "huge numbers": lambda given: given.X.__setitem__((slice(0, 40, 2), 1), 1e300),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", HARD)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's and scikit-learn's on their way to the answer
@pytest.mark.filterwarnings("ignore::UserWarning")  # likewise
def test_hard_rows_give_a_result_or_one_line(kind: str, case: str) -> None:
    if kind == "xgboost":
        pytest.importorskip("xgboost")
    train, validation = rows("binary", 200, 1), rows("binary", 100, 2)
    HARD[case](train)
    stop = None if kind in ("forest", "linear") else 5
    fitted = fit_or_line(declared(kind, "binary", early_stopping=stop), train, validation)
    if isinstance(fitted, str):
        assert fitted.startswith("c: ")
        assert "\n" not in fitted
        assert kind != "lightgbm"
        return
    scores = fitted.score(TASKS["binary"], validation.X)
    assert np.isfinite(scores).all()
    calibration, _ = choose_calibration("auto", "binary", validation, scores, 1, "c")
    assert calibration is None or calibration["method"]
    assert choose_threshold("f1", cuts(validation.y, scores[:, 0]), "c") >= 0


def fit_or_line(conf: ModelConf, train: Rows, validation: Rows) -> Fitted | str:
    try:
        return fit_declared(Recipe(conf, "c", 1, TASKS["binary"], FEATURES), train, validation)
    except InputError as error:
        return str(error)


def test_what_histogram_boosting_cannot_take_is_named_with_the_way_out() -> None:
    train = rows("binary", 200, 1)
    train.X[:, [0, 3]] = np.nan
    with pytest.raises(
        InputError, match=r"no feature without a value in the training rows: a, a2; drop_constant: true"
    ):
        fit_declared(Recipe(declared("sklearn", "binary"), "c", 1, TASKS["binary"], FEATURES), train, train)


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_among_the_validation_rows_leaves_a_threshold_and_no_calibration(only: int) -> None:
    y, score = np.full(50, only), np.linspace(0.1, 0.9, 50)
    given = Rows(np.zeros((50, 1)), y, y, None, None)
    assert choose_calibration("auto", "binary", given, score[:, None], 1, "c")[0] is None
    assert choose_threshold("f1", cuts(y, score), "c") == (0.5 if only == 0 else 0.1)
