"""From logits to probabilities, and from probabilities to "none of these".

A model's logit orders documents; it does not say how likely each of them is right. Here a
question's documents compete with one more candidate, "none of these", whose logit is 0 on the
calibrated scale: the probability of a document is its share in the softmax over the best of them
(Luce's choice rule, with the outside option of McFadden 1974). With a single document that is
Platt's logistic curve (Platt 1999). So two good answers share the probability, a lonely one
gets it all, and many half-good ones tell a question about finance from one about the weather, which
the first logit alone tells less well (benchmarks/LOG.md).

``Calibration`` holds the two numbers of the scale and the threshold of "none of these"; it is
fitted on the answers shown for held-out questions and saved in the model folder as
``calibration.json``. The order by probability is the order by logit.

Figures take arrays, never models.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossrank.errors import MissingExtraError, ModelFolderError

CALIBRATION_FILE = "calibration.json"
DEFAULT_BINS = 10
SHOWN_ANSWERS = 10
"""Answers of a question that compete; as many as are shown. More hardly change a sum of odds, and
with a fixed number the size of the glossary matters less."""
_FORM = "softmax with none of these"
"""Written into the file, so that numbers of another curve are not taken for these."""
_PENALTY = 1e-6

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Calibration:
    """Odds of a document against "none of these": ``exp(slope * logit + intercept)``.

    Attributes:
        slope: above 0.
        threshold: of :meth:`answered`; below it, none of these.
        fitted_on: what it was fitted on, in words.
    """

    slope: float
    intercept: float
    threshold: float
    fitted_on: str

    def probability(self, logits: FloatArray) -> NDArray[np.float64]:
        """How likely each document answers its question.

        Args:
            logits: ``[..., documents]``, all documents of a question along the last axis.

        Returns:
            float64, the shape of ``logits``. Of up to :data:`SHOWN_ANSWERS` documents they sum up
            to :meth:`answered`; several right ones share it.
        """
        scaled = self.slope * np.asarray(logits, dtype=np.float64) + self.intercept
        return np.exp(scaled - _log_total(scaled))

    def answered(self, logits: FloatArray) -> NDArray[np.float64]:
        """How likely one of the best :data:`SHOWN_ANSWERS` documents answers, ``[...]`` float64."""
        scaled = self.slope * np.asarray(logits, dtype=np.float64) + self.intercept
        # 1 - P(none), without losing the small ones of both.
        return -np.expm1(-_log_total(scaled)[..., 0])

    def save(self, folder: Path) -> None:
        """Write ``calibration.json`` into a model folder."""
        text = json.dumps({"form": _FORM, **asdict(self)}, indent=2, ensure_ascii=False)
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
        form, fitted_on = raw["form"], raw["fitted_on"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(file, f"{type(error).__name__}: {error}") from error
    numbers_good = slope > 0 and math.isfinite(slope) and math.isfinite(intercept)
    if not (form == _FORM and numbers_good and 0 <= threshold <= 1 and isinstance(fitted_on, str)):
        raise _broken(file, repr(raw)[:80])
    return Calibration(slope, intercept, threshold, fitted_on)


def fit_calibration(logits: FloatArray, right: BoolArray, *, fitted_on: str) -> Calibration:
    """Fit the scale by maximum likelihood, and choose the threshold.

    What is likely is the right one among a question's shown answers, or "none of these" where none
    of them is right. The threshold is the one with the fewest errors in saying "none of these":
    to say so though one of the shown answers is right, and not to say so though none is, count
    alike.

    Args:
        logits: ``[questions, answers]``, best first, at least one answer each; questions
            that nothing answers belong to them. :func:`glossrank.evaluation.shown_answers`
            gives both arrays.
        right: ``[questions, answers]``, whether each answer is right.

    Raises:
        MissingExtraError: scipy is not installed.
        ValueError: all first answers are right, or all wrong, or a better logit goes with a
            worse answer: nothing can be fitted.
    """
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise MissingExtraError(
            feature="fitting a calibration", extra="train", missing="scipy"
        ) from error
    first = right[:, 0]
    if first.all() or not first.any():
        raise ValueError("both right and wrong first answers are needed.")
    answered = np.asarray(right.any(axis=1), dtype=np.bool_)
    exact = np.asarray(logits, dtype=np.float64)

    def loss(curve: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        return _loss(curve, exact, right)

    slope, intercept = map(float, minimize(loss, np.array([1.0, 0.0]), jac=True).x)
    if not (slope > 0 and math.isfinite(intercept)):
        raise ValueError("a higher logit goes with a worse answer.")
    curve = Calibration(slope, intercept, 0.0, fitted_on)
    return replace(curve, threshold=best_threshold(curve.answered(exact), answered))


def _loss(
    curve: NDArray[np.float64], logits: NDArray[np.float64], right: BoolArray
) -> tuple[float, NDArray[np.float64]]:
    """Mean negative log-likelihood of slope and intercept, and its gradient ``[2]``.

    Of several right answers any will do. Where all questions are answered nothing would say how
    high "none of these" stands: as in Platt 1999, one question too many is taken for each kind. The
    penalty keeps the slope finite where the answers can be parted without an error.
    """
    slope, intercept = curve
    scaled = slope * logits + intercept
    total = _log_total(scaled)
    share = np.exp(scaled - total)
    answered = right.any(axis=1)
    found = np.where(right, share, 0.0).sum(axis=1, keepdims=True)
    doubt = np.where(answered, 1 / (answered.sum() + 2), 1.0)
    # What each document is expected to be the answer with, given that a right one is.
    target = np.where(right, share, 0.0) / np.where(found > 0, found, 1.0)
    target *= (1 - doubt)[:, None]
    likely = np.log(np.maximum(found[:, 0], np.finfo(np.float64).tiny))
    value = -np.where(answered, (1 - doubt) * likely, 0.0) + doubt * total[:, 0]
    excess = share - target
    gradient = np.array([(excess * logits).sum(), excess.sum()]) / len(logits)
    gradient[0] += 2 * _PENALTY * slope
    return float(value.mean() + _PENALTY * slope**2), gradient


def _log_total(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """``log(1 + sum of exp)`` over the best of the last axis, which becomes 1 long."""
    best = scaled
    if scaled.shape[-1] > SHOWN_ANSWERS:
        best = np.partition(scaled, -SHOWN_ANSWERS, axis=-1)[..., -SHOWN_ANSWERS:]
    highest = best.max(axis=-1, keepdims=True, initial=0.0)
    odds = np.exp(best - highest).sum(axis=-1, keepdims=True) + np.exp(-highest)
    return np.asarray(highest + np.log(odds))


def best_threshold(probabilities: FloatArray, answered: BoolArray) -> float:
    """The threshold with the fewest errors; halfway between two probabilities.

    Args:
        probabilities: ``[questions]``, that a shown answer is right.
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


def _broken(file: Path, found: str) -> ModelFolderError:
    return ModelFolderError(
        file=file,
        expected=f"form {_FORM!r}, slope above 0, intercept, threshold from 0 to 1 and fitted_on",
        found=found,
        fix="Fit it again with `glossrank calibrate`, or remove the file.",
    )
