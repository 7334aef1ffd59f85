"""Writes a loaded model as a folder, which sentence-transformers loads too."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from glossrank.engines.choose import Chosen
from glossrank.folder_files import CONFIG_FILE, SENTENCE_TRANSFORMERS_FILE, TOKENIZER_CONFIG_FILE
from glossrank.output import new_folder

logger = logging.getLogger(__name__)

# What belongs to a model; a folder may hold checkpoints and logs besides.
_SAVED_ENDINGS = (".json", ".txt", ".md", ".safetensors")


def save_model(chosen: Chosen, output: Path, *, max_length: int, activation: str | None) -> None:
    """See :meth:`glossrank.CrossEncoder.save_pretrained`.

    Args:
        max_length: tokens per pair, as they are set now.
        activation: torch's name of the activation that is set now, or None if it has none.

    Raises:
        OutputError: the folder exists and is not empty, or cannot be written.
    """
    with new_folder(output) as folder:
        for file in sorted(chosen.folder.path.iterdir()):
            if file.suffix in _SAVED_ENDINGS:
                shutil.copyfile(file, folder / file.name)
        for file in chosen.files:
            copy = folder / file.relative_to(chosen.folder.path)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, copy)
        if max_length != chosen.folder.max_length:
            _change_json(folder / TOKENIZER_CONFIG_FILE, model_max_length=max_length)
        if activation is None:
            logger.warning(
                "activation_fn is a function of yours and cannot be saved; the model keeps the saved one."
            )
            return
        saved = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        own = saved.get("sentence_transformers") or {}
        _change_json(
            folder / CONFIG_FILE, sentence_transformers={**own, "activation_fn": activation}
        )
        if (folder / SENTENCE_TRANSFORMERS_FILE).is_file():
            _change_json(folder / SENTENCE_TRANSFORMERS_FILE, activation_fn=activation)


def _change_json(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.write_text(json.dumps({**content, **changes}, indent=2) + "\n", encoding="utf-8")
