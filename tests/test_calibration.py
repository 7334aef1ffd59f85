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


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    assert load_calibration(tmp_path) is None
    CURVE.save(tmp_path)
    assert load_calibration(tmp_path) == CURVE


GOOD = {"slope": 1.5, "intercept": -3, "threshold": 0.4, "fitted_on": "questions"}


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
            ]
        ),
    ],
)  # fmt: skip
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps(GOOD))
    assert load_calibration(tmp_path) is not None
    (tmp_path / CALIBRATION_FILE).write_text(content)
    with pytest.raises(ModelFolderError, match=r"calibration\.json: expected slope above 0"):
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


def ten_answers(questions: int = 4000) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Shown answers that are right as often as ``CURVE`` says, first answers more often.

    Logits are whole numbers; of equal ones a right answer comes first.
    """
    random = np.random.default_rng(1)
    logits = random.integers(-6, 1, (questions, 10)) + random.integers(0, 7, (questions, 1))
    right = random.random(logits.shape) < 1 / (1 + np.exp(-(1.5 * logits - 3.0)))
    order = np.lexsort((~right, -logits), axis=1)
    return (
        np.take_along_axis(logits, order, axis=1).astype(np.float64),
        np.take_along_axis(right, order, axis=1),
    )


def error_by_logit(
    curve: Calibration, logits: NDArray[np.float64], right: NDArray[np.bool_]
) -> float:
    """Mean distance of stated probability and share that was right, over the whole logits."""
    error = 0.0
    for value in np.unique(logits):
        stated = 1 / (1 + np.exp(-(curve.slope * value + curve.intercept)))
        found = right[logits == value]
        error += found.size / right.size * abs(stated - found.mean())
    return error


def test_the_curve_is_right_about_all_shown_answers() -> None:
    logits, right = ten_answers()
    assert (np.diff(logits, axis=1) <= 0).all()
    fitted = fit_calibration(logits, right, fitted_on="")
    assert fitted.slope == pytest.approx(1.5, rel=0.05)
    assert fitted.intercept == pytest.approx(-3.0, rel=0.05)
    assert error_by_logit(fitted, logits, right) < 0.01
    probabilities = fitted.probability(logits)
    assert expected_calibration_error(probabilities.ravel(), right.ravel()) < 0.01
    # First answers tell another story: a curve of theirs alone promises too much.
    first = fit_calibration(logits[:, :1], right[:, :1], fitted_on="")
    assert error_by_logit(first, logits[:, :1], right[:, :1]) < 0.02
    assert error_by_logit(first, logits, right) > 0.04
    assert first.probability(logits).mean() > right.mean() + 0.04


def test_the_threshold_tells_questions_with_an_answer_from_others() -> None:
    logits, right = ten_answers()
    # A quarter of the questions has no answer.
    right[::4] = False
    fitted = fit_calibration(logits, right, fitted_on="")
    values = np.unique(logits)

    def lowest_shown(curve: Calibration) -> float:
        stated = 1 / (1 + np.exp(-(curve.slope * values + curve.intercept)))
        return float(values[stated >= curve.threshold].min())

    def best(answered: NDArray[np.bool_]) -> float:
        # The lowest logit of a first answer to show, such that the fewest questions are
        # told wrongly that there is nothing, or not told so.
        wrong = [int(((logits[:, 0] >= value) != answered).sum()) for value in values]
        return float(values[np.argmin(wrong)])

    # A right answer in the second place is an answer too.
    answered = np.asarray(right.any(axis=1), dtype=np.bool_)
    assert best(answered) < best(right[:, 0])
    assert lowest_shown(fitted) == best(answered)
    first = right.copy()
    first[:, 1:] = False
    assert lowest_shown(fit_calibration(logits, first, fitted_on="")) == best(right[:, 0])


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
