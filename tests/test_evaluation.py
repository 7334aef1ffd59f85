from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossrank import Glossary, Term
from glossrank.calibration import SHOWN_ANSWERS, Calibration
from glossrank.evaluation import (
    LONG_QUESTION,
    MEASURES,
    QUESTION_MEASURES,
    bootstrap_interval,
    none_figures,
    paired_bootstrap,
    per_question,
    ranking_measures,
    shortlist_figures,
    shown_answers,
    slices,
)
from glossrank.judgments import JudgedQuestion


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


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 15), st.integers(1, 40))
def test_figures_per_question_equal_their_formulas(
    seed: int, questions: int, documents: int
) -> None:
    random = np.random.default_rng(seed)
    # Few values, so that there are ties; they keep column order.
    scores = random.integers(0, 5, size=(questions, documents)).astype(np.float64)
    relevant = [
        random.choice(documents, size=random.integers(1, min(4, documents) + 1), replace=False)
        for _ in range(questions)
    ]
    values = per_question(scores, [columns.tolist() for columns in relevant])
    assert set(values) == set(QUESTION_MEASURES)
    for number, columns in enumerate(relevant):
        order = np.argsort(-scores[number], kind="stable")
        places = np.flatnonzero(np.isin(order, columns)) + 1
        gain = sum(1 / math.log2(p + 1) for p in places if p <= 10)
        ideal = sum(1 / math.log2(p + 1) for p in range(1, len(columns) + 1))
        assert values["nDCG@10"][number] == pytest.approx(gain / ideal)
        assert values["RR@10"][number] == pytest.approx(1 / places[0] if places[0] <= 10 else 0)
        assert values["P@1"][number] == (places[0] == 1)
        for cut in (5, 10, 20):
            assert values[f"R@{cut}"][number] == pytest.approx((places <= cut).mean())
    means = ranking_measures(scores, [columns.tolist() for columns in relevant])
    for name in MEASURES:
        assert values[name].mean() == pytest.approx(means[name])


def test_no_question_vanishes() -> None:
    # Found nowhere near the top, and still a row; more than ten, so that "10" < "2" matters.
    scores = np.tile(-np.arange(30.0), (12, 1))
    values = per_question(scores, [[29]] * 11 + [[0]])
    for name in QUESTION_MEASURES:
        assert values[name].tolist() == [0.0] * 11 + [1.0]
    with pytest.raises(ValueError, match="question 1 has no relevant column"):
        per_question(scores[:2], [[0], []])
    with pytest.raises(ValueError, match="12 rows of scores"):
        per_question(scores, [[0]])


def test_the_interval_is_the_percentile_bootstraps() -> None:
    random = np.random.default_rng(1)
    for values in (random.normal(3, 2, 400), (random.random(400) < 0.3).astype(float)):
        found = bootstrap_interval(values)
        # The same by drawing questions one by one.
        drawn = values[random.integers(0, 400, size=(10_000, 400))].mean(axis=1)
        spread = drawn.std()
        assert found.mean == pytest.approx(values.mean())
        assert found.low == pytest.approx(np.percentile(drawn, 2.5), abs=0.15 * spread)
        assert found.high == pytest.approx(np.percentile(drawn, 97.5), abs=0.15 * spread)
    values = random.normal(size=50)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_an_interval_of_equal_values_is_a_point_and_of_none_is_refused() -> None:
    one = bootstrap_interval(np.ones(5))
    assert (one.mean, one.low, one.high) == (1, 1, 1)
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap_interval(np.empty(0))


def test_blocks_of_draws_leave_no_resample_out() -> None:
    # More levels than fit into one block.
    values = np.arange(3000.0)
    found = bootstrap_interval(values, resamples=1500)
    half = 1.96 * values.std() / math.sqrt(3000)
    assert found.low == pytest.approx(found.mean - half, rel=0.02)
    assert found.high == pytest.approx(found.mean + half, rel=0.02)


def test_a_paired_difference_sees_what_two_intervals_hide() -> None:
    random = np.random.default_rng(2)
    old = random.random(200)
    new = old + random.normal(0.02, 0.05, 200)
    better = paired_bootstrap(new, old)
    assert better.difference == pytest.approx((new - old).mean())
    assert 0 < better.low < better.difference < better.high
    assert better.verdict == "better"
    assert better.p_value < 0.05
    # Without pairing the intervals overlap.
    assert bootstrap_interval(new).low < bootstrap_interval(old).high
    worse = paired_bootstrap(old, new)
    assert worse.verdict == "worse"
    assert worse.difference == pytest.approx(-better.difference)
    assert worse.p_value < 0.05


def test_no_difference_is_not_called_one() -> None:
    same = paired_bootstrap(np.full(10, 0.1), np.full(10, 0.1))
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    assert same.verdict == "no difference shown"
    noise = np.random.default_rng(3).normal(size=100)
    assert paired_bootstrap(noise - noise.mean(), np.zeros(100)).p_value > 0.8
    # A bootstrap of 999 never shows a p-value below 2 / 1000.
    sure = paired_bootstrap(np.ones(5), np.zeros(5), resamples=999)
    assert sure.p_value == pytest.approx(0.002)
    with pytest.raises(ValueError, match="2 new values, but 1 old"):
        paired_bootstrap(np.ones(2), np.ones(1))


def term(name: str, family: str = "") -> Term:
    return Term(id=name.lower().replace(" ", "-"), term=name, definition="...", family=family)


TERMS = Glossary(
    name="test",
    terms=(
        term("Trade Payables", "working capital"),
        term("Trade Receivables", "working capital"),
        term("Inventory", "working capital"),
        term("Fair Trade", "ethics"),
        term("Billing", ""),
        term("Billing Cycle", ""),
    ),
)


def question(text: str, *relevant: str, typo: bool = False) -> JudgedQuestion:
    return JudgedQuestion(question=text, relevant=relevant, typo=typo)


def members(questions: list[JudgedQuestion], **options: set[str]) -> dict[str, list[int]]:
    found = slices(questions, TERMS, **options)
    return {name: np.flatnonzero(mask).tolist() for name, mask in found.items()}


def test_slices_hold_the_questions_they_name() -> None:
    questions = [
        question("What is our payable?", "trade-payables"),
        question("What do we owe the vendors?", "trade-payables", typo=True),
        question("Which inventories are old?", "inventory"),
        question("x" * LONG_QUESTION, "fair-trade"),
        question("x" * (LONG_QUESTION + 1), "inventory", "trade-receivables"),
        question("Who bills?", "billing"),
    ]
    assert members(questions) == {
        "typo": [1],
        "no typo": [0, 2, 3, 4, 5],
        "no shared word": [1, 3, 4],
        "shared word": [0, 2, 5],
        # "Fair Trade" is of another family, and no family is none of its own.
        "confusable": [0, 1, 4],
        "long question": [4],
    }
    trained = members(questions, trained_terms={"inventory", "of-another-glossary"})
    assert trained["seen term"] == [2, 4]
    assert trained["unseen term"] == [0, 1, 3, 5]


def test_slices_without_a_question_are_left_out() -> None:
    assert members([question("Who pays?", "billing")]) == {"no typo": [0], "no shared word": [0]}
    nothing_seen = members([question("Who pays?", "billing")], trained_terms=set())
    assert nothing_seen["unseen term"] == [0]
    assert "seen term" not in nothing_seen
    with pytest.raises(ValueError, match="question 0 has no relevant term"):
        slices([question("Who won the cup?")], TERMS)


def test_words_that_only_ask_are_not_shared() -> None:
    terms = Glossary(name="t", terms=(Term("own", "What We Have and Owe", "..."),))
    found = slices([question("What do we have?", "own"), question("Whom do we owe?", "own")], terms)
    assert found["no shared word"].tolist() == [True, False]


# Odds against none of these are exp(logit); answers are shown from even odds of them all.
PLAIN = Calibration(slope=1, intercept=0, threshold=0.5, fitted_on="nothing")
# The logit of a document that nobody would take for an answer.
NEVER = -60.0


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def share(logit: float, *others: float) -> float:
    """Probability of a document beside others and none of these, by ``PLAIN``."""
    return math.exp(logit) / (1 + math.exp(logit) + sum(map(math.exp, others)))


def test_none_figures_of_a_worked_example() -> None:
    answerable = np.array(
        [
            [2.0, NEVER, NEVER],  # right, shown
            [-1.0, NEVER, NEVER],  # right, withheld
            [1.0, 3.0, NEVER],  # wrong, shown
            [-0.9, -0.6, NEVER],  # wrong, withheld: still not the right answer
        ]
    )
    unanswerable = np.array([[NEVER, -0.5, NEVER], [0.0, NEVER, NEVER]])  # withheld; shown
    found = none_figures(answerable, [[0]] * 4, unanswerable, calibration=PLAIN)
    assert (found.answerable, found.unanswerable, found.threshold) == (4, 2, 0.5)
    # The first and third are above both. The fourth, too low by its first answer, is above the
    # lower one: two answers together make it likelier that there is one.
    assert found.auroc == pytest.approx(5 / 8)
    bare = none_figures(answerable, [[0]] * 4, unanswerable, calibration=None)
    assert bare.auroc == pytest.approx(4 / 8)
    assert found.false_answer_rate == pytest.approx(1 / 2)
    assert found.wrongly_withheld_rate == pytest.approx(1 / 4)
    assert found.right_overall == pytest.approx(2 / 6)
    # In bins of a tenth: two at 0.84 to 0.88, two at 0.27 to 0.28, one at 0.38 and one at 0.5.
    expected = (
        abs(sigmoid(2) + share(3, 1) - 1)
        + abs(sigmoid(-1) + share(-0.6, -0.9) - 1)
        + sigmoid(-0.5)
        + sigmoid(0)
    ) / 6
    assert found.calibration_error == pytest.approx(expected)
    assert sum(count for _, _, count in found.bins) == 6
    assert found.calibration_error_shown is not None
    assert found.calibration_error_shown != pytest.approx(expected)


def test_unanswerable_questions_stay_in_every_denominator() -> None:
    answerable = np.array([[5.0, NEVER]])
    few, many = (
        none_figures(answerable, [[0]], np.tile([5.0, NEVER], (count, 1)), calibration=PLAIN)
        for count in (1, 9)
    )
    assert few.right_overall == pytest.approx(1 / 2)
    assert many.right_overall == pytest.approx(1 / 10)
    assert few.calibration_error == pytest.approx(sigmoid(5) - 1 / 2)
    assert many.calibration_error == pytest.approx(sigmoid(5) - 1 / 10)
    # Both columns of every question: one right and nine wrong at 0.99, ten wrong at 0.
    assert many.calibration_error_shown == pytest.approx(10 * (sigmoid(5) - 1 / 10) / 20)
    silent = none_figures(answerable, [[0]], np.full((9, 2), -5.0), calibration=PLAIN)
    assert silent.right_overall == 1
    assert silent.false_answer_rate == 0


def test_the_error_over_shown_answers_looks_at_ten() -> None:
    # Each of ten gets a tenth and one of them is right; of twelve, a twelfth would be.
    ten = none_figures(np.full((1, 12), 9.0), [[0]], np.empty((0, 12)), calibration=PLAIN)
    assert ten.calibration_error_shown == pytest.approx(0, abs=1e-4)


def test_shown_answers_of_a_worked_example() -> None:
    scores = np.array([[1.0, 3.0, 2.0], [0.0, -1.0, 5.0], [4.0, 4.0, 4.0]])
    shown, right = shown_answers(scores, [[2], [], [0, 1]])
    assert shown.tolist() == [[3, 2, 1], [5, 0, -1], [4, 4, 4]]
    # Nothing answers the second question; equal scores keep column order.
    assert right.tolist() == [[False, True, False], [False] * 3, [True, True, False]]
    assert right.dtype == np.bool_
    # The input is as it was.
    assert scores[0].tolist() == [1, 3, 2]


def test_no_more_than_ten_answers_are_shown() -> None:
    assert SHOWN_ANSWERS == 10
    scores = np.tile(np.arange(12.0), (3, 1))
    # The columns 1 and 0 come eleventh and twelfth.
    shown, right = shown_answers(scores, [[2], [1, 0], [11, 0]])
    assert shown.tolist() == [list(range(11, 1, -1))] * 3
    assert [np.flatnonzero(row).tolist() for row in right] == [[9], [], [0]]
    # Equal ones at the edge: the first columns are shown.
    _, right = shown_answers(np.zeros((2, 12)), [[9], [10]])
    assert right.sum(axis=1).tolist() == [1, 0]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 25))
def test_shown_answers_are_the_first_of_a_stable_sort(
    seed: int, questions: int, documents: int
) -> None:
    random = np.random.default_rng(seed)
    # Few values, so that there are ties.
    scores = random.integers(-3, 4, size=(questions, documents)).astype(np.float32)
    relevant = [
        random.choice(documents, size=random.integers(0, documents + 1), replace=False).tolist()
        for _ in range(questions)
    ]
    shown, right = shown_answers(scores, relevant)
    assert shown.shape == right.shape == (questions, min(documents, 10))
    for number, row in enumerate(scores.tolist()):
        columns = [at for _, at in sorted((-score, at) for at, score in enumerate(row))][:10]
        assert shown[number].tolist() == [row[at] for at in columns]
        assert right[number].tolist() == [at in relevant[number] for at in columns]


def test_figures_that_need_what_is_missing_are_none() -> None:
    answerable = np.array([[1.0, 0.0]])
    alone = none_figures(answerable, [[0]], np.empty((0, 2)), calibration=PLAIN)
    assert (alone.auroc, alone.false_answer_rate) == (None, None)
    assert (alone.right_overall, alone.wrongly_withheld_rate) == (1, 0)
    bare = none_figures(answerable, [[0]], np.zeros((1, 2)), calibration=None)
    assert bare.auroc == 1
    assert (bare.right_overall, bare.calibration_error, bare.threshold) == (None, None, None)
    assert bare.bins == ()
    with pytest.raises(ValueError, match="1 rows, but 0"):
        none_figures(answerable, [], np.zeros((1, 2)), calibration=None)
    with pytest.raises(ValueError, match="no question"):
        none_figures(np.empty((0, 2)), [], np.empty((0, 2)), calibration=None)


def test_a_shortlist_of_fewer_than_ten_keeps_no_others() -> None:
    scores = np.arange(20, dtype=np.float32)[::-1][None, :]
    kept = np.zeros((1, 20), dtype=np.bool_)
    kept[0, [3, 7]] = True
    found = shortlist_figures(scores, [[0]], kept)
    assert (found.size, found.recall, found.overlap, found.ndcg) == (2, 0, 0.2, 0)
    assert found.exhaustive_ndcg == 1
    other = shortlist_figures(scores, [[3]], kept)
    assert other.recall == 1
    # It was fourth and is first.
    assert other.ndcg == 1 > other.exhaustive_ndcg
