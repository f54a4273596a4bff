"""package: a wheel that installs alone, answers as evaluate saw it, and refuses what was changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import run_in, run_stage


def wheel(folder: Path) -> Path:
    [path] = (folder / "data/package").glob("*.whl")
    return path


@pytest.fixture
def unpacked(small: Path, tmp_path: Path) -> Path:
    """The wheel of the toy table, unpacked."""
    with zipfile.ZipFile(wheel(small)) as archive:
        archive.extractall(tmp_path / "site")
    return tmp_path / "site"


def ask(site: Path, code: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Python that sees nothing of this repository but the unpacked wheel."""
    lines = f"import sys; sys.path.insert(0, {str(site)!r}); import json, toy_model\n{code}"
    return subprocess.run([sys.executable, "-I", "-c", lines], cwd=site, text=True, capture_output=True, check=check)


def example(site: Path) -> dict[str, Any]:
    return json.loads((site / "toy_model/model/examples.json").read_text())[0]


def test_two_builds_give_the_same_bytes(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    first = wheel(folder).read_bytes()
    run_stage(folder, "package", "packaging=standard")
    assert wheel(folder).read_bytes() == first


def test_predict_needs_neither_scikit_learn_nor_pandas(unpacked: Path) -> None:
    record = example(unpacked)["record"]
    code = f"print(json.dumps(toy_model.predict(json.loads({json.dumps(record)!r}))))"
    heavy = "assert not {'lightgbm', 'sklearn', 'pandas', 'scipy', 'duckdb', 'stages'} & set(sys.modules)"
    assert json.loads(ask(unpacked, f"{code}\n{heavy}").stdout) == example(unpacked)["answer"]


@pytest.mark.parametrize(
    "change",
    [
        lambda record: {**record, "size": str(record["size"])},
        lambda record: {**record, "size": float(record["size"])},
        lambda record: {**record, "size": f"  {record['size']} "},
        lambda record: dict(reversed(record.items())),
        lambda record: {**record, "day": f"{record['day']}T00:00:00"},
        lambda record: {**record, "note": ""} if record["note"] is None else record,
        lambda record: {key: value for key, value in record.items() if value is not None},
        lambda record: {**record, "id": 5, "bought": None},
    ],
)
def test_the_same_record_written_otherwise_has_the_same_answer(unpacked: Path, change: Any) -> None:
    found = example(unpacked)
    record = change(found["record"])
    assert json.loads(ask(unpacked, f"print(json.dumps(toy_model.predict({record!r})))").stdout) == found["answer"]


def test_a_broken_record_is_refused_with_all_its_faults(unpacked: Path) -> None:
    record = {**example(unpacked)["record"], "size": 500, "colour": "mauve", "sise": 3}
    code = f"""
try: toy_model.predict({record!r})
except toy_model.BrokenContract as error: print(sorted((v.column, v.rule, v.value) for v in error.violations))"""
    expected = [("colour", "values", "mauve"), ("sise", "unknown", "3"), ("size", "max", "500")]
    assert ask(unpacked, code).stdout.strip() == str(expected)


@pytest.mark.parametrize("member", ["model.txt", "plan.json", "contract.json", "card.md"])
def test_a_changed_byte_is_refused_before_anything_is_read(unpacked: Path, member: str) -> None:
    path = unpacked / "toy_model/model" / member
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = ask(unpacked, "toy_model.predict({})", check=False)
    assert done.returncode != 0
    assert f"{member}: SHA-256 should be" in done.stderr


def test_the_command_line_verifies_predicts_and_informs(unpacked: Path) -> None:
    found = example(unpacked)
    code = "from toy_model.runtime.cli import main; main(sys.argv[1:])"

    def command(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        lines = f"import sys; sys.path.insert(0, {str(unpacked)!r}); {code}"
        return subprocess.run([sys.executable, "-I", "-c", lines, *words], text=True, capture_output=True, input=given)

    assert command("verify").stdout.endswith(" files as packaged; 5 example records answered exactly as packaged\n")
    done = command("predict", given=json.dumps(found["record"]) + "\n[1]\n{not json\n")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[0] == found["answer"]
    assert [answer["violations"][0]["rule"] for answer in answers[1:]] == ["object", "json"]
    assert done.returncode == 1
    assert json.loads(command("info").stdout)["task"] == "binary"


def test_a_line_that_is_not_one_plain_object_of_json_is_refused_by_itself(unpacked: Path) -> None:
    found = example(unpacked)
    whole = json.dumps(found["record"]).encode()
    twice = whole[:-1] + b", " + whole[1:]
    code = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r}); from toy_model.runtime.cli import main; main(['predict'])"
    )
    given = b"\n".join([b"\xff\xfe", twice, whole, b'["\xc3\xa9"]'])
    done = subprocess.run([sys.executable, "-I", "-c", code], input=given, capture_output=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["violations"][0]["rule"] for answer in (answers[0], answers[1], answers[3])] == [
        "json",
        "json",
        "object",
    ]
    assert answers[1]["violations"][0]["value"] == "a key stands twice"
    assert answers[2] == found["answer"]
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_reader_that_has_enough_ends_the_command_without_a_traceback(unpacked: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r}); from toy_model.runtime.cli import main; main(['predict'])"
    )
    command = [sys.executable, "-I", "-c", code]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(json.dumps(example(unpacked)["record"]).encode())
    assert (process.returncode, said) == (141, b"")


def test_the_replay_notices_a_model_that_is_not_the_evaluated_one(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    run_stage(folder, "train", "model=boosting", "seed=2")  # and evaluate is not run again
    done = run_stage(folder, "package", "packaging=standard", check=False)
    assert done.returncode != 0
    assert "evaluate saw" in done.stderr


def venv(folder: Path) -> Path:
    """Make an environment; return its folder of commands."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin"


def pip(commands: Path, *words: str | Path) -> str:
    return subprocess.run([commands / "pip", *words], check=True, text=True, capture_output=True).stdout


def installed(commands: Path) -> tuple[set[str], float]:
    """Return what is installed besides pip, and the megabytes of it."""
    names = {each["name"] for each in json.loads(pip(commands, "list", "--format=json"))} - {"pip", "setuptools"}
    [packages] = commands.parent.glob("lib/python*/site-packages")
    files = [path for path in packages.rglob("*") if path.is_file() and not path.is_symlink()]
    own = [path for path in files if path.relative_to(packages).parts[0].split("-")[0] not in ("pip", "setuptools")]
    return names, sum(path.stat().st_size for path in own) / 1e6


def run(commands: Path, *words: str, given: str = "") -> str:
    """Run a command of an environment, far from this repository."""
    command = [str(commands / words[0]), *words[1:]]
    return subprocess.run(command, input=given, text=True, capture_output=True, check=True, cwd=commands).stdout


TYPED = """
from typing import Any, assert_type
import toy_model
assert_type(toy_model.predict({"a": 1}), dict[str, Any])
assert_type(toy_model.predict([{"a": 1}]), list[dict[str, Any]])
assert_type(toy_model.predict_proba({"a": 1}), dict[str, float])
assert_type(toy_model.__version__, str)
class Frame:
    columns = ["a"]
assert_type(toy_model.predict(Frame()), Frame)
"""


@pytest.mark.slow
def test_the_types_of_the_answers_are_known_to_a_checker(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "asks.py").write_text(TYPED)
    run_in(
        tmp_path, sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "asks.py", MYPYPATH=str(unpacked)
    )
    (tmp_path / "asks.py").write_text("import toy_model\ntoy_model.predict(5)\n")
    done = run_in(
        tmp_path,
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "asks.py",
        check=False,
        MYPYPATH=str(unpacked),
    )
    assert "No overload variant" in done.stdout


@pytest.mark.slow
def test_the_pinned_requirements_are_all_that_predicting_and_serving_need(small: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel(small)) as archive:
        for name in ("requirements.txt", "requirements-serve.txt"):
            (tmp_path / name).write_bytes(archive.read(f"toy_model/model/{name}"))
        examples = json.loads(archive.read("toy_model/model/examples.json"))
    commands = venv(tmp_path / "venv")
    pip(commands, "install", "--no-deps", "--require-hashes", "-r", tmp_path / "requirements.txt")
    pip(commands, "install", "--no-deps", wheel(small))
    assert run(commands, "toy_model", "verify").endswith("; 5 example records answered exactly as packaged\n")
    answered = run(commands, "toy_model", "predict", given="\n".join(json.dumps(each["record"]) for each in examples))
    assert [json.loads(line) for line in answered.splitlines()] == [each["answer"] for each in examples]
    explained = json.loads(run(commands, "toy_model", "explain", given=json.dumps(examples[0]["record"])))
    assert explained["probabilities"] == examples[0]["answer"]["probabilities"]
    code = (
        "from toy_model.runtime import api; print(len(api.predict([e['record'] for e in api.read('examples.json')])))"
    )
    assert run(commands, "python", "-c", code) == "5\n"
    assert installed(commands)[0] == {"numpy", "lightgbm", "toy_model"}
    pip(commands, "install", "--no-deps", "--require-hashes", "-r", tmp_path / "requirements-serve.txt")
    run(commands, "python", "-c", "import uvloop, httptools, msgspec")
    names, megabytes = installed(commands)
    assert len(names) <= 20
    assert megabytes < 160


FRAMES = """
import json, sys
import pandas, polars, pyarrow, toy_model
records = [each["record"] for each in toy_model.runtime.api.read("examples.json")]
right = toy_model.predict(records)
plain = pandas.DataFrame(records)
frames = [(plain, lambda found: found.to_dict("records")), (polars.DataFrame(records), lambda found: found.to_dicts()),
          (plain.convert_dtypes(dtype_backend="pyarrow"), lambda found: found.to_dict("records")),
          (pyarrow.Table.from_pylist(records), lambda found: found.to_pylist())]
for frame, listed in frames:
    found = toy_model.predict(frame)
    assert type(found) is type(frame), type(found)
    rows = listed(found)
    for row, answer in zip(rows, right, strict=True):
        assert row.pop("prediction") == answer["prediction"]
        assert row == {f"probability_{name}": p for name, p in answer["probabilities"].items()}, (row, answer)
    assert listed(toy_model.predict_proba(frame)) == [answer["probabilities"] for answer in right]
print(len(right))
"""


@pytest.mark.slow
def test_a_plain_install_with_extras_is_consistent_and_answers_any_dataframe(small: Path, tmp_path: Path) -> None:
    commands = venv(tmp_path / "venv")
    pip(commands, "install", f"{wheel(small)}[serve,score]")
    pip(commands, "check")
    names = installed(commands)[0]
    assert {"uvloop", "httptools", "msgspec", "duckdb", "scipy"} <= names
    assert len(names) <= 20
    pip(commands, "install", "pandas", "polars", "pyarrow")
    assert run(commands, "python", "-c", FRAMES) == "5\n"
