"""Features of texts: length, number of words, what their grams say of the target, and components of their TF-IDF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.runtime.contract_sql import identifier
from stages.runtime.grams import UNIT, grams_sql
from stages.runtime.operation import Feature
from stages.shared.features.components import component_features
from stages.shared.features.crossfit import FOLDS, Answer, Counts, count, without_folds
from stages.shared.features.schema import Text

if TYPE_CHECKING:
    import duckdb
    import numpy as np

DOUBT = 1.0  # rows added to each side of a ratio of counts
SMOOTHING = 20.0  # rows by which a gram's mean target is drawn to the whole's


def text_features(connection: duckdb.DuckDBPyConnection, name: str, conf: Text, answer: Answer | None) -> list[Feature]:
    """Return the features of one text; `answer` is there where grams are asked for."""
    features: list[Feature] = [
        {"name": f"{name}.{measure}", "op": measure, "column": name} for measure in conf.measures
    ]
    if answer is not None and conf.grams:
        present = _present(connection, name, answer)
        for kind in conf.grams:
            grams = f"unnest(list_distinct({grams_sql(identifier(name), kind)}))"
            source = f"SELECT {grams} AS _name, _fold, _label, _amount FROM learnt"
            counts = count(connection, answer, source, conf.min_rows, conf.max_grams)
            features += _scores(name, kind, counts, present, answer)
            if conf.components and counts.names:
                features += component_features(connection, name, kind, conf.components, counts, int(present.rows.sum()))
    return features


def text_faults(name: str, conf: Text) -> list[str]:
    """Return what is wrong with asking for components: there are no grams to make them of."""
    if conf.components and not conf.grams:
        return [f"text.components of {name}: {conf.components} components of no grams; name some under text.grams"]
    return []


def _present(connection: duckdb.DuckDBPyConnection, name: str, answer: Answer) -> Counts:
    """Return the counts of the training rows that have a text."""
    source = f"SELECT '' AS _name, _fold, _label, _amount FROM learnt WHERE {identifier(name)} IS NOT NULL"
    return count(connection, answer, source, 1, 1)


def _scores(name: str, kind: str, counts: Counts, present: Counts, answer: Answer) -> list[Feature]:
    """Return a feature for each output: of classes the sum of the grams' log ratios, of a number their mean effect."""
    features: list[Feature] = []
    if not counts.names:
        return features
    for output in answer.outputs:
        weigh = _effects if answer.is_number else _log_ratios
        weights = [weights.tolist() for weights in weigh(counts, present, answer, output)]
        feature = {"op": "score", "column": name, "grams": kind, "mean": answer.is_number, "tokens": counts.names}
        own = f"{name}.{kind}" + ("_score" if answer.n_labels <= 2 else f"_score_{output}")
        folds = [{"weights": others} for others in weights[1:]]
        features.append({"name": own, **feature, "weights": weights[0], "folds": folds})
    return features


def _log_ratios(counts: Counts, present: Counts, answer: Answer, output: int) -> list[np.ndarray[Any, Any]]:
    """Return how much likelier each gram is in a text of the class than in others, in logarithms.

    (The log-count ratio of S. Wang and C. Manning, ACL 2012, section 2.)
    """
    import numpy as np

    found = []
    for rows, texts in zip(without_folds(counts.rows), without_folds(present.rows), strict=True):
        own, all_texts = rows[:-1, output], texts[0]
        others = rows[:-1].sum(axis=1) - own
        share = (own + DOUBT) / (all_texts[output] + 2 * DOUBT)
        other_share = (others + DOUBT) / (all_texts.sum() - all_texts[output] + 2 * DOUBT)
        found.append(np.rint(np.log(share / other_share) * UNIT).astype(int))
    return found


def _effects(counts: Counts, present: Counts, answer: Answer, output: int) -> list[np.ndarray[Any, Any]]:
    """Return how far the mean target of the texts with each gram lies from that of all texts, in the answer's scale."""
    import numpy as np

    found = []
    pairs = zip(without_folds(counts.rows), without_folds(counts.totals), strict=True)
    wholes = zip(without_folds(present.rows), without_folds(present.totals), strict=True)
    for (rows, totals), (n_texts, sums) in zip(pairs, wholes, strict=True):
        mean = sums[0, 0] / max(1.0, n_texts[0, 0])
        n, total = rows[:-1, 0], totals[:-1, 0]
        found.append(np.rint((total - n * mean) / (n + SMOOTHING) / answer.scale * UNIT).astype(int))
    assert len(found) == FOLDS + 1
    return found
