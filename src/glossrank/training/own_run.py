"""One run of a recipe with a loop of glossrank's own, from its first step to the model folder.

As in ``run.py`` the output folder appears whole or not at all, and an interrupted run goes
on from ``OUTPUT.training``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from glossrank.architectures.bert import BertConfig
from glossrank.errors import TrainingInterruptedError, UnsupportedModelError
from glossrank.folder_files import CONFIG_FILE
from glossrank.model_folder import load_model_folder
from glossrank.output import cannot_write, new_folder
from glossrank.training.loop import Outcome, Trained, find_checkpoints
from glossrank.training.work import is_full_disk, prepare_work

Run = TypeVar("Run")


def check_base(path: Path) -> None:
    """Read a base's weights once, and refuse what these loops do not train.

    Raises:
        ModelFolderError: the folder is broken.
        UnsupportedModelError: it is not BERT; one with indexed definitions is not, either.
    """
    folder = load_model_folder(path)
    if type(folder.config) is not BertConfig:
        raise UnsupportedModelError(
            file=path / CONFIG_FILE,
            expected=f"{BertConfig.architecture}, which this recipe trains",
            found=folder.config.architecture,
            fix="Choose another base, or train it with --recipe card.",
        )
    folder.weights()


def run_and_save(
    output: Path,
    *,
    wanted: dict[str, Any],
    resume: bool,
    steps: int,
    loop: Callable[[Path], Outcome[Trained]],
    write: Callable[[Path, Outcome[Trained]], Run],
) -> Run:
    """Train in ``OUTPUT.training``, then write the folder ``output``.

    Args:
        output: resolved, and not there yet.
        wanted: what makes two runs the same, plain values by name.
        steps: that the whole run has, for the message of an interrupted one.
        loop: trains with its checkpoints in the given folder, and goes on from one there.
        write: writes the model into the still hidden folder, and says what was done.

    Raises:
        OutputError: the folder of checkpoints is in the way, or something cannot be written.
        TrainingInterruptedError: the loop was stopped; a checkpoint is left.
    """
    work = output.with_name(f"{output.name}.training")
    prepare_work(work, wanted, find_checkpoints, resume=resume)
    try:
        outcome = _with_full_disk_errors(loop, work)
        if outcome.stopped:
            raise TrainingInterruptedError(
                file=work,
                expected=f"{steps} steps",
                found=f"a stop after {outcome.steps}",
                fix="Give the same command with --resume to go on, or remove the folder to give up.",
            )
        with new_folder(output) as folder:
            run = write(folder, outcome)
    except BaseException:
        if not find_checkpoints(work):
            shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)
    return run


def _with_full_disk_errors(
    loop: Callable[[Path], Outcome[Trained]], work: Path
) -> Outcome[Trained]:
    try:
        return loop(work)
    except OSError as error:
        raise cannot_write(work, error) from error
    except RuntimeError as error:
        if is_full_disk(error):
            raise cannot_write(work, error) from error
        raise


def sha256_of(file: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def sha256_of_values(values: object) -> str:
    """Hexadecimal SHA-256 of plain values, through JSON."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
