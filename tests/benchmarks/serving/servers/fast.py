"""FastAPI around the Pipeline: a pydantic model of a row, a DataFrame of the rows, P(each class). uvicorn fast:app"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import joblib
from fastapi import FastAPI
from pipeline import frame
from pydantic import create_model

TYPES = {"str": str, "datetime64[us]": datetime, "bool": bool, "float64": float}
DTYPES: dict[str, str] = json.loads(Path("dtypes.json").read_text())
Row: Any = create_model("Row", **{name: (TYPES[dtype] | None, None) for name, dtype in DTYPES.items()})
app = FastAPI()
model = joblib.load("pipeline.joblib")


@app.post("/predict")
def predict(rows: list[Row]) -> list[list[float]]:
    """Return P(each class) of each row."""
    return model.predict_proba(frame([row.model_dump() for row in rows], DTYPES)).tolist()
