"""From logits to probabilities, and from probabilities to "none of these".

A model's logit orders documents; it does not say how likely each of them is right.
``Calibration`` holds a logistic curve that was fitted to the answers shown for held-out
questions (Platt 1999) and the threshold of the first answer below which nothing seems to fit. It is
saved in the model folder as ``calibration.json``. The curve rises, so that the order by
probability is the order by logit.

Figures take arrays, never models.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossrank.errors import MissingExtraError, ModelFolderError

CALIBRATION_FILE = "calibration.json"
DEFAULT_BINS = 10

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Calibration:
    """``probability = 1 / (1 + exp(-(slope * logit + intercept)))``.

    Attributes:
        slope: above 0.
        threshold: probability from which the first answer is shown; below it, none of these.
        fitted_on: what it was fitted on, in words.
    """

    slope: float
    intercept: float
    threshold: float
    fitted_on: str

    def probability(self, logits: FloatArray) -> NDArray[np.float64]:
        """How likely each document answers its question; float64, the shape of ``logits``."""
        return _sigmoid(self.slope * np.asarray(logits, dtype=np.float64) + self.intercept)

    def save(self, folder: Path) -> None:
        """Write ``calibration.json`` into a model folder."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        (folder / CALIBRATION_FILE).write_text(text + "\n", encoding="utf-8")


def load_calibration(folder: Path) -> Calibration | None:
    """The calibration of a model folder, or None where it has none.

    Raises:
        ModelFolderError: the file is there but not of this form.
    """
    file = folder / CALIBRATION_FILE
    if not file.exists():
        return None
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        slope, intercept, threshold = (
            float(raw[name]) for name in ("slope", "intercept", "threshold")
        )
        fitted_on = raw["fitted_on"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(file, f"{type(error).__name__}: {error}") from error
    numbers_good = slope > 0 and math.isfinite(slope) and math.isfinite(intercept)
    if not (numbers_good and 0 <= threshold <= 1 and isinstance(fitted_on, str)):
        raise _broken(file, repr(raw)[:80])
    return Calibration(slope, intercept, threshold, fitted_on)


def fit_calibration(logits: FloatArray, right: BoolArray, *, fitted_on: str) -> Calibration:
    """Fit the curve to all shown answers of held-out questions, and choose the threshold.

    Every shown answer has its probability beside it, so the curve is fitted to all of them:
    one fitted to first answers only promises too much for the others. The threshold is the
    one with the fewest errors in saying "none of these": to say so though one of the shown
    answers is right, and not to say so though none is, count alike.

    Args:
        logits: ``[questions, answers]``, best first, at least one answer each; questions
            that nothing answers belong to them. :func:`glossrank.evaluation.shown_answers`
            gives both arrays.
        right: ``[questions, answers]``, whether each answer is right.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        ValueError: all first answers are right, or all wrong, or a better logit goes with a
            worse answer: nothing can be fitted.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtraError(
            feature="fitting a calibration", extra="train", missing="scikit-learn"
        ) from error
    first = right[:, 0]
    if first.all() or not first.any():
        raise ValueError("both right and wrong first answers are needed.")
    curve = LogisticRegression(C=1e6).fit(logits.reshape(-1, 1), right.ravel())
    slope, intercept = float(curve.coef_[0, 0]), float(curve.intercept_[0])
    if slope <= 0:
        raise ValueError("a higher logit goes with a worse answer.")
    probabilities = _sigmoid(slope * logits[:, 0] + intercept)
    answered = np.asarray(right.any(axis=1), dtype=np.bool_)
    return Calibration(slope, intercept, best_threshold(probabilities, answered), fitted_on)


def best_threshold(probabilities: FloatArray, answered: BoolArray) -> float:
    """The threshold of first answers with the fewest errors; halfway between two of them.

    Args:
        probabilities: ``[questions]``, of first answers.
        answered: ``[questions]``, whether any shown answer is right.
    """
    order = np.argsort(probabilities)
    ranked, good = probabilities[order], answered[order]
    # Errors if the first k are withheld: answered ones among them, others among the rest.
    errors = np.concatenate([[0], np.cumsum(good)]) + np.concatenate(
        [np.cumsum(~good[::-1])[::-1], [0]]
    )
    # Equal probabilities stand or fall together.
    possible = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    cut = int(np.argmin(np.where(possible, errors, np.inf)))
    edges = np.concatenate([[0.0], ranked, [1.0]])
    return float((edges[cut] + edges[cut + 1]) / 2)


def expected_calibration_error(
    probabilities: FloatArray, right: BoolArray, *, bins: int = DEFAULT_BINS
) -> float:
    """Mean distance of stated probability and share that was right, over bins of equal width.

    Guo et al. 2017, equation 5: bins weighted by their number of answers; 0 is best.
    """
    return sum(
        count / len(right) * abs(stated - found)
        for stated, found, count in reliability(probabilities, right, bins=bins)
    )


def reliability(
    probabilities: FloatArray, right: BoolArray, *, bins: int = DEFAULT_BINS
) -> list[tuple[float, float, int]]:
    """For each bin that is not empty: mean probability, share that was right, count."""
    place = np.minimum((np.asarray(probabilities) * bins).astype(int), bins - 1)
    rows = []
    for number in range(bins):
        inside = place == number
        if inside.any():
            rows.append(
                (
                    float(probabilities[inside].mean()),
                    float(right[inside].mean()),
                    int(inside.sum()),
                )
            )
    return rows


def auroc(positive: FloatArray, negative: FloatArray) -> float:
    """Chance that a positive one scores above a negative one; ties count a half.

    The Mann-Whitney form of the area under the ROC curve, by mean ranks.
    """
    scores = np.concatenate([positive, negative])
    values, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    del values
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    above = ranks[: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2
    return float(above / (len(positive) * len(negative)))


def _sigmoid(x: FloatArray) -> NDArray[np.float64]:
    # exp() of a large number would warn of an overflow.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float64)


def _broken(file: Path, found: str) -> ModelFolderError:
    return ModelFolderError(
        file=file,
        expected="slope above 0, intercept, threshold from 0 to 1 and fitted_on",
        found=found,
        fix="Fit it again with `glossrank calibrate`, or remove the file.",
    )
