from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from glossrank.calibration import (
    CALIBRATION_FILE,
    Calibration,
    _loss,
    auroc,
    best_threshold,
    expected_calibration_error,
    fit_calibration,
    load_calibration,
    reliability,
)
from glossrank.errors import ModelFolderError

CURVE = Calibration(slope=1.5, intercept=-3.0, threshold=0.4, fitted_on="200 questions")


def test_the_order_by_probability_is_the_order_by_logit() -> None:
    logits = np.linspace(-12, 12, 200)
    probabilities = CURVE.probability(logits)
    assert probabilities.shape == logits.shape
    assert (np.diff(probabilities) > 0).all()
    assert CURVE.probability(np.array([[2.0]])) == pytest.approx(0.5)
    # Without a warning of an overflow, which would be an error here.
    assert CURVE.probability(np.array([-1e5, 1e5])).tolist() == [0, 1]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-30, 30), min_size=1, max_size=10))
def test_documents_and_none_of_these_share_the_probability(values: list[float]) -> None:
    logits = np.array(values)
    odds = np.exp(1.5 * logits - 3.0)
    shares = CURVE.probability(logits)
    assert shares == pytest.approx(odds / (1 + odds.sum()))
    assert float(CURVE.answered(logits)) == pytest.approx(shares.sum())
    # Questions do not touch each other.
    both = np.stack([logits, logits[::-1] + 1])
    assert CURVE.probability(both)[0] == pytest.approx(shares)
    assert CURVE.answered(both)[0] == pytest.approx(shares.sum())


def test_a_single_document_has_platts_curve_and_ten_compete() -> None:
    assert CURVE.probability(np.array([3.0])) == pytest.approx(1 / (1 + np.exp(-1.5)))
    ten, more = np.full(10, 2.0), np.full(600, 2.0)
    assert CURVE.answered(more) == pytest.approx(10 / 11) == CURVE.answered(ten)
    assert CURVE.probability(more)[0] == pytest.approx(1 / 11)
    # As small as it is, it is not lost to rounding.
    assert CURVE.answered(np.array([-30.0])) == pytest.approx(np.exp(-48.0))


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    assert load_calibration(tmp_path) is None
    CURVE.save(tmp_path)
    assert load_calibration(tmp_path) == CURVE


FORM = "softmax with none of these"
GOOD = {"form": FORM, "slope": 1.5, "intercept": -3, "threshold": 0.4, "fitted_on": "questions"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        *(json.dumps({k: v for k, v in GOOD.items() if k != name}) for name in GOOD),
        *(
            json.dumps(GOOD | {name: value})
            for name, value in [
                ("slope", 0), ("slope", -1), ("slope", float("nan")), ("slope", float("inf")),
                ("intercept", "x"), ("intercept", float("inf")), ("threshold", 1.1),
                ("threshold", -0.1), ("threshold", float("nan")), ("fitted_on", 3),
                ("form", "another curve"),
            ]
        ),
    ],
)  # fmt: skip
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps(GOOD))
    assert load_calibration(tmp_path) is not None
    (tmp_path / CALIBRATION_FILE).write_text(content)
    with pytest.raises(
        ModelFolderError, match=r"calibration\.json: expected form .* slope above 0"
    ):
        load_calibration(tmp_path)


def errors_at(
    threshold: float, probabilities: NDArray[np.float64], right: NDArray[np.bool_]
) -> int:
    return int(((probabilities >= threshold) != right).sum())


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        # Steps of 1/1000, so that rounding to 4 decimals cannot jump over an answer.
        st.tuples(st.integers(0, 1000), st.booleans()),
        min_size=1,
        max_size=30,
        unique_by=lambda answer: answer[0],
    )
)
def test_the_threshold_has_the_fewest_errors_of_all(answers: list[tuple[int, bool]]) -> None:
    probabilities = np.array([p / 1000 for p, _ in answers])
    right = np.array([r for _, r in answers])
    threshold = best_threshold(probabilities, right)
    assert 0 <= threshold <= 1
    # Those who may not withhold what is stated as certain have no threshold above 1.
    possible = np.concatenate([[0.0], probabilities, np.minimum(probabilities + 0.0005, 1)])
    fewest = min(errors_at(t, probabilities, right) for t in possible)
    assert errors_at(threshold, probabilities, right) == fewest


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 30))
def test_auroc_is_scikit_learns(seed: int, positives: int, negatives: int) -> None:
    random = np.random.default_rng(seed)
    # Few values, so that there are ties.
    positive = random.integers(0, 6, positives) + 0.5
    negative = random.integers(0, 6, negatives) + 0.5
    expected = roc_auc_score(
        [1] * positives + [0] * negatives, np.concatenate([positive, negative])
    )
    assert auroc(positive, negative) == pytest.approx(expected)


def test_calibration_error_of_a_worked_example() -> None:
    probabilities = np.array([0.15, 0.15, 0.75, 0.75, 1.0])
    right = np.array([False, True, True, True, False])
    # Bins: 2 of 5 stated 0.15 and 1/2 right, 2 of 5 stated 0.75 and all right, 1 stated 1, wrong.
    expected = (2 * 0.35 + 2 * 0.25 + 1 * 1.0) / 5
    assert expected_calibration_error(probabilities, right) == pytest.approx(expected)
    assert reliability(probabilities, right) == [
        (pytest.approx(0.15), 0.5, 2),
        (pytest.approx(0.75), 1.0, 2),
        (1.0, 0.0, 1),
    ]
    # One bin: stated 0.56 on average, and 3 of 5 right.
    assert expected_calibration_error(probabilities, right, bins=1) == pytest.approx(0.04)


def test_a_fit_recovers_the_curve_that_made_the_answers() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(2, 2, (20_000, 1))
    right = random.random(logits.shape) < CURVE.probability(logits)
    fitted = fit_calibration(logits, right, fitted_on="drawn answers")
    assert fitted.slope == pytest.approx(CURVE.slope, rel=0.05)
    assert fitted.intercept == pytest.approx(CURVE.intercept, rel=0.05)
    # Where right and wrong are equally likely, showing and withholding cost the same.
    assert fitted.threshold == pytest.approx(0.5, abs=0.1)
    assert fitted.fitted_on == "drawn answers"
    assert expected_calibration_error(fitted.probability(logits), right) < 0.02


def ten_answers(questions: int = 6000) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Shown answers, best first, of which one or none is right as often as ``CURVE`` says."""
    random = np.random.default_rng(1)
    logits = random.normal(-1, 2, (questions, 10)) + random.normal(0, 2, (questions, 1))
    logits = -np.sort(-logits, axis=1)
    reached = CURVE.probability(logits).cumsum(axis=1)
    drawn = random.random((questions, 1))
    right = (drawn < reached) & (drawn >= np.hstack([np.zeros((questions, 1)), reached[:, :-1]]))
    return logits, right


def test_the_curve_is_right_about_first_answers_and_about_all() -> None:
    logits, right = ten_answers()
    assert 0.2 < right.any(axis=1).mean() < 0.9
    fitted = fit_calibration(logits, right, fitted_on="")
    assert fitted.slope == pytest.approx(1.5, rel=0.06)
    assert fitted.intercept == pytest.approx(-3.0, rel=0.06)
    probabilities = fitted.probability(logits)
    assert expected_calibration_error(probabilities.ravel(), right.ravel()) < 0.01
    assert expected_calibration_error(probabilities[:, 0], right[:, 0]) < 0.03
    answered = np.asarray(right.any(axis=1), dtype=np.bool_)
    assert expected_calibration_error(fitted.answered(logits), answered) < 0.03
    # A curve of each answer on its own promises too much where several are good.
    alone = 1 / (1 + np.exp(-(1.5 * logits - 3.0)))
    assert expected_calibration_error(alone[:, 0], right[:, 0]) > 0.06


def test_the_threshold_tells_questions_with_an_answer_from_others() -> None:
    logits, right = ten_answers(1000)

    def errors(fitted: Calibration, answered: NDArray[np.bool_]) -> list[int]:
        """At the chosen threshold, and at each that makes a difference."""
        stated = fitted.answered(logits)
        return [errors_at(t, stated, answered) for t in (fitted.threshold, 0.0, *stated)]

    # A right answer in the second place is an answer too.
    fitted = fit_calibration(logits, right, fitted_on="")
    chosen, *others = errors(fitted, np.asarray(right.any(axis=1), dtype=np.bool_))
    assert chosen == min(others)
    first = right.copy()
    first[:, 1:] = False
    strict = fit_calibration(logits, first, fitted_on="")
    chosen, *others = errors(strict, first[:, 0])
    assert chosen == min(others)
    assert (strict.answered(logits) >= strict.threshold).sum() < (
        fitted.answered(logits) >= fitted.threshold
    ).sum()


def test_of_several_right_answers_any_will_do() -> None:
    logits, right = ten_answers(2000)
    # Each answer is there twice; both are right. Together they have the probability of the one.
    doubled: NDArray[np.float64] = np.repeat(logits, 2, axis=1)[:, :10]
    both: NDArray[np.bool_] = np.repeat(right, 2, axis=1)[:, :10]
    fitted = fit_calibration(doubled, both, fitted_on="")
    pairs = fitted.probability(doubled)
    assert expected_calibration_error(pairs[:, 0] + pairs[:, 1], both[:, 0]) < 0.05
    # A second right answer that is far below the first does not flatten the curve.
    first = fit_calibration(logits, right, fitted_on="")
    more = right | (right[:, :1] & (np.arange(10) == 9))
    assert fit_calibration(logits, more, fitted_on="").slope == pytest.approx(first.slope, rel=0.1)


def test_without_unanswered_questions_none_of_these_stays_possible() -> None:
    logits, right = ten_answers(3000)
    answered = right.any(axis=1)
    fitted = fit_calibration(logits[answered][:60], right[answered][:60], fitted_on="")
    stated = fitted.answered(logits[answered][:60])
    # One in 62 is taken for unanswered.
    assert stated.mean() == pytest.approx(61 / 62, abs=0.01)
    assert float(fitted.answered(np.full(10, -30.0))) < 0.5


def test_no_document_has_no_answer() -> None:
    assert CURVE.probability(np.empty(0)).shape == (0,)
    assert float(CURVE.answered(np.empty(0))) == 0
    assert CURVE.probability(np.empty((3, 0))).shape == (3, 0)
    assert CURVE.probability(np.array([1.0, 2.0], dtype=np.float32)).dtype == np.float64


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 3), st.floats(-4, 4))
def test_the_gradient_is_that_of_the_loss(seed: int, slope: float, intercept: float) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (6, 4))
    right = random.random((6, 4)) < 0.3
    curve = np.array([slope, intercept])
    _, gradient = _loss(curve, logits, right)
    for at in range(2):
        step = np.eye(2)[at] * 1e-6
        rise = _loss(curve + step, logits, right)[0] - _loss(curve - step, logits, right)[0]
        assert gradient[at] == pytest.approx(rise / 2e-6, abs=1e-6)


def test_what_cannot_be_fitted_is_refused() -> None:
    logits = np.array([[-1.0, -2.0], [0.0, -2.0], [1.0, -2.0], [2.0, -2.0]])
    for first in (True, False):
        # Later answers of the other kind do not help.
        right = np.array([[first, not first]] * 4)
        with pytest.raises(ValueError, match="both right and wrong first answers"):
            fit_calibration(logits, right, fitted_on="")
    one = logits[:, :1]
    with pytest.raises(ValueError, match="worse answer"):
        fit_calibration(one, np.array([[True], [True], [False], [False]]), fitted_on="")
    rising = np.array([[False], [False], [True], [True]])
    assert fit_calibration(one, rising, fitted_on="").slope > 0
    # Over all shown answers: the lowest logits are all right.
    with pytest.raises(ValueError, match="worse answer"):
        fit_calibration(logits - [0, 9], np.hstack([rising, [[True]] * 4]), fitted_on="")
