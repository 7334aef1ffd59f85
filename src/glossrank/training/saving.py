"""Trained weights to a model folder: fp16, with the base's tokenizer and settings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from glossrank.errors import InputError
from glossrank.folder_files import CONFIG_FILE, WEIGHTS_FILE
from glossrank.fusion import FITTED_FILES

if TYPE_CHECKING:
    import torch


def write_half(base: Path, folder: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write ``weights`` as fp16 beside copies of the base's files.

    What was fitted to the base's weights (calibration, fusion) is not passed on.

    Args:
        base: the model folder that training started from.
        folder: may not be there yet.
        weights: every tensor of the model by transformers' names.

    Raises:
        InputError: the weights grew beyond fp16.
    """
    import torch
    from safetensors.torch import save_file

    half = {name: value.detach().to(torch.float16).contiguous() for name, value in weights.items()}
    if not all(bool(value.isfinite().all()) for value in half.values()):
        raise InputError(
            expected="weights that fit into fp16",
            found="an overflow",
            fix="Lower the learning rate with --set learning_rate=..., and train again.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(base.iterdir()):
        if file.suffix in (".json", ".txt") and file.name not in FITTED_FILES:
            shutil.copyfile(file, folder / file.name)
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    # fp16 weights that are run in fp32, as everywhere in glossrank.
    text = json.dumps({**config, "dtype": "float32"}, indent=2)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    save_file(half, folder / WEIGHTS_FILE, metadata={"format": "pt"})
