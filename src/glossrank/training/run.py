"""One training run: labelled pairs and a base model to a new model folder.

sentence-transformers' ``CrossEncoderTrainer`` does the training. The output folder appears
whole or not at all; until then everything is in ``OUTPUT.training``, from which an
interrupted run goes on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from glossrank.errors import (
    InputError,
    MissingExtraError,
    OutputError,
    TrainingInterruptedError,
)
from glossrank.judgments import LabelledPair
from glossrank.model_folder import CONFIG_FILE, load_model_folder
from glossrank.model_names import find_folder, packaged_names
from glossrank.output import cannot_write, new_folder, refuse_existing
from glossrank.training.recipe import Recipe

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import CrossEncoderTrainer

_RUN_FILE = "run.json"
_NEEDED_MODULES = (
    "torch", "sentence_transformers", "datasets", "accelerate", "ir_measures", "bm25s",
)  # fmt: skip
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
# The file of a checkpoint that is written last.
_CHECKPOINT_DONE = "trainer_state.json"


@dataclass(frozen=True)
class Progress:
    """Where a run is: optimizer steps, the last step's loss, seconds left at this rate."""

    step: int
    steps: int
    loss: float
    seconds_left: float


@dataclass(frozen=True)
class TrainingRun:
    """What a finished run says of itself, for the model card and the closing line.

    Attributes:
        base_is_hub_id: whether the hub, not a folder, is where the base comes from.
        hyperparameters: every training argument as it was, by name.
        changed: those that differ from sentence-transformers' defaults.
        final_loss: mean loss over the last epoch.
        seconds: time of the training loop, since the last ``resume`` if there was one.
    """

    base: str
    base_is_hub_id: bool
    output: Path
    pairs: Sequence[LabelledPair]
    hyperparameters: dict[str, Any]
    changed: dict[str, Any]
    final_loss: float
    seconds: float


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
    texts = json.dumps([[p.question, p.document, p.label] for p in pairs])
    wanted = {
        "pairs_sha256": hashlib.sha256(texts.encode()).hexdigest(),
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
                base_is_hub_id=str(base) not in packaged_names() and not Path(base).exists(),
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


def is_full_disk(error: RuntimeError) -> bool:
    """Whether this is what torch's file writer raises on a full disk."""
    return "PytorchStreamWriter" in str(error) or "inline_container" in str(error)


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


def require_extra() -> None:
    """Refuse to start what would fail later.

    Raises:
        MissingExtraError: a package of the extra [train] is not installed.
    """
    for name in _NEEDED_MODULES:
        if find_spec(name) is None:
            raise MissingExtraError(feature="training", extra="train", missing=name)


def prepare_work(
    work: Path,
    wanted: dict[str, Any],
    find_checkpoints: Callable[[Path], list[Path]],
    *,
    resume: bool,
) -> Path | None:
    """Make the folder of checkpoints, or find the checkpoint to go on from.

    Args:
        wanted: what makes two runs the same, plain values by name.
        find_checkpoints: whole checkpoints in the folder, oldest first.

    Raises:
        OutputError: the folder is somebody else's, of another run, or cannot be made.
    """
    checkpoints = find_checkpoints(work)
    found = _read_run_file(work)
    if work.exists() and found is None and (not work.is_dir() or any(work.iterdir())):
        raise OutputError(
            file=work,
            expected="no file or folder of this name, which training needs for itself",
            found="one that no training run made",
            fix="Rename it, or choose another output folder.",
        )
    if resume and checkpoints:
        different = [key for key, value in wanted.items() if (found or {}).get(key) != value]
        if different:
            raise OutputError(
                file=work,
                expected="checkpoints of the same data, base and recipe",
                found=f"another {', '.join(different)}",
                fix="Give the command of that run, or remove the folder to start anew.",
            )
        return checkpoints[-1]
    if checkpoints:
        raise OutputError(
            file=work,
            expected="no checkpoints of an earlier run",
            found=checkpoints[-1].name,
            fix="Add --resume to go on from there, or remove the folder to start anew.",
        )
    try:
        work.mkdir(parents=True, exist_ok=True)
        (work / _RUN_FILE).write_text(json.dumps(wanted), encoding="utf-8")
    except OSError as error:
        raise cannot_write(work, error) from error
    return None


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


def _read_run_file(work: Path) -> dict[str, Any] | None:
    """What an earlier run wrote of itself, or None if there is no such run."""
    try:
        content = json.loads((work / _RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


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


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the libraries' own bars and hints off the terminal while a run lasts."""
    from datasets.utils import logging as datasets_logging
    from transformers.utils import logging as transformers_logging

    bars = transformers_logging.is_progress_bar_enabled()
    level = logging.getLogger("sentence_transformers").level
    transformers_logging.disable_progress_bar()
    datasets_logging.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # The card's dataloader_pin_memory is True, which means nothing without a GPU.
            warnings.filterwarnings("ignore", message=".*pin_memory.*")
            yield
    finally:
        logging.getLogger("sentence_transformers").setLevel(level)
        datasets_logging.enable_progress_bar()
        if bars:
            transformers_logging.enable_progress_bar()
