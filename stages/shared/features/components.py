"""Features of texts that do not look at the target: the first components of the TF-IDF of their grams.

In scikit-learn's terms, of TfidfVectorizer(binary=True, smooth_idf=True, norm="l2"), reduced by TruncatedSVD(n_iter=7,
random_state=0): latent semantic analysis (S. Deerwester et al., JASIS 41(6), 1990).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.runtime.contract_sql import identifier
from stages.runtime.grams import UNIT, grams_sql
from stages.runtime.operation import Feature
from stages.shared.features.crossfit import Counts
from stages.shared.progress import say

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from scipy.sparse import csr_matrix

MOST = 10_000_000  # grams in texts: from more, a sample of the texts is taken; 300 MB
LEAST = 1e-6  # of the first singular value: what is smaller is rounding, and its direction arbitrary


def component_features(
    connection: duckdb.DuckDBPyConnection, name: str, kind: str, n_components: int, counts: Counts, n_texts: int
) -> list[Feature]:
    """Return a feature for each component, fewer where there are fewer grams, or texts that differ.

    Reads the tables `learnt` and `frequent`, as `counts` were just made of; `n_texts` training rows have a text.
    """
    import numpy as np

    n_with = counts.rows[:-1].sum(axis=(1, 2))
    idf = np.log((1 + n_texts) / (1 + n_with)) + 1
    share = min(1.0, MOST / n_with.sum())
    if share < 1:
        say(f"featurize: note: components of the {kind} of {name} are those of {share:.0%} of the training rows")
    directions = _directions(_matrix(connection, name, kind, idf, share), n_components)
    squares = np.rint(idf * idf * UNIT).astype(int).tolist()
    weights = np.rint(directions * idf * UNIT).astype(int).tolist()
    kept = {"op": "component", "column": name, "grams": kind, "tokens": counts.names, "squares": squares}
    return [
        {"name": f"{name}.{kind}_component_{number}", **kept, "weights": own} for number, own in enumerate(weights, 1)
    ]


def _matrix(
    connection: duckdb.DuckDBPyConnection, name: str, kind: str, idf: np.ndarray[Any, Any], share: float
) -> csr_matrix:
    """Return the TF-IDF of the training texts, shape (n_texts with a gram, n_grams), each row of length 1.

    Of less than all texts it is of those whose row's number has a small MD5.
    """
    import numpy as np
    from scipy.sparse import csr_matrix

    chosen = "" if share == 1 else f"WHERE (md5_number(_row::VARCHAR) >> 96) < {int(share * 2**32)}::UHUGEINT"
    grams = f"unnest(list_distinct({grams_sql(identifier(name), kind)}))"
    found = connection.execute(
        f"""SELECT _row, place FROM (SELECT _row, {grams} AS _name FROM learnt {chosen}) JOIN frequent USING (_name)
            ORDER BY _row, place"""
    ).fetchnumpy()
    _, starts, lengths = np.unique(found["_row"], return_index=True, return_counts=True)
    values = idf[found["place"]]
    norms = np.sqrt(np.add.reduceat(values * values, starts))
    bounds = np.append(starts, len(values))
    return csr_matrix((values / np.repeat(norms, lengths), found["place"], bounds), shape=(len(starts), len(idf)))


def _directions(matrix: csr_matrix, n_components: int) -> np.ndarray[Any, Any]:
    """Return the right singular vectors of the largest singular values, shape (at most n_components, n_grams).

    Each has its largest entry positive. One thread: sums over threads depend on their number.
    """
    import numpy as np
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        _, sizes, found = randomized_svd(matrix, min(n_components, *matrix.shape), n_iter=7, random_state=0)
    found = found[sizes > LEAST * sizes[0]]
    largest = np.abs(found).argmax(axis=1)
    return np.asarray(found * np.sign(found[np.arange(len(found)), largest])[:, None])
