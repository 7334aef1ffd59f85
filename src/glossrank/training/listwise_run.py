"""One run of the listwise recipe: a training set and a base model to a new model folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glossrank.errors import InputError
from glossrank.folder_files import WEIGHTS_FILE
from glossrank.model_names import find_folder
from glossrank.output import refuse_existing
from glossrank.training.examples import TeacherGroup, TrainingSet
from glossrank.training.listwise import run_loop, steps_of
from glossrank.training.loop import Outcome
from glossrank.training.own_run import check_base, run_and_save, sha256_of, sha256_of_values
from glossrank.training.recipe import ListwiseRecipe
from glossrank.training.student import Student
from glossrank.training.work import Progress, quiet_libraries, require_extra


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
    check_base(base_path)
    wanted = {
        "data_sha256": sha256_of_values(dataclasses.asdict(data)),
        "teacher_sha256": sha256_of_values([dataclasses.astuple(group) for group in teacher]),
        "base": str(base),
        "base_sha256": sha256_of(base_path / WEIGHTS_FILE),
        "recipe": dataclasses.asdict(recipe),
    }

    def loop(work: Path) -> Outcome[Student]:
        with quiet_libraries():
            return run_loop(
                data,
                teacher,
                base=base_path,
                work=work,
                recipe=recipe,
                on_progress=on_progress,
                stop=stop,
            )

    def write(folder: Path, outcome: Outcome[Student]) -> ListwiseRun:
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
        return run

    return run_and_save(
        output,
        wanted=wanted,
        resume=resume,
        steps=steps_of(recipe, len(data.examples)),
        loop=loop,
        write=write,
    )
