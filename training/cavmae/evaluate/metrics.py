"""What is measured, as pure functions of scores. Equal scores count against; what is not a number is an error."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class Metric:
    """One number of a card or a report."""

    name: str
    value: float
    interval: tuple[float, float] | None  # 95 %, bootstrap over items
    data: str
    note: str = "measured"

    def json(self) -> dict:
        return {"name": self.name, "value": self.value, "interval": self.interval, "data": self.data, "note": self.note}


def strict_ranks(similarity: np.ndarray) -> np.ndarray:
    """Place of each row's own column, 1 = best; equal scores count against.              [n]"""
    _expect_numbers(similarity)
    own = np.diagonal(similarity)[:, None]
    return (similarity >= own).sum(axis=1)  # the own score counts once


def recall(ranks: np.ndarray, k: int) -> np.ndarray:
    """Share of ranks up to k, over the last axis."""
    return (ranks <= k).mean(axis=-1)


def reciprocal(ranks: np.ndarray) -> np.ndarray:
    """Mean reciprocal rank, over the last axis."""
    return (1 / ranks).mean(axis=-1)


def average_precision(scores: np.ndarray, hit: np.ndarray, weight: np.ndarray | float = 1.0) -> np.ndarray:
    """Mean over the positives of the precision among all that score as high or higher; NaN without positives.

    `weight` counts each item, so that rows of it are bootstrap draws.                    [n], [n], [..., n] -> [...]
    """
    _expect_numbers(scores)
    order = np.argsort(-scores, kind="stable")
    last = np.searchsorted(-scores[order], -scores[order], side="right") - 1  # of each run of equal scores
    every = np.broadcast_to(weight, (*np.shape(weight)[:-1], len(scores)))[..., order]
    positive = every * hit[order]
    precision = (positive.cumsum(-1) / np.maximum(every.cumsum(-1), 1))[..., last]
    return _ratio((precision * positive).sum(-1), positive.sum(-1))


def roc_auc(scores: np.ndarray, hit: np.ndarray, weight: np.ndarray | float = 1.0) -> np.ndarray:
    """Chance that a positive scores above a negative, a tie being half; NaN where one of them is missing.

    `weight` as in average_precision.                                                     [n], [n], [..., n] -> [...]
    """
    _expect_numbers(scores)
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    every = np.broadcast_to(weight, (*np.shape(weight)[:-1], len(scores)))[..., order]
    positive = every * hit[order]
    negative = every - positive
    up_to = negative.cumsum(-1)
    below = (up_to - negative)[..., np.searchsorted(ranked, ranked, side="left")]
    not_above = up_to[..., np.searchsorted(ranked, ranked, side="right") - 1]
    return _ratio((positive * (below + not_above)).sum(-1), 2 * positive.sum(-1) * negative.sum(-1))


def d_prime(auc: float) -> float:
    """Distance of two unit Gaussians that overlap as much, sqrt(2) * inverse normal; infinite for an AUC of 0 or 1."""
    if 0 < auc < 1:
        return math.sqrt(2) * NormalDist().inv_cdf(auc)
    return math.inf * (auc - 0.5)


def resamples(count: int, seed: int = 0, draws: int = 2000) -> np.ndarray:
    """Bootstrap: numbers of `count` items drawn with replacement.                        [draws, count]"""
    if count < 1:
        raise ValueError("Expected at least one item to measure, got none")
    return np.random.default_rng(seed).integers(count, size=(draws, count))


def counts(rows: np.ndarray) -> np.ndarray:
    """How often each draw took each item: weights instead of row numbers.                [draws, n] -> [draws, n]"""
    return np.stack([np.bincount(row, minlength=len(row)) for row in rows])


def measured(name: str, value: float, draws: np.ndarray, data: str, digits: int = 1) -> Metric:
    """A value with the middle 95 % of its bootstrap draws."""
    low, high = np.nanpercentile(draws, (2.5, 97.5), method="nearest")
    return Metric(name, round(float(value), digits), (round(float(low), digits), round(float(high), digits)), data)


def bootstrapped(
    name: str, values: np.ndarray, statistic: Callable, data: str, digits: int = 1, seed: int = 0
) -> Metric:
    """`statistic` works over the last axis of the values, or of rows of them drawn with replacement."""
    return measured(name, statistic(values), statistic(values[resamples(len(values), seed)]), data, digits)


def table(metrics: list[Metric]) -> str:
    """Markdown rows."""
    lines = ["| measure | value | 95 % interval | data |", "|---|---|---|---|"]
    for m in metrics:
        interval = f"{m.interval[0]} to {m.interval[1]}" if m.interval else m.note
        lines.append(f"| {m.name} | {m.value} | {interval} | {m.data} |")
    return "\n".join(lines)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.asarray(part / whole)


def _expect_numbers(scores: np.ndarray) -> None:
    bad = np.size(scores) - np.count_nonzero(np.isfinite(scores))
    if bad:
        raise ValueError(f"Expected finite scores, got {bad} of {np.size(scores)} that are not: is the encoder broken?")
