"""Answers a Parquet file with a saved MLflow model, as its pyfunc is used in a batch job; runs in MLflow's environment.

python batch.py MODEL IN OUT DTYPES
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import mlflow
import pandas as pd

model = mlflow.pyfunc.load_model(sys.argv[1])
# The Pipeline was saved for one row at a time, on one thread; a batch may have all processors.
model.get_raw_model().named_steps["model"].estimator.set_params(n_jobs=len(os.sched_getaffinity(0)))
dtypes = json.loads(Path(sys.argv[4]).read_text())
rows = pd.read_parquet(sys.argv[2], columns=["row#", *dtypes])
found = model.predict(rows[list(dtypes)].astype(dtypes))
out = pd.DataFrame({"row#": rows["row#"], "prediction": found.argmax(axis=1)})
out["probability_0"], out["probability_1"] = found[:, 0], found[:, 1]
out.to_parquet(sys.argv[3])
