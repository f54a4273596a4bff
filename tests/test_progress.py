"""Progress: silent for two seconds, one rewritten line on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.shared import live, progress
from stages.shared.progress import Progress, Watch, muted, say, watching
from stages.shared.table import layout
from stages.shared.tables import connect


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


def test_steps_done_earlier_do_not_count_for_the_pace(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    counter = Progress("train", "trials", 40)
    counter.skip(20)
    counter.update(20)
    clock.now += 10
    counter.update(25)
    assert capsys.readouterr().err.splitlines() == ["train: 25/40 trials, 30 s left"]


def test_work_that_is_part_of_a_longer_one_is_muted(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with muted():
        shown_after(clock, [3, 14, 25])
        say("train: fitting")
    assert capsys.readouterr() == ("", "")
    say("train: fitting")
    shown_after(clock, [3])
    assert capsys.readouterr().err.splitlines() == ["train: fitting", "train: 10/100 trees, 27 s left, loss 0.5"]


class Query:
    """A connection whose running query is as far as told, in percent; -1 where none runs."""

    def __init__(self) -> None:
        self.percent = -1.0

    def query_progress(self) -> float:
        return self.percent


def looked_at(clock: Clock, percents: list[float], seconds: float, watch: Watch, query: Query) -> None:
    for percent in percents:
        clock.now += seconds
        query.percent = percent
        watch.look()


def test_a_query_is_shown_as_rows_with_pace_and_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    query = Query()
    watch = Watch(query, "prepare", 1000)
    watch.begin("read and check")
    looked_at(clock, [-1, 10, 25, 50], 10, watch, query)  # it begins to run after ten seconds
    assert capsys.readouterr().err.splitlines() == [
        "prepare: 100/1000 rows, 90 s left, 10 rows/s, read and check",
        "prepare: 250/1000 rows, 60 s left, 12 rows/s, read and check",
        "prepare: 500/1000 rows, 30 s left, 17 rows/s, read and check",
    ]


def test_the_next_work_is_counted_by_itself(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    query = Query()
    watch = Watch(query, "prepare", 1000)
    watch.begin("read and check")
    looked_at(clock, [-1, 90], 10, watch, query)
    watch.begin("write kept")
    looked_at(clock, [90.5], 0.2, watch, query)  # already past the last query's share
    looked_at(clock, [95], 10, watch, query)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "prepare: 900/1000 rows, 1 s left, 90 rows/s, read and check",
        "prepare: 950/1000 rows, 1 s left, 93 rows/s, write kept",
    ]


def test_counting_the_records_of_a_large_file_shows_how_far_it_is(
    clock: Clock, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"a,b\n" * (1 << 20))  # 4 MB
    add = layout._Scanner.add

    def slow(scanner: layout._Scanner, text: np.ndarray) -> None:
        clock.now += 10
        add(scanner, text)

    monkeypatch.setattr(layout._Scanner, "add", slow)
    assert layout.scan(file, '"', keeps_blank=False).n_records == 1 << 20
    assert capsys.readouterr().err.splitlines()[:2] == [
        "count records: 1/4 MB, 30 s left",
        "count records: 2/4 MB, 20 s left",
    ]


def test_a_real_query_is_watched(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    monkeypatch.setitem(progress.PACE_SECONDS, False, 0.0)
    connection = connect()
    connection.execute("CREATE TABLE numbers AS SELECT range AS n, range % 1000 AS m FROM range(5_000_000)")
    with watching(connection, "prepare", 5_000_000) as begin:
        begin("sort")
        for _ in range(20):
            connection.execute("SELECT max(c) FROM (SELECT md5(n::VARCHAR || m) AS c FROM numbers)")
            if "sort" in capsys.readouterr().err:
                return
    pytest.fail("nothing was shown")


def test_the_line_of_work_that_was_followed_by_other_work_is_removed_too(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    counter = Progress("train", "trees", 100)
    clock.now += 3
    counter.update(10)
    counter.restart()
    counter.close()
    assert capsys.readouterr().err.endswith("\r\033[K")


def test_live_numbers_are_written_once_a_second_and_gone_afterwards(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "time", clock)
    path = tmp_path / "reports/train.json"
    with live.live(path):
        assert json.loads(path.read_text()) == {}
        counter = Progress("train", "trees", 100)
        for done, moment in ((10, 0.1), (20, 0.9), (30, 1.2)):
            clock.now = 100.0 + moment
            counter.update(done, validation_loss=0.5 if done < 30 else math.nan)
            expected = {"live_trees": 10, "live_validation_loss": 0.5} if done < 30 else {"live_trees": 30}
            assert json.loads(path.read_text()) == expected
        with muted():
            Progress("train", "trees", 100).update(90)
        assert json.loads(path.read_text()) == {"live_trees": 30}
    assert json.loads(path.read_text()) == {}
    counter.update(100)
    assert [entry.name for entry in path.parent.iterdir()] == ["train.json"]


def test_live_numbers_of_a_fit_that_fails_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    failing = live.live(path)
    failing.__enter__()
    live.show({"trees": 3})
    assert json.loads(path.read_text()) == {"live_trees": 3}
    error = ValueError()
    assert not failing.__exit__(ValueError, error, None)
    assert json.loads(path.read_text()) == {}
