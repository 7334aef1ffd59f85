"""A training run behind the guard: fold models first, then the verdict, then the model.

What the guard does lies in ``OUTPUT.guard`` until the model is saved: models of folds while it
runs, then its result. A later command with the same data, base and recipe goes on from there.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from glossrank.calibration import SHOWN_ANSWERS, Calibration, fit_calibration
from glossrank.errors import ModelRefusedError, OutputError
from glossrank.evaluation import PairedDifference
from glossrank.output import cannot_write, refuse_existing
from glossrank.training.examples import TrainingSet
from glossrank.training.guard import WORSE, Fold, GuardResult, check
from glossrank.training.work import prepare_work

FEWEST_FOR_CALIBRATION = 40
"""Different held-out questions below which no curve is fitted."""
FEWEST_OF_EACH = 10
"""Right first answers, and wrong ones, below which no curve is fitted."""
_RESULT_FILE = "result.json"
_DIFFERENCES = ("own", "new_terms", "new_questions", "reference")


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
    on_question: Callable[[], None] = lambda: None,
) -> GuardResult:
    """Run the guard for the seeds 1 to ``seeds``, or read what it found before.

    Args:
        fingerprint: what makes two runs the same.
        fit: trains on a fold with a seed into a folder that is not there yet.
        on_question: as in :func:`glossrank.training.guard.check`.

    Raises:
        ModelRefusedError: the verdict is "worse", and ``force`` is not set.
        OutputError: ``output`` or ``OUTPUT.training`` is in the way, or ``OUTPUT.guard`` is
            not the guard's, or is of another run.
    """
    output = output.resolve()
    refuse_existing(output)
    training = output.with_name(f"{output.name}.training")
    if not resume and training.exists():
        raise OutputError(
            file=training,
            expected="no checkpoints of an earlier run",
            found="a folder of this name",
            fix="Add --resume to go on from there, or remove the folder to start anew.",
        )
    work = guard_folder(output)
    wanted = json.loads(json.dumps({**fingerprint, "guard_seeds": seeds}))
    result = _read_result(work, wanted)
    if result is None:
        result = _run(data, base, work, wanted, fit, seeds, on_question, resume=resume)
    if result.verdict == WORSE and not force:
        raise ModelRefusedError(
            file=output,
            expected="a model that is no worse than its base",
            found="a worse one. " + "; ".join(result.lines()),
            fix=f"Look for wrong labels, or add pairs. The same command with --force saves it all the same; {work.name} keeps the result for that.",
        )
    return result


def guard_folder(output: Path) -> Path:
    """Where the guard of this output keeps its work; to be removed when the model is saved."""
    return output.resolve().with_name(f"{output.resolve().name}.guard")


def calibration_of(result: GuardResult) -> Calibration | None:
    """A calibration from the held-out folds, or None where they are too few or say nothing.

    Without a question that nothing answers no threshold can be known: it is 0 then, and
    nothing is ever withheld.
    """
    if result.asked < FEWEST_FOR_CALIBRATION:
        return None
    right = int(result.shown_right[:, 0].sum())
    if min(right, len(result.shown_right) - right) < FEWEST_OF_EACH:
        return None
    words = (
        f"first {SHOWN_ANSWERS} answers of {result.asked} held-out questions ({result.unanswerable} of them "
        f"without an answer), {result.seeds} seeds"
    )
    try:
        fitted = fit_calibration(result.shown_logits, result.shown_right, fitted_on=words)
    except ValueError:
        return None
    return fitted if result.unanswerable else dataclasses.replace(fitted, threshold=0.0)


def _run(
    data: TrainingSet,
    base: str | Path,
    work: Path,
    wanted: dict[str, Any],
    fit: Callable[[Fold, int, Path], None],
    seeds: int,
    on_question: Callable[[], None],
    *,
    resume: bool,
) -> GuardResult:
    prepare_work(work, wanted, _parts, resume=resume)

    def fit_seed(fold: Fold, seed: int) -> Path:
        folder = work / f"seed-{seed}"
        if not folder.exists():
            fit(fold, seed, folder)
        return folder

    try:
        result = check(
            data, base=base, fit=fit_seed, seeds=range(1, seeds + 1), on_question=on_question
        )
        for part in _parts(work):
            shutil.rmtree(part)
        _write_result(work, wanted, result)
    except OSError as error:
        raise cannot_write(work, error) from error
    except BaseException:
        if not _parts(work):
            shutil.rmtree(work, ignore_errors=True)
        raise
    return result


def _write_result(work: Path, wanted: dict[str, Any], result: GuardResult) -> None:
    plain = {
        field.name: getattr(result, field.name)
        for field in dataclasses.fields(result)
        if field.name not in (*_DIFFERENCES, "shown_logits", "shown_right")
    }
    for name in _DIFFERENCES:
        part = getattr(result, name)
        plain[name] = None if part is None else dataclasses.asdict(part)
    plain["shown_logits"] = result.shown_logits.tolist()
    plain["shown_right"] = result.shown_right.tolist()
    partial = work / f"{_RESULT_FILE}.partial"
    partial.write_text(json.dumps({"run": wanted, "result": plain}), encoding="utf-8")
    partial.replace(work / _RESULT_FILE)


def _read_result(work: Path, wanted: dict[str, Any]) -> GuardResult | None:
    """What the guard found for the same run before, or None."""
    try:
        content = json.loads((work / _RESULT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("run") != wanted:
        raise OutputError(
            file=work,
            expected="the check of the same data, base and recipe",
            found="the result of another one",
            fix="Remove the folder to check anew.",
        )
    try:
        plain = dict(content["result"])
        for name in _DIFFERENCES:
            plain[name] = None if plain[name] is None else PairedDifference(**plain[name])
        plain["shown_logits"] = np.array(plain["shown_logits"], dtype=np.float32)
        plain["shown_right"] = np.array(plain["shown_right"], dtype=bool)
        return GuardResult(**plain)
    except (KeyError, TypeError, ValueError):
        # Written by another version: to be found anew.
        return None


def _parts(work: Path) -> list[Path]:
    return sorted(work.glob("seed-*")) if work.is_dir() else []
