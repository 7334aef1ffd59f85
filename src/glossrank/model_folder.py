"""What a model is on disk.

A model folder holds ``config.json``, ``tokenizer.json`` and ``model.safetensors`` (fp16,
bf16 or fp32), as transformers and sentence-transformers write them. Everything is checked
before anything is scored.

This module does not know how a model is run; what each architecture keeps on disk is in
``glossrank.architectures``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from glossrank.architectures import ModelConfig, parse_config
from glossrank.architectures.fields import broken_file
from glossrank.folder_files import (
    CONFIG_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    PairTokenizer,
    pair_length,
    read_json,
    read_tokenizer,
    require_files,
    saved_activation,
    tokenizer_settings,
)
from glossrank.model_weights import WeightArray, read_weights

NEEDED_FILES = (CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE)


@dataclass(frozen=True)
class ModelFolder:
    """A folder whose files are read and checked against each other.

    Attributes:
        path: the folder.
        config: family, sizes and activations.
    """

    path: Path
    config: ModelConfig

    @cached_property
    def pair_tokenizer(self) -> PairTokenizer:
        """The folder's tokenizer.

        Raises:
            ModelFolderError: the file is broken, or was not made for these weights.
        """
        return read_tokenizer(
            self.path,
            vocab_size=self.config.vocab_size,
            token_types=self.config.type_vocab_size if self.config.takes_token_types else None,
            surrounded=True,
        )

    @property
    def tokenizer(self) -> Tokenizer:
        """It pads and truncates nothing. It is shared: leave its settings as they are."""
        return self.pair_tokenizer.tokenizer

    @cached_property
    def max_length(self) -> int:
        """Tokens per pair that the tokenizer and the model's positions allow.

        Raises:
            ModelFolderError: no pair has room.
        """
        most = self.config.max_positions
        # A pair's special tokens and one token of each text.
        shortest = self.pair_tokenizer.sample.sequence_ids.count(None) + 2
        return pair_length(self.path, positions=most, otherwise=most, shortest=shortest)

    def weights(self) -> dict[str, WeightArray]:
        """The checked weights by transformers' names: matrices fp16 or fp32, vectors fp32.

        Raises:
            ModelFolderError: see :func:`glossrank.model_weights.read_weights`.
        """
        return read_weights(self.path / WEIGHTS_FILE, self.config)

    def check(self) -> ModelFolder:
        """Read everything but the weights, which takes a moment.

        Raises:
            ModelFolderError: the tokenizer is broken or does not fit the model.
        """
        _ = self.max_length
        return self


def load_model_folder(path: Path) -> ModelFolder:
    """Read and check everything but the weights, which ``ModelFolder.weights`` checks.

    Raises:
        ModelFolderError, UnsupportedModelError: see :func:`open_model_folder` and
            :meth:`ModelFolder.check`.
    """
    return open_model_folder(path).check()


def open_model_folder(path: Path) -> ModelFolder:
    """Read and check the configuration alone.

    Raises:
        ModelFolderError: a file is missing, or the configuration cannot be read.
        UnsupportedModelError: not a sequence classifier with one label of an architecture
            in ``glossrank.architectures``, or one with an option that has no graph.
    """
    require_files(path, NEEDED_FILES)
    raw = read_json(path / CONFIG_FILE)
    config = parse_config(
        path / CONFIG_FILE,
        raw,
        input_names=_input_names(path),
        activation=saved_activation(path, raw),
    )
    return ModelFolder(path, config)


def _input_names(path: Path) -> Sequence[str] | None:
    names = tokenizer_settings(path).get("model_input_names")
    if names is None or (isinstance(names, list) and all(isinstance(n, str) for n in names)):
        return names
    raise broken_file(
        path / TOKENIZER_CONFIG_FILE, "a list of names under 'model_input_names'", repr(names)
    )
