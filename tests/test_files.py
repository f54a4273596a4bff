"""Outputs whole or not at all, hashes as DVC's own, wheels of fixed bytes."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import re
import sys
import zipfile

import pytest
from conftest import ROOT, run_in

from stages.shared.files import read_json, replacing, write_json
from stages.shared.lineage import dvc_hash
from stages.shared.packaging.wheel import Distribution, build_wheel


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def make(folder, text):
    folder.mkdir(parents=True)
    (folder / "out.txt").write_text(text)


def test_new_outputs_take_the_place_of_the_old(tmp_path):
    make(tmp_path / "data", "old")
    (tmp_path / "data" / "stale.txt").write_text("gone")
    with replacing(tmp_path / "data", tmp_path / "deep" / "reports") as (data, reports):
        assert list(data.iterdir()) == list(reports.iterdir()) == []
        (data / "out.txt").write_text("new")
        (reports / "r.txt").write_text("report")
        assert contents(tmp_path / "data") == {"out.txt": "old", "stale.txt": "gone"}
    assert contents(tmp_path) == {"data/out.txt": "new", "deep/reports/r.txt": "report"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "deep"]


def fail_while_writing(*folders):
    with replacing(*folders) as (data, *_):
        (data / "out.txt").write_text("half")
        raise KeyError("ours")


def test_failure_leaves_the_old_outputs_and_nothing_else(tmp_path):
    make(tmp_path / "data", "old")
    with pytest.raises(KeyError, match="ours"):
        fail_while_writing(tmp_path / "data", tmp_path / "reports")
    assert contents(tmp_path) == {"data/out.txt": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_draft_of_a_killed_run_is_removed(tmp_path):
    make(tmp_path / ".data.new", "half")
    with replacing(tmp_path / "data") as (data,):
        assert list(data.iterdir()) == []
    assert contents(tmp_path) == {}


def test_outputs_set_aside_by_a_killed_run_are_put_back(tmp_path):
    make(tmp_path / ".data.old", "last good")
    with replacing(tmp_path / "data") as (data,):
        assert contents(tmp_path / "data") == {"out.txt": "last good"}
        (data / "out.txt").write_text("new")
    assert contents(tmp_path) == {"data/out.txt": "new"}


@pytest.mark.parametrize(("newer", "left"), [(None, "older"), ("newer", "newer")])
def test_outputs_set_aside_survive_a_failure_unless_there_are_newer_ones(tmp_path, newer, left):
    make(tmp_path / ".data.old", "older")
    if newer:
        make(tmp_path / "data", newer)
    with pytest.raises(KeyError, match="ours"):
        fail_while_writing(tmp_path / "data")
    assert contents(tmp_path) == {"data/out.txt": left}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_without_a_word_for_it_is_refused(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": [value]})
    assert list(tmp_path.iterdir()) == []


def test_json_has_sorted_keys_and_comes_back(tmp_path):
    content = {"b": 0.1, "a": ["é", None, True]}
    write_json(tmp_path / "x.json", content)
    assert (tmp_path / "x.json").read_bytes() == '{\n "a": [\n  "é",\n  null,\n  true\n ],\n "b": 0.1\n}\n'.encode()
    assert read_json(tmp_path / "x.json") == content


def test_hash_of_a_folder_is_dvcs_own(tmp_path):
    folder = tmp_path / "out"
    for name in ("b.txt", "a/b", "a.b", "a-b", "a b", "a/ü.bin", "Z", "sub/deep/er/x", "quote\"'.txt", "empty"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"" if name == "empty" else name.encode() * 3 + b"\r\n\x00")
    (folder / "no files").mkdir()
    (tmp_path / "one.bin").write_bytes(b"one\n")
    run_in(tmp_path, "git", "init", "-q")
    run_in(tmp_path, "dvc", "init", "-q")
    run_in(tmp_path, "dvc", "add", "-q", "out", "one.bin")
    recorded = [re.search(r"md5: (\S+)", (tmp_path / f"{name}.dvc").read_text())[1] for name in ("out", "one.bin")]
    assert [dvc_hash(folder), dvc_hash(tmp_path / "one.bin")] == recorded
    assert recorded[0].endswith(".dir")


WHEEL = """
import os, sys
from pathlib import Path
from stages.shared.packaging.wheel import Distribution, build_wheel
os.umask(int(sys.argv[2], 8))
os.chdir(sys.argv[1])
members = {"toy/__init__.py": b"def main():\\n    print('hello from the wheel')\\n", "toy/model/b.json": b"{}\\n",
"toy/a.txt": bytes(9999)}
if sys.argv[3] == "reversed":
    members = dict(reversed(members.items()))
extras = {"more": ["six==1 ; sys_platform == 'win32'"]}
about = Distribution("toy", "1.2+abc", "A toy", ["numpy>=2"], extras, "toy:main")
build_wheel(Path("."), about, members, {"notes/a.json": b"{}"})
"""


@pytest.fixture
def wheel(tmp_path):
    members = {
        "toy/__init__.py": b"def main():\n    print('hello from the wheel')\n",
        "toy/model/b.json": b"{}\n",
        "toy/a.txt": bytes(9999),
    }
    extras = {"more": ["six==1 ; sys_platform == 'win32'"]}
    about = Distribution("toy", "1.2+abc", "A toy", ["numpy>=2"], extras, "toy:main")
    return build_wheel(tmp_path, about, members, {"notes/a.json": b"{}"})


@pytest.mark.parametrize(
    ("umask", "order", "zone"), [("000", "same", "Asia/Kolkata"), ("077", "reversed", "America/Lima")]
)
def test_wheel_has_the_same_bytes_anywhere(tmp_path, wheel, umask, order, zone):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    run_in(tmp_path, sys.executable, "-c", WHEEL, str(folder), umask, order, PYTHONPATH=str(ROOT), TZ=zone, LC_ALL="C")
    assert (folder / wheel.name).read_bytes() == wheel.read_bytes()


def test_record_names_every_member_with_its_hash(wheel):
    with zipfile.ZipFile(wheel) as archive:
        lines = archive.read("toy-1.2+abc.dist-info/RECORD").decode().splitlines()
        recorded = dict(line.split(",", 1) for line in lines)
        assert sorted(recorded) == sorted(archive.namelist())
        assert recorded.pop("toy-1.2+abc.dist-info/RECORD") == ","
        for name, entry in recorded.items():
            content = archive.read(name)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert entry == f"sha256={digest},{len(content)}"


def test_wheel_installs_and_its_command_runs(tmp_path, wheel):
    target = tmp_path / "site"
    run_in(tmp_path, sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile",
    "--disable-pip-version-check",
           "--target", str(target), str(wheel))  # fmt: skip
    done = run_in(tmp_path, str(target / "bin" / "toy"), PYTHONPATH=str(target))
    assert done.stdout == "hello from the wheel\n"
    assert (target / "toy" / "a.txt").read_bytes() == bytes(9999)
    assert os.access(target / "toy" / "a.txt", os.R_OK)
