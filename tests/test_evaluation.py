from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossrank.evaluation import MEASURES, ranking_measures


def test_known_rankings_have_known_figures() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.1, 0.5, 0.9]])
    values = ranking_measures(scores, [[0], [0]])
    assert values["P@1"] == 0.5
    assert values["RR@10"] == pytest.approx((1 + 1 / 3) / 2)
    assert values["nDCG@10"] == pytest.approx((1 + 1 / math.log2(4)) / 2)


def test_a_right_answer_below_ten_counts_nothing() -> None:
    scores = -np.arange(12.0)[None, :]
    assert ranking_measures(scores, [[10]]) == dict.fromkeys(MEASURES, 0.0)


def test_two_right_answers_share_the_ideal() -> None:
    values = ranking_measures(np.array([[3.0, 2.0, 1.0]]), [[0, 2]])
    ideal = 1 + 1 / math.log2(3)
    assert values["nDCG@10"] == pytest.approx((1 + 1 / math.log2(4)) / ideal)


def test_equal_scores_keep_column_order() -> None:
    assert ranking_measures(np.zeros((1, 20)), [[0]])["P@1"] == 1
    assert ranking_measures(np.zeros((1, 20)), [[1]])["RR@10"] == 0.5


def test_a_row_for_every_question_is_needed() -> None:
    with pytest.raises(ValueError, match="2 rows of scores"):
        ranking_measures(np.zeros((2, 3)), [[0]])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 30))
def test_measures_equal_their_formulas(seed: int, questions: int, documents: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.normal(size=(questions, documents))
    right = random.integers(0, documents, size=questions)
    values = ranking_measures(scores, [[int(r)] for r in right])
    places = [(row > row[r]).sum() + 1 for row, r in zip(scores, right, strict=True)]
    seen = [p if p <= 10 else math.inf for p in places]
    assert values["P@1"] == pytest.approx(np.mean([p == 1 for p in places]))
    assert values["RR@10"] == pytest.approx(np.mean([1 / p for p in seen]))
    assert values["nDCG@10"] == pytest.approx(np.mean([1 / math.log2(p + 1) for p in seen]))
