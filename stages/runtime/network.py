"""A multilayer perceptron as weights. Every unit adds its inputs one by one, so a row scores as in a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

BLOCK = 4096  # rows held at once


class Network:
    """Layers of {"weights": shape (n_in, n_out), "bias": shape (n_out,)}, rectified linear units between them."""

    def __init__(self, meta: dict[str, Any]) -> None:
        import numpy as np

        self.layers = [(np.array(layer["weights"]), np.array(layer["bias"])) for layer in meta["layers"]]

    def raw_matrix(self, X: np.ndarray[Any, Any]) -> list[list[float]]:
        """Return log odds or values, shape (n_rows, n_raw), of dense features, shape (n_rows, n_columns)."""
        import numpy as np

        blocks = [self._block(X[start : start + BLOCK]) for start in range(0, len(X), BLOCK)]
        return np.vstack(blocks).tolist() if blocks else []

    def raw_row(self, row: list[float]) -> list[float]:
        """Return `raw_matrix` of one row, bit for bit."""
        import numpy as np

        x = np.array(row)
        for depth, (weights, bias) in enumerate(self.layers):
            terms = np.vstack([bias, x[:, None] * weights])
            total = np.cumsum(terms, axis=0)[-1]  # one by one, as in the matrix; a plain sum would add by pairs
            x = total if depth == len(self.layers) - 1 else np.maximum(total, 0.0)
        return x.tolist()  # type: ignore[no-any-return]

    def _block(self, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import numpy as np

        for depth, (weights, bias) in enumerate(self.layers):
            total = np.tile(bias, (len(X), 1))
            for column, row in enumerate(weights):  # a matrix product would add in an order of its own
                total += X[:, column : column + 1] * row
            X = total if depth == len(self.layers) - 1 else np.maximum(total, 0.0)
        return X
