"""Every number that evaluate reports: its formula, which way is better, its range and its source.

conf/evaluation/REFERENCE.md is compiled from here (`python -m tools.glossary`); a test refuses a number without entry.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One number: what it says, how it is computed, and who to ask."""

    title: str
    formula: str
    tasks: str  # binary, multiclass, regression
    higher_is_better: bool | None  # None: neither way
    span: str  # what values it can have
    source: str
    scikit_learn: str | None = None  # the function of sklearn.metrics that tests hold it equal to, with its arguments


BOTH = "binary, multiclass"
POSITIVE = "p is the probability of the positive class"
GLOSSARY: dict[str, Entry] = {
    "roc_auc": Entry(
        "Area under the ROC curve",
        "share of pairs of a positive and a negative row in which the positive one has the higher score, ties half; by "
        "class, of that class against all others",
        BOTH, True, "0 to 1; 0.5 by chance", "Hanley & McNeil 1982", "roc_auc_score",
    ),
    "average_precision": Entry(
        "Average precision",
        "Σ over distinct scores, highest first, of (rise in recall) × (precision from that score up)",
        "binary", True, "0 to 1; the share of positive rows by chance", "Manning, Raghavan & Schütze 2008, 8.4",
        "average_precision_score",
    ),
    "log_loss": Entry(
        "Log loss", "mean of −ln(probability given to the row's class), kept within 1e-15 of 0 and 1",
        BOTH, False, "0 and more", "Good 1952", "log_loss",
    ),
    "brier": Entry(
        "Brier score", f"mean of (p − y)²; {POSITIVE}, y is 1 or 0",
        "binary", False, "0 to 1", "Brier 1950", "brier_score_loss",
    ),
    "ece": Entry(
        "Expected calibration error",
        "Σ over ten bins of (share of the rows) × |mean predicted − observed share|; the bins hold equally many test "
        "rows by predicted value, rows of equal value together; of several classes, the largest probability and "
        "whether that class is right",
        BOTH, False,
        "0 to 1; above 0 by chance even where probabilities are right: the low end of its interval takes that off",
        "Naeini et al. 2015; bins of equal count: Nguyen & O'Connor 2015; largest probability: Guo et al. 2017",
    ),
    "precision": Entry(
        "Precision", "rightly called positive / called positive at the threshold; 0 where none is called",
        BOTH, True, "0 to 1", "van Rijsbergen 1979, chapter 7", "precision_score",
    ),
    "recall": Entry(
        "Recall", "rightly called positive / positive rows", BOTH, True, "0 to 1", "van Rijsbergen 1979, chapter 7",
        "recall_score",
    ),
    "f1": Entry(
        "F1", "2 × rightly called / (called + actual)", BOTH, True, "0 to 1",
        "van Rijsbergen 1979, chapter 7", "f1_score",
    ),
    "mcc": Entry(
        "Matthews' correlation coefficient",
        "correlation of the calls with the classes; 0 where either has one value only",
        BOTH, True, "−1 to 1; 0 by chance", "Matthews 1975; several classes: Gorodkin 2004", "matthews_corrcoef",
    ),
    "cost": Entry(
        "Cost at the threshold",
        "mean over rows of what its outcome costs, as `threshold.costs` of conf/model declares",
        "binary", False, "in the unit of the costs", "Elkan 2001",
    ),
    "accuracy": Entry(
        "Accuracy", "share of the rows that are called rightly", "multiclass", True, "0 to 1", "by definition",
        "accuracy_score",
    ),
    "macro_f1": Entry(
        "Macro F1",
        "mean of the classes' F1, each class counting alike; a class neither there nor called does not count",
        "multiclass", True, "0 to 1", "Opitz & Burst 2019", "f1_score(average='macro')",
    ),
    "micro_f1": Entry(
        "Micro F1", "F1 of all calls of all classes together: with one class a row, the accuracy",
        "multiclass", True, "0 to 1", "Manning, Raghavan & Schütze 2008, 13.6", "f1_score(average='micro')",
    ),
    "weighted_f1": Entry(
        "Weighted F1", "mean of the classes' F1, each class counting by its rows",
        "multiclass", True, "0 to 1", "by definition", "f1_score(average='weighted')",
    ),
    "macro_roc_auc": Entry(
        "Macro ROC AUC",
        "mean over the classes of ROC AUC of that class against all others; a class without rows does not count",
        "multiclass", True, "0 to 1; 0.5 by chance", "Fawcett 2006, 8", "roc_auc_score(multi_class='ovr')",
    ),
    "mae": Entry(
        "Mean absolute error", "mean of |actual − predicted|", "regression", False, "0 and more, in the target's unit",
        "by definition", "mean_absolute_error",
    ),
    "rmse": Entry(
        "Root mean squared error", "√ mean of (actual − predicted)²",
        "regression", False, "0 and more, in the target's unit", "by definition", "root_mean_squared_error",
    ),
    "median_ae": Entry(
        "Median absolute error",
        "median of |actual − predicted|; of an even number of rows, the mean of the two in the middle",
        "regression", False, "0 and more, in the target's unit", "by definition", "median_absolute_error",
    ),
    "r2": Entry(
        "R2", "1 − Σ (actual − predicted)² / Σ (actual − mean actual)²",
        "regression", True, "1 and less; 0 for the mean of the test rows", "Draper & Smith 1998, 1.3", "r2_score",
    ),
    "pinball": Entry(
        "Pinball loss", "mean of max(q e, (q − 1) e), e = actual − predicted, q the declared `objective.quantile`",
        "regression", False, "0 and more, in the target's unit", "Koenker & Bassett 1978", "mean_pinball_loss",
    ),
    "coverage": Entry(
        "Coverage", "share of the rows inside their prediction interval; should be `interval.level`",
        "regression", None, "0 to 1", "Lei et al. 2018",
    ),
    "interval_width": Entry(
        "Width of the prediction interval", "mean of (upper end − lower end)",
        "regression", False, "0 and more, in the target's unit", "Lei et al. 2018",
    ),
    "pinball_low": Entry(
        "Pinball loss of the lower end", "as `pinball`, of the interval's lower end at q = (1 − level) / 2",
        "regression", False, "0 and more, in the target's unit", "Gneiting & Raftery 2007, 6.2", "mean_pinball_loss",
    ),
    "pinball_high": Entry(
        "Pinball loss of the upper end", "as `pinball`, of the interval's upper end at q = (1 + level) / 2",
        "regression", False, "0 and more, in the target's unit", "Gneiting & Raftery 2007, 6.2", "mean_pinball_loss",
    ),
    "mean_error": Entry(
        "Mean error", "mean of (actual − predicted); above 0 where the answers are too low",
        "regression", None, "in the target's unit", "by definition",
    ),
}  # fmt: skip
