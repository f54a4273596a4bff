"""What is compared: how each server is installed, started and asked, and where its answer says P(positive).

Each is used as its own documentation shows for a scikit-learn model, with one worker and its defaults otherwise:
logs and metrics are on where it has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
OURS, EMPTY, MLFLOW = "plumbline", "empty", "mlflow"
FITTED = ("lightgbm", "scikit-learn", "pandas", "pyarrow")  # what the Pipeline is made of
DATATYPES = {str: "BYTES", bool: "BOOL", int: "FP64", float: "FP64"}  # of the Open Inference Protocol


@dataclass(frozen=True)
class Peer:
    """One server: `packages` of its environment (none: ours), its command and how to talk to it.

    In `command` and `variables`, {port} and {name} (of our package) are filled in; the first word is looked up in its
    environment. `write` gives the body of a request for some records, `read` P(positive) of each from the answer.
    """

    name: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    path: str
    write: Callable[[list[Record]], Any]
    read: Callable[[Any], list[float]]
    variables: tuple[tuple[str, str], ...] = ()


def of_ours(answer: Any) -> list[float]:
    """Return P(positive) out of our answer to one record, or to a list of them."""
    return [list(each["probabilities"].values())[-1] for each in answer.get("answers", [answer])]


def columns(records: list[Record]) -> dict[str, Any]:
    """Return records as an inference request of the Open Inference Protocol, a tensor a column."""
    inputs = []
    for name in records[0]:
        values = [record[name] for record in records]
        kind = next((type(value) for value in values if value is not None), str)
        tensor = {"name": name, "shape": [len(values), 1], "datatype": DATATYPES[kind], "data": values}
        inputs.append(tensor | ({"parameters": {"content_type": "str"}} if kind is str else {}))
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": [{"name": "predict_proba"}]}


def last(rows: list[list[float]]) -> list[float]:
    """Return the last number of each row."""
    return [row[-1] for row in rows]


RUN = "from {name}.runtime.cli import main; main()"  # what the installed wheel's command does
UVICORN = ("python", "-m", "uvicorn")
AT = ("--host", "127.0.0.1", "--port", "{port}")
PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            OURS, (),
            ("python", "-c", RUN, "serve", "--port", "{port}", "--log", "predictions"),
            "/predict", lambda records: records if len(records) > 1 else records[0], of_ours,
        ),
        Peer(
            EMPTY, (), (*UVICORN, "empty:app", *AT, "--no-access-log", "--log-level", "warning"),
            "/", lambda records: records, lambda answer: [],
        ),
        Peer(
            MLFLOW, ("mlflow", *FITTED), ("mlflow", "models", "serve", "-m", "mlflow", "--env-manager", "local", *AT),
            "/invocations", lambda records: {"dataframe_records": records}, lambda answer: last(answer["predictions"]),
            (("MLFLOW_DISABLE_TELEMETRY", "true"),),
        ),
        Peer(
            "bentoml", ("bentoml", *FITTED), ("bentoml", "serve", "bento:Predicting", *AT),
            "/predict", lambda records: {"rows": records}, last,
            (("BENTOML_DO_NOT_TRACK", "true"), ("BENTOML_HOME", "bentoml")),
        ),
        Peer(
            "litserve", ("litserve", *FITTED), ("python", "{servers}/lit.py", "{port}"),
            "/predict", lambda records: {"rows": records}, lambda answer: last(answer["probabilities"]),
        ),
        Peer(
            "mlserver", ("mlserver", "mlserver-sklearn", "uvloop<0.22", *FITTED), ("mlserver", "start", "."),
            "/v2/models/model/infer", columns, lambda answer: answer["outputs"][0]["data"][1::2],
            (("MLSERVER_HOST", "127.0.0.1"), ("MLSERVER_HTTP_PORT", "{port}"), ("MLSERVER_GRPC_PORT", "{second_port}"),
             ("MLSERVER_METRICS_PORT", "{third_port}")),
        ),
        Peer(
            "fastapi", ("fastapi", "uvicorn[standard]", *FITTED), (*UVICORN, "fast:app", *AT),
            "/predict", lambda records: records, last,
        ),
    )
}  # fmt: skip
