"""What a wheel says it needs is what the lock has, its bill of materials fits the standard, and its bytes are fixed."""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, run_in
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

from stages.shared.errors import InputError
from stages.shared.packaging.requirements import (
    Pin,
    closure,
    extras,
    packages_of,
    read_lock,
    requirements_files,
    requires,
)
from stages.shared.packaging.sbom import bill_of_materials

HASH = f"--hash=sha256:{'0' * 64}"
LOCK = f"""# This file was compiled
numpy==2.4.6 ; python_full_version < '3.12' \\
    {HASH} \\
    {HASH.replace("0", "1")}
    # via
    #   toy (pyproject.toml)
    #   lightgbm
    #   scipy
lightgbm==4.7.0 \\
    {HASH}
    # via toy (pyproject.toml)
scipy==1.17.1 \\
    {HASH}
    # via lightgbm
uvicorn==0.54.0 ; sys_platform != 'win32' \\
    {HASH}
    # via toy (pyproject.toml)
click==8.5.1 \\
    {HASH}
    # via uvicorn
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(LOCK)
    return path


def test_a_lock_is_read_as_it_is_written(lock: Path) -> None:
    first, *_, last = read_lock(lock)
    assert first == Pin(
        "numpy", "2.4.6", "python_full_version < '3.12'", [f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"],
        ["toy (pyproject.toml)", "lightgbm", "scipy"],
    )  # fmt: skip
    assert (last.requirement, last.via) == ("click==8.5.1", ["uvicorn"])


@pytest.mark.parametrize("line", ["numpy>=2", "-e .", "https://example.org/x.whl", "    --hash=md5:00"])
def test_a_line_that_is_no_pin_is_refused(lock: Path, line: str) -> None:
    lock.write_text(f"{LOCK}{line}\n")
    with pytest.raises(InputError, match=re.escape(f"not a line of a lock with hashes: {line!r}")):
        read_lock(lock)


def test_what_lightgbm_imports_and_we_do_not_is_left_out(lock: Path) -> None:
    pins = read_lock(lock)
    assert [pin.name for pin in closure(pins, ["numpy", "lightgbm"])] == ["numpy", "lightgbm"]
    assert [pin.name for pin in closure(pins, ["uvicorn"])] == ["uvicorn", "click"]
    with pytest.raises(InputError, match=r"tzdata not in it, but the packaged model needs it"):
        closure(pins, ["tzdata"])


@pytest.mark.parametrize(
    ("kinds", "has_zones", "expected"),
    [
        ({"linear"}, False, {"numpy"}),
        ({"lightgbm"}, True, {"numpy", "lightgbm", "tzdata"}),
        ({"lightgbm", "skops"}, False, {"numpy", "lightgbm", "scipy", "scikit-learn", "skops", "joblib", "narwhals",
                                        "cloudpickle", "threadpoolctl", "packaging", "prettytable", "wcwidth"}),
    ],
)  # fmt: skip
def test_a_model_needs_what_its_kind_needs(kinds: set[str], has_zones: bool, expected: set[str]) -> None:
    assert {
        pin.name for pin in closure(read_lock(ROOT / "requirements.txt"), packages_of(kinds, has_zones))
    } == expected


def test_requirements_and_extras_are_pinned_as_the_lock_has_them() -> None:
    pins = read_lock(ROOT / "requirements.txt")
    packages = packages_of({"lightgbm"}, has_zones=False)
    versions = {pin.name: pin.version for pin in pins}
    assert requires(pins, packages) == ["numpy>=2", f"lightgbm=={versions['lightgbm']}"]
    named = {extra: {Requirement(each).name for each in found} for extra, found in extras(pins).items()}
    assert named == {"serve": {"uvloop", "httptools", "msgspec"}, "score": {"duckdb"}}
    files = requirements_files(pins, packages, "toy_model")
    for content in files.values():
        for block in re.split(r"\n(?=\S)", content.decode().strip())[1:]:
            pin, *hashes = block.split(" \\\n    ")
            assert pin in (ROOT / "requirements.txt").read_text()
            assert hashes
            assert all(each.removeprefix("--hash=") in (ROOT / "requirements.txt").read_text() for each in hashes)
        assert "index" not in content.decode()
        assert "scipy" not in content.decode()


@pytest.fixture
def archive(small: Path) -> zipfile.ZipFile:
    [wheel] = (small / "data/package").glob("*.whl")
    return zipfile.ZipFile(wheel)


def read(archive: zipfile.ZipFile, end: str) -> str:
    [name] = [name for name in archive.namelist() if name.endswith(end)]
    return archive.read(name).decode()


def test_the_bill_of_materials_is_cyclonedx(archive: zipfile.ZipFile) -> None:
    text = read(archive, ".dist-info/sboms/model.cdx.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert "serialNumber" not in bill
    assert "timestamp" not in bill["metadata"]
    version = re.search(r"^Version: (.*)$", read(archive, "METADATA"), re.MULTILINE)[1]
    assert (bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"]) == ("toy_model", version)
    scopes = {part["name"]: part["scope"] for part in bill["components"]}
    assert scopes["numpy"] == scopes["lightgbm"] == "required"
    assert scopes["uvloop"] == scopes["httptools"] == scopes["duckdb"] == "optional"
    references = [part["bom-ref"] for part in bill["components"]]
    assert len(set(references)) == len(references)
    known = {bill["metadata"]["component"]["bom-ref"], *references}
    assert {each["ref"] for each in bill["dependencies"]} == known
    assert {needed for each in bill["dependencies"] for needed in each["dependsOn"]} <= known


def test_the_bill_names_what_each_package_needs() -> None:
    pins = [Pin("numpy", "1", "", [f"sha256:{'0' * 64}"], ["me", "skops"]), Pin("skops", "2", "", [], ["me"])]
    pins += [Pin(name, "3", "", [], ["me"]) for name in ("uvloop", "httptools", "msgspec", "duckdb")]
    bill = json.loads(bill_of_materials("toy", "1.0+ab", pins, ["numpy", "skops"], {"toy/a": b""}))
    needs = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert needs["pkg:pypi/skops@2"] == ["pkg:pypi/numpy@1"]
    assert needs["pkg:pypi/numpy@1"] == []
    direct = ["duckdb@3", "httptools@3", "msgspec@3", "numpy@1", "skops@2", "uvloop@3"]
    assert needs["pkg:pypi/toy@1.0+ab"] == [f"pkg:pypi/{each}" for each in direct]
    [file] = bill["metadata"]["component"]["components"]
    assert file["hashes"] == [
        {"alg": "SHA-256", "content": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
    ]


def test_metadata_is_what_pip_reads(archive: zipfile.ZipFile) -> None:
    required = re.findall(r"^Requires-Dist: (.*)$", read(archive, "METADATA"), re.MULTILINE)
    found = [Requirement(each) for each in required]
    base = [each.name for each in found if each.marker is None]
    assert base == ["numpy", "lightgbm"]
    assert {each.name for each in found if each.marker and each.marker.evaluate({"extra": "score"})} == {"duckdb"}
    assert re.findall(r"^Provides-Extra: (.*)$", read(archive, "METADATA"), re.MULTILINE) == ["serve", "score"]
    assert "toy_model/py.typed" in archive.namelist()


CLOCK = """import time, datetime as real
time.time = lambda: 2e9
time.time_ns = lambda: 2 * 10**18
"""


def test_the_wheel_has_the_same_bytes_whatever_the_clock_the_folder_the_umask_and_the_hash_seed(
    small: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "another place" / "Ünïcode"
    shutil.copytree(small, folder)
    [wheel] = (folder / "data/package").glob("*.whl")
    first = wheel.read_bytes()
    shutil.rmtree(folder / "data/package")
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    command = f"umask 077; {sys.executable} -m stages.package packaging=standard"
    more: dict[str, Any] = {"PYTHONHASHSEED": "12345", "TZ": "Asia/Kolkata", "LC_ALL": "C", "SOURCE_DATE_EPOCH": "1"}
    run_in(folder, "sh", "-c", command, PYTHONPATH=f"{tmp_path}:{ROOT}", **more)
    [again] = (folder / "data/package").glob("*.whl")
    assert (again.name, again.read_bytes()) == (wheel.name, first)
