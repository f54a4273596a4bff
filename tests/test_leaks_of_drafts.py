"""What a draft finds that could give the answer away."""

from __future__ import annotations

import random

import pytest

from stages.shared.sides.leakage import EXPLAINED
from tests.test_roles import N, load, yes_no
from tools.draft import roles
from tools.draft.leaks import drop_companions, drop_sums, explained, find_sum, later_than, spare_rules
from tools.draft.target import assign_target


def test_a_copy_of_the_answer_explains_it_and_noise_does_not() -> None:
    draw = random.Random(1)
    connection, columns = load({"status": yes_no(), "noise": [str(draw.random()) for _ in range(N)], "y": yes_no()})
    target = assign_target(columns["y"], "t.csv")
    shares = explained(connection, list(columns.values()), target, "y")
    assert shares["status"] == pytest.approx(1.0)
    assert shares["noise"] < 0.2


def test_parts_of_a_total_are_dropped_together() -> None:
    draw = random.Random(2)
    parts = [[draw.randrange(100) for _ in range(3)] for _ in range(N)]
    table = {name: [str(row[place]) for row in parts] for place, name in enumerate(("casual", "member", "other"))}
    connection, columns = load({**table, "count": [str(row[0] + row[1]) for row in parts]})
    target = assign_target(columns["count"], "t.csv")
    said = drop_sums(connection, list(columns.values()), target, "count")
    assert [drafted.keys.get("role") for drafted in columns.values()] == ["drop", "drop", None, "target"]
    assert "weighted sum" in said[0]


def test_a_good_linear_relation_is_no_sum() -> None:
    draw = random.Random(3)
    rows = [(3 * x + draw.gauss(0, 10), x, draw.random()) for x in (draw.uniform(0, 100) for _ in range(500))]
    _, share = find_sum(rows)
    assert 0.9 < share < 0.999


@pytest.mark.parametrize(("name", "kept"), [("health", True), ("health_result", False), ("class_code", False)])
def test_a_rule_for_one_class_is_spared_unless_its_name_is_of_the_outcome(name: str, kept: bool) -> None:
    draw = random.Random(4)
    health = [draw.choice(["poor", "fair", "good"]) for _ in range(N)]
    y = ["refused" if value == "poor" else draw.choice(["first", "second", "third"]) for value in health]
    connection, columns = load({name: health, "class": y})
    target = assign_target(columns["class"], "t.csv")
    shares = explained(connection, list(columns.values()), target, "class")
    assert shares[name] > EXPLAINED
    spare_rules(connection, list(columns.values()), shares, target, "class")
    roles.mark_leaks(list(columns.values()), shares, "class")
    assert ("role" not in columns[name].keys) == kept


def test_what_is_named_after_a_leak_goes_with_it() -> None:
    _, columns = load({"booking_status": yes_no(), "booking_status_date": yes_no(), "status_of_room": yes_no()})
    roles.drop(columns["booking_status"], "a leak? alone explains 1.00 of y")
    drop_companions(list(columns.values()))
    assert [drafted.keys.get("role") for drafted in columns.values()] == ["drop", "drop", None]


def test_a_date_that_lies_after_the_time_in_most_rows_is_doubted() -> None:
    days = [f"2024-{i % 12 + 1:02d}-{i % 27 + 1:02d}" for i in range(N)]
    after = [f"2024-{i % 12 + 1:02d}-{i % 27 + 2:02d}" for i in range(N)]
    connection, columns = load({"created": days, "seen": after})
    columns["created"].keys["role"] = "time"
    said = later_than(connection, list(columns.values()), columns["created"])
    assert said == ["seen: after created in 100% of the rows; drop it if known only later"]
