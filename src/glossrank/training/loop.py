"""A training loop without a trainer library: steps, progress, checkpoints, a stop on request.

Every step depends on its number and the seed only, so a run that goes on from a checkpoint
ends with the same weights as one that was never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from glossrank.errors import InputError, OutputError
from glossrank.training.work import Progress

if TYPE_CHECKING:
    import torch

CHECKPOINT_FILE = "checkpoint.pt"
_CHECKPOINT_SECONDS = 120.0
_SMOOTHED = 50
"""Steps whose mean loss is shown as progress."""

Trained = TypeVar("Trained")


@dataclass(frozen=True)
class Outcome(Generic[Trained]):
    """What a loop ends with.

    Attributes:
        steps: how many were made, those before a resume included.
        final_loss: mean loss over the last steps; how many is the recipe's to say.
        seconds: time of the loop, since the last resume if there was one.
        stopped: whether it was stopped before its last step; a checkpoint is left then.
    """

    student: Trained
    steps: int
    final_loss: float
    seconds: float
    stopped: bool


@dataclass(frozen=True)
class LoopEnd:
    """Steps made, seconds they took, and whether more were to come."""

    steps: int
    seconds: float
    stopped: bool


def run_steps(
    take_step: Callable[[int], float],
    *,
    first: int,
    steps: int,
    losses: list[float],
    save: Callable[[int], None],
    on_progress: Callable[[Progress], None] | None,
    stop: Callable[[], bool],
) -> LoopEnd:
    """Take the steps ``first`` to ``steps``, with a checkpoint every two minutes and at the end.

    Args:
        take_step: gets the step's number, learns from it and returns its loss.
        losses: of the steps before ``first``; those that are taken are added.
        save: writes a checkpoint after this many steps.
        on_progress: called after every step.
        stop: asked after every step; True saves a checkpoint and ends the loop.
    """
    began = last_saved = time.perf_counter()
    for step in range(first, steps):
        losses.append(take_step(step))
        now = time.perf_counter()
        if on_progress is not None:
            left = (now - began) / (step + 1 - first) * (steps - step - 1)
            on_progress(Progress(step + 1, steps, float(np.mean(losses[-_SMOOTHED:])), left))
        stopped = stop() and step + 1 < steps
        if stopped or now - last_saved > _CHECKPOINT_SECONDS:
            save(step + 1)
            last_saved = now
        if stopped:
            return LoopEnd(step + 1, now - began, stopped=True)
    # What comes after the loop (ranking test questions) may fail: then --resume ends here.
    save(steps)
    return LoopEnd(steps, time.perf_counter() - began, stopped=False)


def finite_loss(loss: torch.Tensor, step: int) -> float:
    """The loss of a step as a number.

    Raises:
        InputError: it is none; training has diverged.
    """
    value = float(loss.detach())
    if not math.isfinite(value):
        raise InputError(
            expected="a finite loss",
            found=f"{value} at step {step + 1}",
            fix="Lower the learning rate with --set learning_rate=..., and try another base.",
        )
    return value


def find_checkpoints(work: Path) -> list[Path]:
    """The checkpoint of a folder, as a list that is empty where there is none."""
    file = work / CHECKPOINT_FILE
    return [file] if file.is_file() else []


def read_checkpoint(work: Path) -> dict[str, Any] | None:
    """What :func:`write_checkpoint` wrote into the folder, or None if it wrote nothing.

    Raises:
        OutputError: the file is broken.
    """
    import torch

    file = work / CHECKPOINT_FILE
    if not file.exists():
        return None
    try:
        content: dict[str, Any] = torch.load(file, weights_only=True)
    except Exception as error:  # torch raises whatever its reader stumbles over
        raise OutputError(
            file=file,
            expected="a whole checkpoint",
            found=str(error).splitlines()[0],
            fix="Remove the folder that it is in to start anew.",
        ) from error
    return content


def write_checkpoint(work: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all."""
    import torch

    file = work / CHECKPOINT_FILE
    partial = file.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(file)
