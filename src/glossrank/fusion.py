"""How the cross-encoder's logit and the static vectors' cosine make one order.

The two err on different questions: the cross-encoder reads closely, the vectors know what
thirty thousand training questions were about. A model folder may hold ``fusion.json``: the weight
of the cosine beside the logit, and a calibration of their sum. ``glossrank calibrate`` fits
both on held-out questions. Without the file the logit alone decides.

Figures take arrays, never models.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossrank.calibration import (
    CALIBRATION_FILE,
    Calibration,
    fit_calibration,
    load_calibration,
)
from glossrank.errors import ModelFolderError

FUSION_FILE = "fusion.json"
FITTED_FILES = (CALIBRATION_FILE, FUSION_FILE)
"""What was fitted to the weights of a model folder, and says nothing of other weights."""
WEIGHTS = tuple(range(17))
"""Weights of the cosine that are tried; a cosine of a right term is some 0.3 above a wrong one's."""
_FORM = "logit + cosine_weight * cosine"

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Fusion:
    """What a term is ordered by: ``logit + cosine_weight * cosine``.

    Attributes:
        calibration: from that sum to probabilities; None where the model has none.
    """

    cosine_weight: float
    calibration: Calibration | None

    def save(self, folder: Path) -> None:
        """Write ``fusion.json`` into a model folder; only with a calibration."""
        if self.calibration is None:
            raise ValueError(
                "a fusion without a calibration is what a folder without the file has."
            )
        content = {
            "form": _FORM,
            "cosine_weight": self.cosine_weight,
            "slope": self.calibration.slope,
            "intercept": self.calibration.intercept,
            "threshold": self.calibration.threshold,
            "fitted_on": self.calibration.fitted_on,
        }
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / FUSION_FILE).write_text(text + "\n", encoding="utf-8")


def load_fusion(folder: Path) -> Fusion:
    """The fusion of a model folder; the logit alone, with its calibration, where it has none.

    Raises:
        ModelFolderError: ``fusion.json`` or ``calibration.json`` is broken.
    """
    file = folder / FUSION_FILE
    if not file.exists():
        return Fusion(0.0, load_calibration(folder))
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        weight, slope, intercept, threshold = (
            float(raw[name]) for name in ("cosine_weight", "slope", "intercept", "threshold")
        )
        form, fitted_on = raw["form"], str(raw["fitted_on"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(file, f"{type(error).__name__}: {error}") from error
    finite = all(math.isfinite(number) for number in (weight, slope, intercept))
    if form != _FORM or not finite or weight < 0 or slope <= 0 or not 0 <= threshold <= 1:
        raise _broken(file, repr(raw)[:80])
    return Fusion(weight, Calibration(slope, intercept, threshold, fitted_on))


def fit_fusion(
    logits: FloatArray,
    cosines: FloatArray,
    relevant: Sequence[Sequence[int]],
    *,
    fitted_on: str,
) -> Fusion:
    """The weight with the best mean nDCG@10, and a calibration of the sum.

    Args:
        logits: ``[questions, terms]``, with the bonus of terms that are named.
        cosines: ``[questions, terms]``.
        relevant: columns that answer each question; none where nothing does.

    Raises:
        MissingExtraError: scipy or ir_measures is not installed.
        ValueError: nothing can be fitted, see :func:`glossrank.calibration.fit_calibration`.
    """
    # Here, because evaluation is for those who measure; a search needs the numbers only.
    from glossrank.evaluation import per_question, shown_answers

    rows = [row for row, columns in enumerate(relevant) if columns]
    right = [relevant[row] for row in rows]
    ndcg = [
        float(per_question((logits + weight * cosines)[rows], right)["nDCG@10"].mean())
        for weight in WEIGHTS
    ]
    weight = float(WEIGHTS[int(np.argmax(ndcg))])
    shown = shown_answers(logits + weight * cosines, relevant)
    return Fusion(weight, fit_calibration(*shown, fitted_on=fitted_on))


def _broken(file: Path, found: str) -> ModelFolderError:
    return ModelFolderError(
        file=file,
        expected=f"form {_FORM!r}, cosine_weight, slope, intercept, threshold and fitted_on",
        found=found,
        fix="Fit it again with `glossrank calibrate`, or remove the file.",
    )
