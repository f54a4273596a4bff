"""Saves the Pipeline as a peer wants it; runs in that peer's environment.

    python save.py PEER MODEL FOLDER

MODEL is the wheel's model folder; FOLDER gets pipeline.joblib and dtypes.json, for MLflow a model of its own in
FOLDER/mlflow, and for MLServer the settings beside it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import joblib
import pipeline
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer


def main() -> None:
    """Build and save."""
    peer, model, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    fitted, dtypes = pipeline.build(model), pipeline.input_dtypes(model)
    if peer == "mlserver":  # whose protocol knows neither moments nor missing values: the Pipeline itself types columns
        first = FunctionTransformer(pipeline.typed, kw_args={"dtypes": dtypes})
        fitted = Pipeline([("typed", first), *fitted.steps])
    joblib.dump(fitted, folder / "pipeline.joblib")
    (folder / "dtypes.json").write_text(json.dumps(dtypes))
    if peer == "mlflow":
        save_mlflow(fitted, pipeline.frame(pipeline.example_records(model), dtypes), folder / "mlflow")
    if peer == "mlserver":
        settings = {"name": "model", "implementation": "mlserver_sklearn.SKLearnModel"}
        settings["parameters"] = {"uri": "./pipeline.joblib", "content_type": "pd"}
        (folder / "model-settings.json").write_text(json.dumps(settings))


def save_mlflow(fitted: Any, rows: Any, path: Path) -> None:
    """Save with a signature, so that the scoring server gives columns their types, and the module of our functions."""
    import mlflow.sklearn
    from mlflow.models import infer_signature

    mlflow.sklearn.save_model(
        fitted,
        path,
        signature=infer_signature(rows, fitted.predict_proba(rows)),
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
        code_paths=[pipeline.__file__],
        pip_requirements=[],  # served from the environment that there is
    )


if __name__ == "__main__":
    main()
