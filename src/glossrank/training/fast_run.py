"""One run of the fast recipe: labelled pairs and a base model to a new model folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glossrank.engines.openvino import Precision, resolve_precision
from glossrank.errors import InputError
from glossrank.folder_files import WEIGHTS_FILE
from glossrank.judgments import LabelledPair
from glossrank.model_names import find_folder
from glossrank.output import refuse_existing
from glossrank.training.loop import Outcome
from glossrank.training.own_run import check_base, run_and_save, sha256_of
from glossrank.training.recipe import FastRecipe, steps_of_run
from glossrank.training.work import PairsRun, Progress, is_hub_id, pairs_sha256, require_extra

if TYPE_CHECKING:
    from glossrank.training.fast import FastStudent


@dataclass(frozen=True, kw_only=True)
class FastRun(PairsRun):
    """A run of the fast recipe.

    Attributes:
        precision: "bf16" or "fp32", what the model computed in.
        steps: optimizer steps.
    """

    recipe: FastRecipe
    precision: str
    steps: int


def train_fast(
    pairs: Sequence[LabelledPair],
    *,
    base: str | Path,
    output: Path,
    recipe: FastRecipe | None = None,
    precision: Precision = "auto",
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    finish: Callable[[Path, FastRun], None] | None = None,
) -> FastRun:
    """Fine-tune ``base`` on ``pairs`` by the fast recipe and write the model folder ``output``.

    Args:
        base: packaged name, folder or hub id of a BERT cross-encoder with one label.
        precision: see :func:`glossrank.engines.openvino.resolve_precision`.
        resume, on_progress, stop, finish: as in :func:`glossrank.training.run.train`.

    Raises:
        MissingExtraError: the extra [train] is not installed.
        OutputError: ``output`` exists, cannot be written, or another run's checkpoints
            are in the way.
        TrainingInterruptedError: ``stop`` said so; a checkpoint is left.
        ModelError: the base cannot be used.
        InputError: there is no pair, or training diverged.
        ValueError: no precision of that name.
    """
    require_extra()
    recipe = recipe or FastRecipe()
    if precision == "int8":
        raise ValueError("precision must be 'auto', 'fp32' or 'bf16' in training, got 'int8'.")
    arithmetic = resolve_precision(precision)
    if not pairs:
        raise InputError(expected="at least one pair", found="none", fix="Give more data.")
    output = output.resolve()
    refuse_existing(output)
    base_path = find_folder(base)
    check_base(base_path)
    wanted = {
        "pairs_sha256": pairs_sha256(pairs),
        "base": str(base),
        "base_sha256": sha256_of(base_path / WEIGHTS_FILE),
        "recipe": dataclasses.asdict(recipe),
        "precision": arithmetic,
    }

    def loop(work: Path) -> Outcome[FastStudent]:
        from glossrank.training.fast import run_fast

        return run_fast(
            pairs,
            base=base_path,
            work=work,
            recipe=recipe,
            precision=arithmetic,
            on_progress=on_progress,
            stop=stop,
        )

    def write(folder: Path, outcome: Outcome[FastStudent]) -> FastRun:
        outcome.student.save(folder)
        run = FastRun(
            base=str(base),
            base_is_hub_id=is_hub_id(base),
            output=output,
            pairs=pairs,
            final_loss=outcome.final_loss,
            seconds=outcome.seconds,
            recipe=recipe,
            precision=arithmetic,
            steps=outcome.steps,
        )
        if finish is not None:
            finish(folder, run)
        return run

    return run_and_save(
        output,
        wanted=wanted,
        resume=resume,
        steps=steps_of_run(recipe, len(pairs)),
        loop=loop,
        write=write,
    )
