"""A packaged model of which any byte is not the packaged one refuses in one line that names the file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stages.runtime.errors import DamagedModel
from stages.runtime.manifest import count_files, manifest_source, version_source

ASK = """
import io, json, sys
sys.path.insert(0, sys.argv[1])
import toy_model
from toy_model.runtime import api, cli, manifest
for line in sys.stdin.readlines():
    path, place = json.loads(line)
    whole = open(path, "rb").read()
    changed = bytearray(whole)
    changed[place % len(whole)] ^= 1
    open(path, "wb").write(changed)
    heard = []
    asks = [lambda: toy_model.predict({}), toy_model.info, lambda: cli.main(["info"]), lambda: cli.main(["predict"])]
    for ask in asks:
        sys.stdin = io.TextIOWrapper(io.BytesIO(b"{}"))
        manifest.ensure_whole.cache_clear(), api.predictor.cache_clear()
        try:
            ask()
            heard.append("nothing")
        except toy_model.DamagedModel as error:
            heard.append(str(error))
        except SystemExit as error:
            heard.append(f"exit {error.code}")
    open(path, "wb").write(whole)
    print(json.dumps(heard), flush=True)
"""


@pytest.fixture
def site(small: Path, tmp_path: Path) -> Path:
    """The wheel of the toy table, unpacked."""
    [wheel] = (small / "data/package").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    return tmp_path / "site"


def test_any_changed_byte_of_the_model_is_refused_naming_its_file(site: Path) -> None:
    members = sorted(path for path in (site / "toy_model/model").rglob("*") if path.is_file())
    asked = [(path, place) for path in members for place in (0, path.stat().st_size // 2, path.stat().st_size - 1)]
    given = "".join(json.dumps([str(path), place]) + "\n" for path, place in asked)
    command = [sys.executable, "-I", "-c", ASK, str(site)]
    done = subprocess.run(command, input=given, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(asked) >= 33
    for (path, _), (predicted, informed, *exits) in zip(asked, answers, strict=True):
        name = path.relative_to(site).as_posix()
        assert predicted == informed
        assert predicted.startswith(f"{name}: ")
        assert exits == ["exit 1", "exit 1"]
    said = done.stderr.splitlines()
    assert said == [f"toy_model: {predicted}" for predicted, *_ in answers for _ in range(2)]


@pytest.mark.parametrize("command", ["info", "predict", "verify", "schema", "explain"])
def test_the_command_says_one_line_and_no_traceback(site: Path, command: str) -> None:
    path = site / "toy_model/model/model.txt"
    path.write_bytes(path.read_bytes().replace(b"num_leaves=", b"num_leaves=9", 1))
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from toy_model.runtime.cli import main; main({[command]!r})"
    done = subprocess.run([sys.executable, "-I", "-c", code], input="{}\n", text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("toy_model: toy_model/model/model.txt: SHA-256 should be ")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small package with a manifest and a version."""
    members = {"model/a.json": b"{}", "runtime/b.py": b"", "__init__.py": b"pass\n"}
    members["model/manifest.json"] = manifest_source("1.0", members)
    members["version.py"] = version_source("1.0", members["model/manifest.json"])
    for path, content in members.items():
        (tmp_path / "toy" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "toy" / path).write_bytes(content)
    (tmp_path / "toy/runtime/__pycache__").mkdir()
    (tmp_path / "toy/runtime/__pycache__/b.pyc").write_bytes(b"\0")
    return tmp_path / "toy"


def test_a_whole_package_has_all_its_files(package: Path) -> None:
    assert count_files(package) == 5


@pytest.mark.parametrize("path", ["model/a.json", "runtime/b.py", "__init__.py", "model/manifest.json", "version.py"])
def test_a_missing_file_is_named(package: Path, path: str) -> None:
    (package / path).unlink()
    with pytest.raises(DamagedModel, match=f"^toy/{path}: missing$"):
        count_files(package)


@pytest.mark.parametrize("path", ["model/b.json", "stranger.py", "runtime/.b.swp", "deep/er/x"])
def test_an_added_file_is_named(package: Path, path: str) -> None:
    (package / path).parent.mkdir(parents=True, exist_ok=True)
    (package / path).write_bytes(b"")
    with pytest.raises(DamagedModel, match=f"^toy/{path}: not in the manifest$"):
        count_files(package)


def test_a_link_to_nowhere_is_a_file_too(package: Path) -> None:
    (package / "model/link").symlink_to("nowhere")
    with pytest.raises(DamagedModel, match=r"^toy/model/link: not in the manifest$"):
        count_files(package)


def test_all_that_is_wrong_is_counted(package: Path) -> None:
    (package / "model/a.json").write_bytes(b"[]")
    (package / "runtime/b.py").unlink()
    with pytest.raises(DamagedModel, match=r"^toy/model/a.json: SHA-256 should be 4413\w+, got 4f53\w+; and 1 more$"):
        count_files(package)


def test_a_manifest_made_anew_is_refused_by_the_version(package: Path) -> None:
    members = {"model/a.json": b"{}", "runtime/b.py": b"print()", "__init__.py": b"pass\n"}
    (package / "runtime/b.py").write_bytes(b"print()")
    (package / "model/manifest.json").write_bytes(manifest_source("1.0", members))
    with pytest.raises(DamagedModel, match=r"^toy/model/manifest.json: its SHA-256 should begin as version.py says"):
        count_files(package)


def test_another_version_before_the_same_hash_is_refused(package: Path) -> None:
    path = package / "version.py"
    path.write_text(path.read_text().replace('"1.0+', '"1.1+'))
    with pytest.raises(DamagedModel, match=r"^toy/version.py: SHA-256 should be"):
        count_files(package)


def test_a_copy_is_as_whole_as_the_original(package: Path, tmp_path: Path) -> None:
    shutil.copytree(package, tmp_path / "copy")
    assert count_files(tmp_path / "copy") == 5


def test_no_member_of_the_wheel_is_a_pickle(small: Path) -> None:
    [wheel] = (small / "data/package").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert not (content[:1] == b"\x80" and content[-1:] == b"."), name
            assert Path(name).suffix not in (".pkl", ".pickle", ".joblib", ".pt", ".npy"), name
            if name.endswith(".py"):
                words = ("pickle.load", "import pickle", "import joblib", "joblib.load", "allow_pickle", "import dill")
                assert [word for word in words if word.encode() in content] == [], name
