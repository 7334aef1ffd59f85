"""What the runs of all recipes share: progress, the folder of checkpoints, quiet libraries."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from glossrank.errors import MissingExtraError, OutputError
from glossrank.judgments import LabelledPair
from glossrank.model_names import packaged_names
from glossrank.output import cannot_write

_RUN_FILE = "run.json"
_NEEDED_MODULES = (
    "torch", "sentence_transformers", "datasets", "accelerate", "ir_measures", "bm25s",
)  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """Where a run is: optimizer steps, the last step's loss, seconds left at this rate."""

    step: int
    steps: int
    loss: float
    seconds_left: float


@dataclass(frozen=True, kw_only=True)
class PairsRun:
    """What a finished run on labelled pairs says of itself, for the card and the closing line.

    Attributes:
        base_is_hub_id: whether the hub, not a folder, is where the base comes from.
        final_loss: mean loss over the last epoch.
        seconds: time of the training loop, since the last ``resume`` if there was one.
    """

    base: str
    base_is_hub_id: bool
    output: Path
    pairs: Sequence[LabelledPair]
    final_loss: float
    seconds: float


def pairs_sha256(pairs: Sequence[LabelledPair]) -> str:
    """Hexadecimal SHA-256 of the pairs' texts and labels, in their order."""
    texts = json.dumps([[p.question, p.document, p.label] for p in pairs])
    return hashlib.sha256(texts.encode()).hexdigest()


def is_hub_id(base: str | Path) -> bool:
    """Whether the hub is where this base comes from."""
    return str(base) not in packaged_names() and not Path(base).exists()


def is_full_disk(error: RuntimeError) -> bool:
    """Whether this is what torch's file writer raises on a full disk."""
    return "PytorchStreamWriter" in str(error) or "inline_container" in str(error)


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
    if checkpoints and not resume:
        raise OutputError(
            file=work,
            expected="no checkpoints of an earlier run",
            found=checkpoints[-1].name,
            fix="Add --resume to go on from there, or remove the folder to start anew.",
        )
    different = [key for key, value in wanted.items() if (found or {}).get(key) != value]
    # Another recipe's checkpoints have other names, and must not be lost either.
    if different and found is not None and any(p.name != _RUN_FILE for p in work.iterdir()):
        raise OutputError(
            file=work,
            expected="checkpoints of the same data, base and recipe",
            found=f"another {', '.join(different)}",
            fix="Give the command of that run, or remove the folder to start anew.",
        )
    if checkpoints:
        return checkpoints[-1]
    try:
        work.mkdir(parents=True, exist_ok=True)
        (work / _RUN_FILE).write_text(json.dumps(wanted), encoding="utf-8")
    except OSError as error:
        raise cannot_write(work, error) from error
    return None


def _read_run_file(work: Path) -> dict[str, Any] | None:
    """What an earlier run wrote of itself, or None if there is no such run."""
    try:
        content = json.loads((work / _RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


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
