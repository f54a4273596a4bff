"""Progress: silent for two seconds, one rewritten line on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import sys

import pytest

from stages.shared import progress
from stages.shared.progress import Progress


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def shown_after(clock: Clock, seconds: list[float]) -> None:
    counter = Progress("train", "trees", 100)
    start = clock.now
    for done, moment in enumerate(seconds, start=1):
        clock.now = start + moment
        counter.update(done * 10, ", loss 0.5")
    counter.close()


def test_work_shorter_than_two_seconds_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown_after(clock, [0.5, 1.0, 1.9])
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_a_line_comes_every_ten_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown_after(clock, [3, 5, 11, 14])
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["train: 10/100 trees, 27 s left, loss 0.5", "train: 40/100 trees, 21 s left, loss 0.5"]


def test_on_a_terminal_one_line_is_rewritten_and_removed(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown_after(clock, [1, 3, 4])
    text = capsys.readouterr().err
    assert text.count("\r\033[K") == 3
    assert "\n" not in text
    assert text.endswith("\r\033[K")


def test_without_a_known_total_the_count_alone_is_shown(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    counter = Progress("fetch", "rows", 0)
    clock.now += 3
    counter.update(2000)
    assert capsys.readouterr().err.splitlines() == ["fetch: 2000 rows"]
