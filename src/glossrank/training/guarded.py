"""A training run behind the guard: fold models first, then the verdict, then the model.

Fold models lie in ``OUTPUT.guard`` until the end, so that an interrupted check goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glossrank.calibration import Calibration, fit_calibration
from glossrank.errors import ModelRefusedError
from glossrank.training.examples import TrainingSet
from glossrank.training.guard import WORSE, Fold, GuardResult, check
from glossrank.training.run import prepare_work

FEWEST_FOR_CALIBRATION = 40
"""Held-out first answers, right and wrong together, below which no curve is fitted."""


def guarded(
    data: TrainingSet,
    *,
    base: str | Path,
    output: Path,
    fingerprint: dict[str, Any],
    fit: Callable[[Fold, int, Path], None],
    seeds: int,
    resume: bool,
    force: bool,
) -> GuardResult:
    """Run the guard for the seeds 1 to ``seeds``.

    Args:
        fingerprint: what makes two runs the same, for ``resume``.
        fit: trains on a fold with a seed into a folder, which is left alone where it is
            there already.

    Raises:
        ModelRefusedError: the verdict is "worse", and ``force`` is not set.
        OutputError: ``OUTPUT.guard`` is not the guard's, or is of another run.
    """
    work = output.with_name(f"{output.name}.guard").resolve()
    prepare_work(work, {**fingerprint, "guard_seeds": seeds}, _parts, resume=resume)

    def fit_seed(fold: Fold, seed: int) -> Path:
        folder = work / f"seed-{seed}"
        if not folder.exists():
            fit(fold, seed, folder)
        return folder

    try:
        result = check(data, base=base, fit=fit_seed, seeds=range(1, seeds + 1))
    except BaseException:
        if not _parts(work):
            shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)
    if result.verdict == WORSE and not force:
        raise ModelRefusedError(
            file=output,
            expected="a model that is no worse than its base",
            found="a worse one. " + "; ".join(result.lines()),
            fix="Look for wrong labels (`glossrank pairs describe`), add pairs, or take --force. Nothing was saved.",
        )
    return result


def calibration_of(result: GuardResult) -> Calibration | None:
    """A calibration from the held-out folds, or None where they are too few or say nothing."""
    if len(result.first_right) < FEWEST_FOR_CALIBRATION:
        return None
    words = f"first answers of {len(result.first_right)} held-out questions, {result.seeds} seeds"
    try:
        return fit_calibration(result.first_logits, result.first_right, fitted_on=words)
    except ValueError:
        return None


def _parts(work: Path) -> list[Path]:
    return sorted(work.glob("seed-*")) if work.is_dir() else []
