"""Medians, ranges, and how far two rankings agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP = 10
EXACT_TOLERANCE = 1e-3
"""A contender that claims fp32's logits and is further off than this gets no figures."""
FLAT_SHARE = 0.05
_SETTLED_AFTER = 0.1

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Spread:
    """The median of repeated measurements and their range, in their unit."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """Logits against the reference's.

    Attributes:
        pairs: compared.
        questions: those with more than ten documents, for which a top 10 says something.
        same_set: share of questions whose first ten documents are the same ones.
        same_order: share of questions with the same ten in the same order.
        largest, mean: absolute difference of logits.
        spearman: rank correlation over all pairs.
    """

    pairs: int
    questions: int
    same_set: float
    same_order: float
    largest: float
    mean: float
    spearman: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def agreement(scores: FloatArray, reference: FloatArray, sizes: Sequence[int]) -> Agreement:
    """Compare logits with the reference's.

    Args:
        scores, reference: fp32 ``[pairs]``, group by group.
        sizes: documents of each group; they add up to the pairs.

    Raises:
        ValueError: the shapes differ, or a score is not finite.
    """
    if scores.shape != reference.shape or sum(sizes) != len(reference):
        raise ValueError(f"{len(scores)} scores for {len(reference)} pairs")
    if not np.isfinite(scores).all():
        raise ValueError("scores that are no finite numbers")
    sets, orders = [], []
    start = 0
    for size in sizes:
        rows = slice(start, start + size)
        start += size
        if size <= TOP:
            continue
        tops = [np.argsort(-part[rows], kind="stable")[:TOP] for part in (scores, reference)]
        sets.append(set(tops[0]) == set(tops[1]))
        orders.append(bool((tops[0] == tops[1]).all()))
    difference = np.abs(scores.astype(np.float64) - reference)
    return Agreement(
        pairs=len(reference),
        questions=len(sets),
        same_set=float(np.mean(sets)) if sets else math.nan,
        same_order=float(np.mean(orders)) if orders else math.nan,
        largest=float(difference.max()),
        mean=float(difference.mean()),
        spearman=spearman(scores, reference),
    )


def spearman(first: FloatArray, second: FloatArray) -> float:
    """Rank correlation, ties at their mean rank; NaN where either is constant."""
    ranks = [_ranks(values) for values in (first, second)]
    deviations = [rank - rank.mean() for rank in ranks]
    scale = math.sqrt(float((deviations[0] ** 2).sum() * (deviations[1] ** 2).sum()))
    return float((deviations[0] * deviations[1]).sum()) / scale if scale else math.nan


def _ranks(values: FloatArray) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)


def settled(samples: Sequence[float]) -> tuple[float, bool]:
    """How far memory wanders once it is warm.

    Args:
        samples: at even intervals; the first tenth is left out.

    Returns:
        (highest - lowest) / median of the rest, and whether that is at most 5 %.
    """
    rest = samples[math.ceil(len(samples) * _SETTLED_AFTER) :] or samples
    share = (max(rest) - min(rest)) / median(rest)
    return share, share <= FLAT_SHARE
