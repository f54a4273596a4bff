"""Sums over many resamples at once: W says how often each row stands in each of them (draws.py).

Counts are whole numbers and are added as such, exactly; numbers are added in a fixed order, on one thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.shared.evaluation.draws import Draws

Array = np.ndarray[Any, Any]


def running(weights: Array) -> Array:
    """Return cumulative sums over the rows; counts stay whole numbers of 32 bits, which is where the speed is."""
    return np.asarray(weights.cumsum(1, dtype=weights.dtype))


def take(sums: Array, places: Array) -> Array:
    """Return the columns at some places: several times faster than sums[:, places]."""
    return np.asarray(np.take(sums, places, axis=1))


def ratio(numerator: Array, denominator: Array, without: float = 0.0) -> Array:
    """Return the quotient, `without` where the denominator is 0."""
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    return np.asarray(np.divide(numerator, denominator, out=np.full(shape, without), where=denominator != 0))


def mean(W: Draws, values: Array) -> Array:
    """Return the weighted means of values, shape (n_rows,), NaN where a resample has no row."""
    return ratio(W.sum(values), W.total, np.nan)


class Parts:
    """Rows dealt into numbered parts, each summed by itself."""

    def __init__(self, part: Array, n_parts: int) -> None:
        self.order = np.argsort(part, kind="stable")
        self.n_parts = n_parts
        self.present, self.starts = np.unique(part[self.order], return_index=True)

    def sums(self, W: Draws, *values: Array) -> list[Array]:
        """Return the sums of the weights and of each values, in the parts' `order`: each (n_resamples, n_parts)."""
        ordered = W.at(self.order)
        return [self._added(ordered), *(self._added(ordered * own) for own in values)]

    def _added(self, ordered: Array) -> Array:
        found = np.zeros((len(ordered), self.n_parts), dtype=ordered.dtype)
        if len(self.starts):
            found[:, self.present] = np.add.reduceat(ordered, self.starts, axis=1)
        return found


class Ranking:
    """Rows by falling score, rows of equal score as one step."""

    def __init__(self, actual: Array, score: Array) -> None:
        self.order = np.argsort(-score, kind="stable")
        sorted_score, self.is_positive = score[self.order], actual[self.order]
        self.ends = np.flatnonzero(np.append(np.diff(sorted_score) != 0, True))
        self.steps = sorted_score[self.ends]
        counts = np.diff(np.cumsum(self.is_positive)[self.ends], prepend=0)
        self.with_positive = np.flatnonzero(counts)  # the only steps that either area asks

    def count(self, W: Draws) -> tuple[Array, Array]:
        """Return the weight (of positive rows, of all rows) down to each step, both (n_resamples, n_steps)."""
        ordered = W.at(self.order)
        hits, called = running(ordered * self.is_positive), running(ordered)
        return (hits, called) if len(self.ends) == len(self.order) else (take(hits, self.ends), take(called, self.ends))

    def areas(self, hits: Array, called: Array) -> tuple[Array, Array]:
        """Return ROC AUC and average precision of what `count` gave, NaN without rows of both kinds.

        ROC AUC is the share of pairs whose positive row has the higher score, ties half: Hanley & McNeil 1982.
        """
        n_positive, n_negative = hits[:, -1].astype(float), (called[:, -1] - hits[:, -1]).astype(float)
        hits_at, called_at = (take(part, self.with_positive).astype(float) for part in (hits, called))
        hits_before, called_before = (self._before(part) for part in (hits, called))
        found = hits_at - hits_before
        above = called_at - hits_at + called_before - hits_before  # negatives above, twice; those of equal score once
        pairs = n_positive * n_negative - (found * above).sum(1) / 2
        precision = (hits_at / (called_at + (called_at == 0)) * found).sum(1)
        is_defined = (n_positive > 0) & (n_negative > 0)
        roc_auc = np.where(is_defined, ratio(pairs, n_positive * n_negative), np.nan)
        return roc_auc, np.where(is_defined, ratio(precision, n_positive), np.nan)

    def _before(self, running_sums: Array) -> Array:
        """Return the sums above each step that has a positive row."""
        found = take(running_sums, np.maximum(self.with_positive - 1, 0)).astype(float)
        if len(self.with_positive) and self.with_positive[0] == 0:
            found[:, 0] = 0
        return found


class Gaps:
    """Expected calibration error: the rows by predicted share in ten bins of equal count, equal scores together.

    The error is the weighted mean over bins of |mean predicted - observed share|. Bins of equal count: Nguyen &
    O'Connor 2015; the error: Naeini et al. 2015. The bins are those of the sample in every resample.

    Chance only adds to it, and adds again in each resample. So a resample is asked something else: which share of the
    sample's gaps, with this resample's chance on top, makes the error that the sample has? That share of the sample's
    error is a resample's value, 0 where chance alone makes more. Percentiles of these values are the errors at which
    the sample's would be just too large, or too small, to be chance.
    """

    N_BINS = 10

    def __init__(self, predicted: Array, observed: Array) -> None:
        order = np.argsort(predicted, kind="stable")
        ranks = np.empty(len(predicted), dtype=int)
        ranks[order] = np.searchsorted(predicted[order], predicted[order], side="left")  # the first of equals
        self.parts = Parts(ranks * self.N_BINS // max(1, len(predicted)), self.N_BINS)
        self.gap = (predicted - observed)[self.parts.order]

    def error(self, W: Draws) -> Array:
        """Return the sample's error and what explains it in each resample, NaN where there is no row."""
        found = self._by_bin(W)
        if not W.is_resampled:
            return np.asarray(np.abs(found).sum(1))
        sample = W.units.once("gaps", self, lambda: self._by_bin(W.sample()))
        return np.asarray(np.abs(sample).sum() * explaining_share(sample[0], found - sample))

    def _by_bin(self, W: Draws) -> Array:
        """Return each bin's part of the mean gap, shape (n_resamples, N_BINS)."""
        weights, gaps = self.parts.sums(W, self.gap)
        return ratio(gaps, weights.sum(1)[:, None], np.nan)


def explaining_share(gaps: Array, chance: Array) -> Array:
    """Return the largest s of each row of chance, shape (n, n_gaps), with sum |s gaps + chance| = sum |gaps|, or 0.

    The sum is convex and made of straight pieces: Newton's steps from the right end of them meet the largest s.
    """
    size = np.abs(gaps).sum()
    is_gap = np.abs(gaps) > 1e-12 * size  # others are rounding
    turns = -chance[:, is_gap] / gaps[is_gap]  # of the straight pieces
    share = 1 + np.abs(turns).max(1, initial=0)
    for _ in range(len(gaps) + 1):  # one piece at least is left behind by each step
        line = share[:, None] * gaps + chance
        excess, slope = np.abs(line).sum(1) - size, (np.sign(line) * gaps).sum(1)
        share = np.maximum(0, share - ratio(excess, np.where(slope > 0, slope, 0)))
        share = np.where(slope > 0, share, 0)
    return np.asarray(np.where(np.isnan(chance).any(1), np.nan, share))
