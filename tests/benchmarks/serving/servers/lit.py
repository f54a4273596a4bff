"""LitServe around the Pipeline. python lit.py PORT"""

import json
import sys
from pathlib import Path
from typing import Any

import joblib
import litserve
from pipeline import frame


class Predicting(litserve.LitAPI):
    """One worker with the Pipeline in it."""

    def setup(self, device: str) -> None:
        """Load."""
        self.model = joblib.load("pipeline.joblib")
        self.dtypes = json.loads(Path("dtypes.json").read_text())

    def decode_request(self, request: dict[str, Any]) -> Any:
        """Return the rows as a DataFrame."""
        return frame(request["rows"], self.dtypes)

    def predict(self, rows: Any) -> Any:
        """Return P(each class)."""
        return self.model.predict_proba(rows)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Return what is sent."""
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    litserve.LitServer(Predicting(), accelerator="cpu").run(host="127.0.0.1", port=int(sys.argv[1]))
