"""One training run: labelled pairs and a base model to a new model folder.

sentence-transformers' ``CrossEncoderTrainer`` does the training. The output folder appears
whole or not at all; until then everything is in ``OUTPUT.training``, from which an
interrupted run goes on.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from glossrank.errors import InputError, TrainingInterruptedError
from glossrank.folder_files import CONFIG_FILE
from glossrank.judgments import LabelledPair
from glossrank.model_folder import load_model_folder
from glossrank.model_names import find_folder
from glossrank.output import cannot_write, new_folder, refuse_existing
from glossrank.training.recipe import Recipe
from glossrank.training.work import (
    PairsRun,
    Progress,
    is_full_disk,
    is_hub_id,
    pairs_sha256,
    prepare_work,
    quiet_libraries,
    require_extra,
)

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import CrossEncoderTrainer

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
# The file of a checkpoint that is written last.
_CHECKPOINT_DONE = "trainer_state.json"


@dataclass(frozen=True, kw_only=True)
class TrainingRun(PairsRun):
    """A run of sentence-transformers' trainer.

    Attributes:
        hyperparameters: every training argument as it was, by name.
        changed: those that differ from sentence-transformers' defaults.
    """

    hyperparameters: dict[str, Any]
    changed: dict[str, Any]


def train(
    pairs: Sequence[LabelledPair],
    *,
    base: str | Path,
    output: Path,
    recipe: Recipe | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    finish: Callable[[Path, TrainingRun], None] | None = None,
) -> TrainingRun:
    """Fine-tune ``base`` on ``pairs`` and write the model folder ``output`` (fp16 weights).

    Args:
        base: packaged name, folder or hub id of a cross-encoder with one label.
        recipe: hyperparameters; the model card's by default.
        resume: go on from ``OUTPUT.training``, which must be of the same run.
        on_progress: called after every optimizer step.
        stop: asked after every step; True saves a checkpoint and ends the run.
        finish: called with the still hidden folder, to add files to it (the model card).

    Raises:
        MissingExtraError: the extra [train] is not installed.
        OutputError: ``output`` exists, cannot be written, or another run's checkpoints
            are in the way.
        TrainingInterruptedError: ``stop`` said so; a checkpoint is left.
        ModelError: the base cannot be used.
        InputError: the installed libraries refuse the recipe, or it leaves no whole batch.
    """
    require_extra()
    recipe = recipe or Recipe()
    output = output.resolve()
    refuse_existing(output)
    base_path = find_folder(base)
    load_model_folder(base_path).weights()
    work = output.with_name(f"{output.name}.training")
    wanted = {
        "pairs_sha256": pairs_sha256(pairs),
        "base": str(base),
        "recipe": dataclasses.asdict(recipe),
    }
    checkpoint = prepare_work(work, wanted, _checkpoints, resume=resume)
    try:
        with quiet_libraries():
            trainer = _build_trainer(pairs, base_path, work, recipe)
            watch = _Watch(on_progress, stop)
            trainer.add_callback(watch.callback)
            seconds = _run_trainer(trainer, checkpoint, work)
            if watch.stopped:
                raise TrainingInterruptedError(
                    file=work,
                    expected=f"{trainer.state.max_steps} steps",
                    found=f"a stop after {trainer.state.global_step}",
                    fix="Give the same command with --resume to go on, or remove the folder to give up.",
                )
            hyperparameters, changed = _arguments_of(trainer)
            run = TrainingRun(
                base=str(base),
                base_is_hub_id=is_hub_id(base),
                output=output,
                pairs=pairs,
                hyperparameters=hyperparameters,
                changed=changed,
                final_loss=_last_epoch_loss(trainer.state.log_history),
                seconds=seconds,
            )
            with new_folder(output) as folder:
                save_half(trainer.model, folder)
                if finish is not None:
                    finish(folder, run)
    except BaseException:
        if not _checkpoints(work):
            shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)
    return run


def _run_trainer(trainer: CrossEncoderTrainer, checkpoint: Path | None, work: Path) -> float:
    """Train and return the seconds it took.

    Raises:
        OutputError: a checkpoint cannot be written.
    """
    start = time.perf_counter()
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    except (OSError, SafetensorError) as error:
        raise cannot_write(work, error) from error
    except RuntimeError as error:
        if is_full_disk(error):
            raise cannot_write(work, error) from error
        raise
    return time.perf_counter() - start


def save_half(model: CrossEncoder, folder: Path) -> None:
    """Write a sentence-transformers model as fp16 weights that are run in fp32.

    ``config.json`` keeps ``"dtype": "float32"``: transformers then computes in fp32, where
    fp16 arithmetic on a CPU would be slow and coarse.
    """
    model.half()
    model.save_pretrained(str(folder), create_model_card=False)
    file = folder / CONFIG_FILE
    config = json.loads(file.read_text(encoding="utf-8"))
    config["dtype"] = "float32"
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def training_arguments(recipe: Recipe, work: Path) -> Any:
    """The ``CrossEncoderTrainingArguments`` of a run that keeps its checkpoints in ``work``."""
    from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments

    return CrossEncoderTrainingArguments(
        output_dir=str(work),
        save_strategy="epoch",
        save_total_limit=1,
        logging_strategy="steps",
        logging_steps=1,
        report_to="none",
        **dataclasses.asdict(recipe),
    )


def _checkpoints(work: Path) -> list[Path]:
    """Whole checkpoints, oldest first; one that was being written when a run died is none."""
    if not work.is_dir():
        return []
    whole = {
        int(match[1]): folder
        for folder in work.iterdir()
        if (match := _CHECKPOINT.fullmatch(folder.name)) and (folder / _CHECKPOINT_DONE).is_file()
    }
    return [whole[step] for step in sorted(whole)]


def _build_trainer(
    pairs: Sequence[LabelledPair], base: Path, work: Path, recipe: Recipe
) -> CrossEncoderTrainer:
    import torch
    from datasets import Dataset
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import CrossEncoderTrainer
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
    from transformers import set_seed
    from transformers.trainer_callback import PrinterCallback

    set_seed(recipe.seed)
    # fp32 whatever the folder holds: fp16 weights would otherwise be trained in fp16.
    model = CrossEncoder(str(base), num_labels=1, model_kwargs={"dtype": torch.float32})
    dataset = Dataset.from_dict(
        {
            "sentence_0": [p.question for p in pairs],
            "sentence_1": [p.document for p in pairs],
            "label": [p.label for p in pairs],
        }
    )
    loss = BinaryCrossEntropyLoss(model, activation_fn=torch.nn.Identity(), pos_weight=None)
    try:
        arguments = training_arguments(recipe, work)
        trainer = CrossEncoderTrainer(model=model, args=arguments, train_dataset=dataset, loss=loss)
        trainer.get_optimizer_cls_and_kwargs(arguments, model)
    except (ValueError, ImportError) as error:
        raise InputError(
            expected="hyperparameters that the installed transformers can run",
            found=str(error).splitlines()[0],
            fix="Correct the --set values.",
        ) from error
    if len(trainer.get_train_dataloader()) == 0:
        raise InputError(
            expected=f"at least {recipe.per_device_train_batch_size} pairs, one whole batch, with dataloader_drop_last",
            found=str(len(pairs)),
            fix="Use a smaller per_device_train_batch_size.",
        )
    # It prints every log line to stdout when tqdm is off.
    trainer.remove_callback(PrinterCallback)
    return trainer


class _Watch:
    """A trainer callback that reports progress and asks whether to stop."""

    def __init__(
        self, on_progress: Callable[[Progress], None] | None, stop: Callable[[], bool]
    ) -> None:
        from transformers import TrainerCallback

        self.stopped = False
        started: list[tuple[float, int]] = []
        watch = self

        class Callback(TrainerCallback):  # type: ignore[misc]
            def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if not started:
                    started.append((time.perf_counter(), state.global_step))

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if stop() and state.global_step < state.max_steps:
                    watch.stopped = True
                    control.should_save = True
                    control.should_training_stop = True

            def on_log(
                self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any
            ) -> None:
                if on_progress is None or not started or "loss" not in (logs or {}):
                    return
                since, first = started[0]
                rate = (time.perf_counter() - since) / max(1, state.global_step - first)
                left = rate * (state.max_steps - state.global_step)
                on_progress(Progress(state.global_step, state.max_steps, float(logs["loss"]), left))

        self.callback = Callback()


def _last_epoch_loss(history: list[dict[str, float]]) -> float:
    """Mean of the logged losses of the last epoch; checkpoints carry the log along."""
    losses = [(entry["epoch"], entry["loss"]) for entry in history if "loss" in entry]
    end = losses[-1][0]
    last = [loss for epoch, loss in losses if epoch > end - 1]
    return sum(last) / len(last)


# Arguments that say where and how a run is watched, not how it learns.
_NOT_HYPERPARAMETERS = (
    "output_dir", "do_train", "do_eval", "eval_delay", "eval_steps", "run_name", "report_to",
    "project", "trackio_space_id", "hub_token", "push_to_hub_token",
)  # fmt: skip
_NOT_HYPERPARAMETER_PREFIXES = ("logging_", "save_strategy", "save_steps", "save_total_limit")


def _arguments_of(trainer: CrossEncoderTrainer) -> tuple[dict[str, Any], dict[str, Any]]:
    """All hyperparameters of the run, and those that differ from the library's defaults."""
    shown = {
        key: value
        for key, value in trainer.args.to_dict().items()
        if key not in _NOT_HYPERPARAMETERS and not key.startswith(_NOT_HYPERPARAMETER_PREFIXES)
    }
    defaults = type(trainer.args)(output_dir=trainer.args.output_dir, report_to="none").to_dict()
    changed = {key: value for key, value in shown.items() if defaults[key] != value}
    return shown, changed
