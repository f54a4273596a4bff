"""Cross-validation: whole groups on one side, no future in the fit, rare classes without a traceback."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.shared.errors import InputError
from stages.shared.models.crossvalidate import cross_validate, make_folds
from stages.shared.models.declared import ModelConf
from stages.shared.models.fit import Recipe, Task
from stages.shared.rows import Rows, together

DAY = 86_400.0
FEATURES = [{"name": "size", "op": "number", "column": "size"}]
LINEAR = ModelConf(inputs="dense", estimator={"_target_": "sklearn.linear_model.LogisticRegression"})


def rows(n: int, y: Any = None, time: Any = None) -> Rows:
    X = np.arange(n, dtype=float)[:, None]
    y = np.arange(n) % 2 if y is None else np.array(y)
    return Rows(X, y, np.arange(n), None, None, (np.arange(n) // 3 * 5) % 8, time)


@pytest.mark.parametrize("n_folds", [2, 4, 8])
def test_buckets_stay_whole_and_every_row_is_held_once(n_folds: int) -> None:
    given = rows(96)
    folds = make_folds(given, n_folds)
    assert len(folds) == n_folds
    assert sorted(np.concatenate([fold.held for fold in folds])) == list(range(96))
    for fold in folds:
        assert sorted([*fold.fitted, *fold.held]) == list(range(96))
        assert not set(given.bucket[fold.fitted]) & set(given.bucket[fold.held])  # type: ignore[index]


def test_by_time_every_fit_lies_before_what_it_scores() -> None:
    time = np.random.default_rng(3).permutation(np.repeat(np.arange(50), 2)) * DAY
    folds = make_folds(rows(100, time=time), 4)
    assert [len(fold.held) for fold in folds] == [20, 20, 20, 20]
    for fold in folds:
        assert time[fold.fitted].max() < time[fold.held].min()
    held = np.concatenate([fold.held for fold in folds])
    assert len(set(held)) == 80
    assert time[held].min() == 10 * DAY


def test_a_gap_keeps_the_days_before_out() -> None:
    time = np.arange(100) * DAY
    [first, *_] = make_folds(rows(100, time=time), 4, gap_days=7)
    assert time[first.held].min() == 20 * DAY
    assert time[first.fitted].max() == 12 * DAY  # 13 to 19 are the seven days before


def test_rows_of_one_moment_give_one_clear_line() -> None:
    with pytest.raises(InputError, match="cross-validation: 10 rows give no fold with rows on both sides"):
        make_folds(rows(10, time=np.zeros(10)), 4)


def test_a_class_that_a_fold_lacks_gets_no_probability_there() -> None:
    given = rows(96, y=[2 if place == 0 else place % 2 for place in range(96)])
    task = Task("multiclass", ["a", "b", "rare"])
    found = list(cross_validate(Recipe(LINEAR, "conf/model/x.yaml", 7, task, FEATURES), given, make_folds(given, 4)))
    of_first = next(scored for scored in found if 0 in scored.held)
    assert of_first.scores.shape == (len(of_first.held), 3)
    assert (of_first.scores[:, 2] == 0).all()
    assert of_first.scores.sum(axis=1) == pytest.approx(1)
    others = [scored for scored in found if 0 not in scored.held]
    assert all((scored.scores[:, 2] > 0).all() for scored in others)


def test_scores_are_of_a_fit_that_did_not_see_the_row() -> None:
    given = rows(96)
    task = Task("binary", ["a", "b"])
    folds = make_folds(given, 4)
    before = [scored.scores for scored in cross_validate(Recipe(LINEAR, "x", 7, task, FEATURES), given, folds)]
    y = given.y.copy()
    y[folds[0].held] = 1 - y[folds[0].held]
    other = Rows(given.X, y, given.number, None, None, given.bucket)
    after = [scored.scores for scored in cross_validate(Recipe(LINEAR, "x", 7, task, FEATURES), other, folds)]
    assert (before[0] == after[0]).all()
    assert (before[1] != after[1]).any()


def test_rows_of_two_sides_join_in_order() -> None:
    first, second = rows(3), rows(2)
    joined = together(first, second)
    assert joined.number.tolist() == [0, 1, 2, 0, 1]
    assert joined.X.shape == (5, 1)
    assert joined.weight is None
    assert joined.bucket is not None
    assert len(joined.bucket) == 5
