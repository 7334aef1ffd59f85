"""One run of the listwise recipe: a training set and a base model to a new model folder.

As in ``run.py`` the output folder appears whole or not at all, and an interrupted run goes
on from ``OUTPUT.training``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glossrank.architectures.bert import BertConfig
from glossrank.errors import InputError, TrainingInterruptedError, UnsupportedModelError
from glossrank.model_folder import CONFIG_FILE, WEIGHTS_FILE, load_model_folder
from glossrank.model_names import find_folder
from glossrank.output import cannot_write, new_folder, refuse_existing
from glossrank.training.examples import TeacherGroup, TrainingSet
from glossrank.training.listwise import CHECKPOINT_FILE, Outcome, run_loop, steps_of
from glossrank.training.recipe import ListwiseRecipe
from glossrank.training.run import (
    Progress,
    is_full_disk,
    prepare_work,
    quiet_libraries,
    require_extra,
)


@dataclass(frozen=True)
class ListwiseRun:
    """What a finished run says of itself, for the model card and the closing line.

    Attributes:
        final_loss: mean loss over the last tenth of the steps.
        seconds: time of the training loop, since the last ``resume`` if there was one.
        weights_sha256: of ``model.safetensors``, in hexadecimal.
    """

    base: str
    output: Path
    data: TrainingSet
    teacher_groups: int
    recipe: ListwiseRecipe
    steps: int
    final_loss: float
    seconds: float
    weights_sha256: str


def train_listwise(
    data: TrainingSet,
    *,
    base: str | Path,
    output: Path,
    recipe: ListwiseRecipe | None = None,
    teacher: Sequence[TeacherGroup] = (),
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    finish: Callable[[Path, ListwiseRun], None] | None = None,
) -> ListwiseRun:
    """Fine-tune ``base`` by the listwise recipe and write the model folder ``output``.

    Args:
        base: packaged name, folder or hub id of a BERT cross-encoder with one label.
        teacher: scored groups of general text that keep what the base knew.
        resume, on_progress, stop, finish: as in :func:`glossrank.training.run.train`.

    Raises:
        MissingExtraError: the extra [train] is not installed.
        OutputError: ``output`` exists, cannot be written, or another run's checkpoints
            are in the way.
        TrainingInterruptedError: ``stop`` said so; a checkpoint is left.
        ModelError: the base cannot be used, or is not of the family that this recipe trains.
        InputError: no question, or not two candidates to choose from.
    """
    require_extra()
    recipe = recipe or ListwiseRecipe()
    if not data.examples or len(data.candidates) < 2:
        raise InputError(
            expected="at least one question and two different documents",
            found=f"{len(data.examples)} and {len(data.candidates)}",
            fix="Give more data.",
        )
    output = output.resolve()
    refuse_existing(output)
    base_path = find_folder(base)
    _check_base(base_path)
    work = output.with_name(f"{output.name}.training")
    wanted = {
        "data_sha256": sha256_of_values(dataclasses.asdict(data)),
        "teacher_sha256": sha256_of_values([dataclasses.astuple(group) for group in teacher]),
        "base": str(base),
        "base_sha256": sha256_of(base_path / WEIGHTS_FILE),
        "recipe": dataclasses.asdict(recipe),
    }
    prepare_work(work, wanted, _checkpoints, resume=resume)
    try:
        with quiet_libraries():
            outcome = _loop(data, teacher, base_path, work, recipe, on_progress, stop)
        if outcome.stopped:
            raise TrainingInterruptedError(
                file=work,
                expected=f"{steps_of(recipe, len(data.examples))} steps",
                found=f"a stop after {outcome.steps}",
                fix="Give the same command with --resume to go on, or remove the folder to give up.",
            )
        with new_folder(output) as folder:
            outcome.student.save(folder, averaged=True)
            run = ListwiseRun(
                base=str(base),
                output=output,
                data=data,
                teacher_groups=len(teacher),
                recipe=recipe,
                steps=outcome.steps,
                final_loss=outcome.final_loss,
                seconds=outcome.seconds,
                weights_sha256=sha256_of(folder / WEIGHTS_FILE),
            )
            if finish is not None:
                finish(folder, run)
    except BaseException:
        if not _checkpoints(work):
            shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)
    return run


def _check_base(path: Path) -> None:
    folder = load_model_folder(path)
    if not isinstance(folder.config, BertConfig):
        raise UnsupportedModelError(
            file=path / CONFIG_FILE,
            expected=f"{BertConfig.architecture}, which the recipe finance-terms trains",
            found=folder.config.architecture,
            fix="Train it with --recipe card, or choose another base.",
        )
    folder.weights()


def _loop(
    data: TrainingSet,
    teacher: Sequence[TeacherGroup],
    base: Path,
    work: Path,
    recipe: ListwiseRecipe,
    on_progress: Callable[[Progress], None] | None,
    stop: Callable[[], bool],
) -> Outcome:
    try:
        return run_loop(
            data,
            teacher,
            base=base,
            work=work,
            recipe=recipe,
            on_progress=on_progress,
            stop=stop,
        )
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


def _checkpoints(work: Path) -> list[Path]:
    file = work / CHECKPOINT_FILE
    return [file] if file.is_file() else []
