"""The same record has the same answer, bit for bit, however it is asked: alone, in a list, in a DataFrame, as text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from demo import NAMES, demo_contract, demo_predictor, records_of
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.runtime import api
from stages.runtime.errors import BrokenContract
from stages.runtime.forms import text_of
from stages.runtime.frames import records_of as records_in
from stages.runtime.predictor import Predictor
from stages.runtime.shapes import ask, one_record
from stages.shared.records import json_value

FAST = settings(max_examples=8, derandomize=True, database=None, deadline=None)
BASE = {"vehicle_model_id": "12", "travel_type_id": "2", "from_date": "2013-10-02 02:24:00", "online_booking": True,
        "mobile_site_booking": False, "booking_created": "2013-10-01 00:33:00"}  # fmt: skip


@pytest.fixture(scope="module", params=NAMES)
def predictor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return demo_predictor(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def rides(tmp_path: Path) -> Predictor:
    return demo_predictor("rides", tmp_path)


def fits(predictor: Predictor, record: dict[str, Any]) -> bool:
    """Return whether a record keeps the rules over several columns too."""
    return not predictor._check(record)[1]


def other_forms(record: dict[str, Any], predictor: Predictor) -> dict[str, dict[str, Any]]:
    """Return the same record written otherwise."""
    columns = predictor.contract.columns
    sent = {name: json_value(value, columns[name]) for name, value in record.items()}
    whole = {name: isinstance(value, int) and not isinstance(value, bool) for name, value in sent.items()}
    return {
        "json": json.loads(json.dumps(sent)),
        "reversed": dict(reversed(sent.items())),
        "present": {name: value for name, value in sent.items() if value is not None},
        "empty": {name: "" if value is None else value for name, value in sent.items()},
        "NaN": {name: math.nan if value is None else value for name, value in sent.items()},
        "NaT": {name: pd.NaT if value is None else value for name, value in sent.items()},
        "NA": {name: pd.NA if value is None else value for name, value in sent.items()},
        "texts": {name: text_of(columns[name], value) for name, value in sent.items()},
        "spaced": {name: f" {value}\t" if isinstance(value, str) else value for name, value in sent.items()},
        "floats": {name: float(value) if whole[name] else value for name, value in sent.items()},
        "ints": {name: int(v) if isinstance(v, float) and v.is_integer() and abs(v) < 1e15 else v
                 for name, v in sent.items()},
        "numbers for levels": {name: int(v) if isinstance(v, str) and v.isascii() and v.isdigit() and str(int(v)) == v
                               and columns[name].type == "category" else v for name, v in sent.items()},
        "NumPy scalars": {name: np.array([value])[0] if isinstance(value, bool | int | float | str) else value
                          for name, value in sent.items()},
        "more columns": {**sent, predictor.contract.target: "any"},
    }  # fmt: skip


def test_a_record_has_one_answer_however_it_is_written_and_asked(predictor: Predictor) -> None:
    @FAST
    @given(st.lists(records_of(predictor.contract), min_size=3, max_size=3))
    def check(records: list[dict[str, Any]]) -> None:
        records = [record for record in records if fits(predictor, record)]
        right = [repr(predictor.predict(record)) for record in records]
        for record, answer in zip(records, right, strict=True):
            for form, other in other_forms(record, predictor).items():
                assert repr(predictor.predict(other)) == answer, form
                assert repr(ask(predictor, [records[0], MappingProxyType(other)], "predict")[1]) == answer, form
                assert repr(ask(predictor, pd.Series(other, dtype=object), "predict")) == answer, form
        for frame in frames(records):
            found = ask(predictor, frame, "predict")
            assert [repr(row) for row in answers_of(found, predictor)] == right
            assert found.index.equals(frame.index)

    check()


def frames(records: list[dict[str, Any]]) -> list[pd.DataFrame]:
    """Return records as DataFrames: as pandas makes them (a column with a gap turns to float), and other types."""
    if not records:
        return []
    made = pd.DataFrame(records, index=[f"row {i}" for i in range(len(records))])
    return [made, made[made.columns[::-1]], made.convert_dtypes(), made.astype(object), made.astype("category")]


def answers_of(frame: pd.DataFrame, predictor: Predictor) -> list[dict[str, Any]]:
    """Return a DataFrame of answers as `predict` of a list gives them."""
    rows = []
    for row in frame.to_dict("records"):
        answer: dict[str, Any] = {"prediction": row.pop("prediction")}
        if row:
            answer["probabilities"] = {name.removeprefix("probability_"): p for name, p in row.items()}
        rows.append(answer)
    return rows


def test_a_whole_number_that_a_gap_made_a_float_is_the_same_level(rides: Predictor) -> None:
    frame = pd.DataFrame([{**BASE, "from_area_id": 7, "package_id": 3}, BASE])
    assert frame["package_id"].dtype == frame["from_area_id"].dtype == np.float64
    values = [rides._check(record)[0] for record in records_in(frame, "pandas")]
    assert [(row["from_area_id"], row["package_id"]) for row in values] == [("7", "3"), (None, None)]
    found = ask(rides, frame, "predict_proba")
    alone = rides.predict({**BASE, "from_area_id": "7", "package_id": "3"})["probabilities"]
    assert [found.iloc[0].to_dict(), found.iloc[1].to_dict()] == [alone, rides.predict(BASE)["probabilities"]]


def test_float32_is_read_by_its_own_digits() -> None:
    narrow = pd.DataFrame({"a": np.array([12.95, np.nan], dtype="float32")})
    first, second = records_in(narrow, "pandas")
    assert first == {"a": 12.95}
    assert math.isnan(second["a"])


def test_moments_of_pandas_and_numpy_are_moments(rides: Predictor) -> None:
    right = rides.predict(BASE)
    for make in (pd.Timestamp, np.datetime64, lambda text: np.datetime64(text, "ns")):
        assert rides.predict({**BASE, "from_date": make(BASE["from_date"])}) == right
    frame = pd.DataFrame([BASE]).astype({"from_date": "datetime64[ns]", "booking_created": "datetime64[ms]"})
    assert answers_of(ask(rides, frame, "predict"), rides) == [right]


def test_a_frame_without_rows_gives_one_without_rows(predictor: Predictor) -> None:
    found = ask(predictor, pd.DataFrame({name: [] for name in predictor.contract.inputs}), "predict")
    expected = ["prediction", *(f"probability_{name}" for name in predictor.contract.classes)]
    assert (list(found.columns), len(found)) == (expected, 0)
    assert ask(predictor, [], "predict") == []


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("a text", "predict takes a record {column: value}, a list of records, or a DataFrame of .*, got str"),
        (5, "predict takes a record .* got int"),
        ([["a"]], "record 0: should be {column: value}, got list"),
        ([None], "record 0: should be {column: value}, got NoneType"),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused(rides: Predictor, data: Any, fault: str) -> None:
    with pytest.raises(TypeError, match=f"^{fault}$"):
        ask(rides, data, "predict")


def test_a_name_that_stands_twice_is_refused(rides: Predictor) -> None:
    with pytest.raises(ValueError, match=r"^columns that stand twice: 'a'$"):
        ask(rides, pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]), "predict")
    with pytest.raises(ValueError, match=r"^columns that stand twice: 'a'$"):
        one_record(pd.Series([1, 2], index=["a", "a"]), "explain")


def test_the_refused_row_of_a_frame_is_numbered(rides: Predictor) -> None:
    frame = pd.DataFrame([BASE, {**BASE, "travel_type_id": "9", "from_lat": np.inf}])
    with pytest.raises(
        BrokenContract, match=r"^record 1: travel_type_id: values, got '9'; from_lat: type, got 'inf'$"
    ) as caught:
        ask(rides, frame, "predict")
    assert caught.value.number == 1


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, rides: Predictor) -> Predictor:
    monkeypatch.setattr(api, "predictor", lambda: rides)
    return rides


@pytest.mark.parametrize("shape", [dict, lambda row: pd.Series(row, dtype=object), MappingProxyType])
def test_the_api_answers_a_record_of_any_kind(asked: Predictor, shape: Callable[[Any], Any]) -> None:
    right = asked.predict(BASE)
    assert api.predict(shape(BASE)) == right
    assert api.predict([BASE, BASE]) == api.predict_many(iter([BASE, BASE])) == [right, right]
    assert api.predict_proba(shape(BASE)) == right["probabilities"]
    assert api.predict_proba([BASE]) == [right["probabilities"]]
    assert api.explain(shape(BASE))["probabilities"] == right["probabilities"]


def test_a_model_of_a_number_has_no_probabilities(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    houses = demo_predictor("houses", tmp_path)
    monkeypatch.setattr(api, "predictor", lambda: houses)
    with pytest.raises(TypeError, match=r"^predict_proba: this model predicts a number, not a class; ask predict$"):
        api.predict_proba({})
    assert demo_contract("houses").task == "regression"
