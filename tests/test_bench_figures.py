from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from suite.figures import agreement, percentile, settled, spearman, spread  # noqa: E402


def test_spread_is_the_median_and_the_range() -> None:
    one = spread([3.0, 1.0, 10.0, 2.0])
    assert (one.median, one.low, one.high) == (2.5, 1.0, 10.0)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.95, 95), (1.0, 100), (0.001, 1)])
def test_percentile_is_a_measured_value(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == expected


def scores_of(questions: int, documents: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=questions * documents).astype(np.float32)


def test_equal_scores_agree_in_everything() -> None:
    scores = scores_of(3, 20)
    one = agreement(scores, scores, [20, 20, 20])
    assert (one.pairs, one.questions) == (60, 3)
    assert (one.same_set, one.same_order) == (1, 1)
    assert one.spearman == pytest.approx(1)
    assert (one.largest, one.mean) == (0, 0)


def test_order_and_set_of_the_top_ten_are_told_apart() -> None:
    reference = np.tile(np.arange(20, 0, -1, dtype=np.float32), 3)
    scores = reference.copy()
    # In the second question the first two change places, in the third the 10th and 11th.
    scores[[20, 21]] = scores[[21, 20]]
    scores[[49, 50]] = scores[[50, 49]]
    one = agreement(scores, reference, [20, 20, 20])
    assert one.same_set == pytest.approx(2 / 3)
    assert one.same_order == pytest.approx(1 / 3)
    assert one.largest == 1
    assert one.mean == pytest.approx(4 / 60)


def test_questions_of_ten_documents_say_nothing_about_a_top_ten() -> None:
    scores = scores_of(1, 12)
    assert agreement(scores, scores, [1, 1, 10]).questions == 0
    assert math.isnan(agreement(scores, scores, [1, 1, 10]).same_set)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(broken: float) -> None:
    scores = scores_of(1, 12)
    bad = scores.copy()
    bad[3] = broken
    with pytest.raises(ValueError, match="finite"):
        agreement(bad, scores, [12])


def test_missing_scores_are_refused() -> None:
    scores = scores_of(1, 12)
    with pytest.raises(ValueError, match="11 scores for 12 pairs"):
        agreement(scores[:-1], scores, [12])


def test_spearman_equals_scipys_with_ties() -> None:
    draw = np.random.default_rng(1)
    first = draw.integers(0, 5, 50).astype(np.float32)
    second = first + draw.normal(size=50).astype(np.float32)
    assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert math.isnan(spearman(first, np.ones(50, dtype=np.float32)))


def test_memory_is_flat_if_it_stands_still_after_the_first_tenth() -> None:
    share, flat = settled([10.0] * 10 + [100.0, 104.0] * 45)
    assert (share, flat) == (4 / 102, True)
    assert settled([10.0] * 11 + [100.0] * 89)[1] is False
    assert settled([5.0]) == (0, True)
