"""LightGBM's own predictor, called through its C interface: microseconds a row, and no scikit-learn or pandas import.

Interface: https://lightgbm.readthedocs.io/en/stable/C-API.html. A row scores the same alone and in a matrix.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FLOAT64, ROW_MAJOR = 1, 1  # C_API_DTYPE_FLOAT64, is_row_major
NORMAL, CONTRIB = 0, 3  # C_API_PREDICT_NORMAL, C_API_PREDICT_CONTRIB
ALL_TREES = -1


class Booster:
    """A LightGBM model from its text; `n_outputs` is 1, or the number of classes."""

    def __init__(self, text: str, n_outputs: int) -> None:
        self._handle = ctypes.c_void_p()
        self._library = _library()
        self.n_outputs = n_outputs
        self._threads: threading.local | None = threading.local()
        n_iterations = ctypes.c_int()
        self._call(
            "LGBM_BoosterLoadModelFromString", text.encode(), ctypes.byref(n_iterations), ctypes.byref(self._handle)
        )

    def __del__(self) -> None:
        self._threads = None  # their predictors hold locks of the booster
        if self._handle:
            self._library.LGBM_BoosterFree(self._handle)

    def predict_matrix(self, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return probabilities or values, shape (n_rows, n_outputs), of features, shape (n_rows, n_features)."""
        import numpy as np

        X = np.ascontiguousarray(X, dtype=np.float64)
        out = np.empty((len(X), self.n_outputs))
        if len(X):
            data, answer = X.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
            self._predict(data, len(X), X.shape[1], b"", answer)
        return out

    def predict_row(self, row: list[float]) -> list[float]:
        """Return probabilities or values, shape (n_outputs,), of one row's features, on the calling thread."""
        threads = self._threads
        try:
            predict = threads.predict  # type: ignore[union-attr]
        except AttributeError:
            predict = threads.predict = RowPredictor(self._library, self._handle, len(row), self.n_outputs)  # type: ignore[union-attr]
        return predict(row)  # type: ignore[no-any-return]

    def contributions_row(self, row: list[float]) -> list[list[float]]:
        """Return what each feature adds to the raw score, and the base value last, shape (n_outputs, n_features + 1).

        They are Shapley values of the trees. Source: Lundberg et al. 2018, arXiv:1802.03888.
        """
        data = (ctypes.c_double * len(row))(*row)
        width = len(row) + 1
        out = (ctypes.c_double * (self.n_outputs * width))()
        self._predict(data, 1, len(row), b"num_threads=1", out, CONTRIB)
        return [list(out[start : start + width]) for start in range(0, len(out), width)]

    def _predict(self, data: Any, n_rows: int, n_columns: int, parameters: bytes, out: Any, what: int = NORMAL) -> None:
        length = ctypes.c_int64()
        self._call(
            "LGBM_BoosterPredictForMat",
            self._handle,
            data,
            FLOAT64,
            ctypes.c_int32(n_rows),
            ctypes.c_int32(n_columns),
            ROW_MAJOR,
            what,
            0,
            ALL_TREES,
            parameters,
            ctypes.byref(length),
            out,
        )

    def _call(self, function: str, *arguments: Any) -> None:
        _check(self._library, getattr(self._library, function)(*arguments))


class RowPredictor:
    """LightGBM's predictor of single rows with its buffers: for one thread only, and not longer than its booster."""

    def __init__(self, library: ctypes.CDLL, booster: ctypes.c_void_p, n_features: int, n_outputs: int) -> None:
        self._library = library
        self._handle = ctypes.c_void_p()
        self._row: Any = (ctypes.c_double * n_features)()
        self._out: Any = (ctypes.c_double * n_outputs)()
        settings = (NORMAL, 0, ALL_TREES, FLOAT64, ctypes.c_int32(n_features), b"num_threads=1")
        _check(
            library, library.LGBM_BoosterPredictForMatSingleRowFastInit(booster, *settings, ctypes.byref(self._handle))
        )
        self._predict = library.LGBM_BoosterPredictForMatSingleRowFast
        length = ctypes.byref(ctypes.c_int64())
        self._arguments = (self._handle, ctypes.byref(self._row), length, ctypes.byref(self._out))

    def __del__(self) -> None:
        if self._handle:
            self._library.LGBM_FastConfigFree(self._handle)

    def __call__(self, row: list[float]) -> list[float]:
        """Return probabilities or values, shape (n_outputs,), of one row's features."""
        self._row[:] = row
        if self._predict(*self._arguments) != 0:
            _check(self._library, -1)
        return list(self._out)


def _check(library: ctypes.CDLL, status: int) -> None:
    if status != 0:
        raise RuntimeError(f"LightGBM: {library.LGBM_GetLastError().decode()}")


@cache
def _library() -> ctypes.CDLL:
    """Return LightGBM's shared library out of the installed package, which is not imported."""
    spec = find_spec("lightgbm")
    if spec is None or spec.origin is None:
        raise ImportError("lightgbm is not installed")
    found = sorted(Path(spec.origin).parent.glob("**/*lib_lightgbm.*"))
    try:
        library = ctypes.CDLL(str(found[0]))
    except OSError as error:  # Debian's slim images have no libgomp1, for one
        raise ImportError(f"LightGBM's library does not load: {error}") from None
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library
