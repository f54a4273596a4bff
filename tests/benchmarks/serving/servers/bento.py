"""BentoML around the Pipeline: a DataFrame in, P(each class) out. bentoml serve bento:Predicting"""

import json
from pathlib import Path
from typing import Annotated

import bentoml
import joblib
import numpy as np
import pandas as pd
from bentoml.validators import DataframeSchema
from pipeline import typed


@bentoml.service
class Predicting:
    """One worker with the Pipeline in it."""

    def __init__(self) -> None:
        self.model = joblib.load("pipeline.joblib")
        self.dtypes = json.loads(Path("dtypes.json").read_text())

    @bentoml.api
    def predict(self, rows: Annotated[pd.DataFrame, DataframeSchema(orient="records")]) -> np.ndarray:
        """Return P(each class) of each row."""
        return self.model.predict_proba(typed(rows, self.dtypes))
