"""Model folders whose network comes as an IR, an ONNX file, or one of transformers' classes.

``model_folder.py`` checks every size, because glossrank writes that network itself. Here the
network is somebody else's: what is checked is what glossrank does with it, the tokenizer, one
label, the activation, and how long a pair may be. Weights are the engines' to check.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from glossrank.encoding import Batch
from glossrank.errors import ModelFolderError, UnsupportedModelError
from glossrank.folder_files import (
    CONFIG_FILE,
    NO_LIMIT,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    pair_length,
    read_json,
    read_tokenizer,
    require_files,
    saved_activation,
    tokenizer_settings,
)

MODULES_FILE = "modules.json"
INDEX_FILE = f"{WEIGHTS_FILE}.index.json"
"""Where transformers says which files large weights are in."""
SHARDS = "model-*-of-*.safetensors"
DEFAULT_LENGTH = 512
"""Tokens per pair where neither the configuration nor the tokenizer sets a limit."""

_ARCHITECTURE_ENDING = "ForSequenceClassification"
_POSITION_KEYS = ("max_position_embeddings", "n_positions")
# Their positions count from the one after the padding's, so the table is longer than a text; and
# their tokenizers give no token types, unless their configuration says so.
_RELATIVES_OF_ROBERTA = {
    "camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta",
    "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
}  # fmt: skip
_THEIR_PADDING = 1


@dataclass(frozen=True)
class ForeignConfig:
    """The part of ``config.json`` that scoring needs.

    Attributes:
        activation: dotted torch name of the saved activation function, or None.
        max_positions: the most tokens that a pair can have.
        pad_token_id: the id of padding, or None where none is named.
    """

    activation: str | None
    max_positions: int
    pad_token_id: int | None


@dataclass(frozen=True)
class ForeignModel:
    """A folder with a configuration and a tokenizer that agree.

    Attributes:
        path: the folder.
        config: activation, positions, padding.
        max_length: tokens per pair that tokenizer and positions allow.
        token_types: whether the model's tokenizer gives token types.
        tokenizer: pads and truncates nothing. It is shared: leave its settings as they are.
        sample: the tokens of a short pair.
    """

    path: Path
    config: ForeignConfig
    max_length: int
    token_types: bool
    tokenizer: Tokenizer
    sample: Encoding

    def sample_batches(self) -> list[Batch]:
        """Two batches to try a network with: two pairs, and one pair with padding.

        They differ in both sizes, so a network that was exported for one size fails.
        """
        padding = 0 if self.config.pad_token_id is None else self.config.pad_token_id
        length = len(self.sample.ids)
        batches = []
        for pairs, more in ((2, 0), (1, 3)):
            ids = np.array([self.sample.ids + [padding] * more] * pairs, dtype=np.int32)
            types = np.array([self.sample.type_ids + [0] * more] * pairs, dtype=np.int32)
            lengths = np.full(pairs, length, dtype=np.int32)
            batches.append(Batch(np.arange(pairs), ids, types, lengths))
        return batches


def has_safetensors(path: Path) -> bool:
    """Whether a folder has weights that may be read: never a pickle."""
    return (path / WEIGHTS_FILE).is_file() or (path / INDEX_FILE).is_file()


def weights_files(path: Path) -> tuple[Path, ...]:
    """``model.safetensors``, or the index and every file that it names.

    Raises:
        ModelFolderError: neither is there, the index is broken, or a file is missing.
    """
    if (path / WEIGHTS_FILE).is_file():
        return (path / WEIGHTS_FILE,)
    index = path / INDEX_FILE
    if not index.is_file():
        require_files(path, (WEIGHTS_FILE,))
    shards = read_json(index).get("weight_map")
    names = sorted(set(map(str, shards.values()))) if isinstance(shards, dict) else []
    # transformers opens whatever the index names, pickles too.
    wrong = [n for n in names if Path(n).name != n or Path(n).suffix != ".safetensors"]
    absent = [n for n in names if not (path / n).is_file()]
    if not names or wrong or absent:
        raise ModelFolderError(
            file=index,
            expected="the names of .safetensors files in this folder under 'weight_map'",
            found=f"{wrong[0]!r}" if wrong else f"no file {absent[0]!r}" if absent else "no names",
            fix="Copy or download all files of the model again.",
        )
    return (index, *(path / name for name in names))


def load_foreign_model(path: Path) -> ForeignModel:
    """Read and check everything but the network.

    Raises:
        ModelFolderError: a file is missing, unreadable, or contradicts another.
        UnsupportedModelError: not a sequence classifier with one label, or one followed by
            more modules of sentence-transformers.
    """
    require_files(path, (CONFIG_FILE, TOKENIZER_FILE))
    raw = read_json(path / CONFIG_FILE)
    _check_task(path / CONFIG_FILE, raw)
    _check_modules(path / MODULES_FILE)
    token_types = _gives_token_types(raw, tokenizer_settings(path))
    read = read_tokenizer(
        path,
        vocab_size=_whole(raw.get("vocab_size")),
        token_types=_whole(raw.get("type_vocab_size")) if token_types else None,
        surrounded=False,
    )
    positions = _positions(raw)
    return ForeignModel(
        path=path,
        config=ForeignConfig(
            activation=saved_activation(path, raw),
            max_positions=NO_LIMIT if positions is None else positions,
            pad_token_id=_whole(raw.get("pad_token_id"), least=0),
        ),
        max_length=pair_length(
            path, positions=positions, otherwise=DEFAULT_LENGTH, shortest=len(read.sample.ids)
        ),
        token_types=token_types,
        tokenizer=read.tokenizer,
        sample=read.sample,
    )


def _check_task(file: Path, raw: dict[str, Any]) -> None:
    named = raw.get("architectures") or []
    labels = raw.get("id2label", {})
    if not isinstance(named, list) or not isinstance(labels, dict):
        raise ModelFolderError(
            file=file,
            expected="a list under 'architectures' and an object under 'id2label'",
            found=f"{named!r} and {labels!r}",
            fix="Copy the file again from where the model came from.",
        )
    if named and not str(named[0]).endswith(_ARCHITECTURE_ENDING):
        raise UnsupportedModelError(
            file=file,
            expected=f"an architecture whose name ends in {_ARCHITECTURE_ENDING}",
            found=", ".join(map(str, named)),
            fix="Choose a cross-encoder, a model with a classification head of one label.",
        )
    # transformers counts two labels where neither key says otherwise.
    count = len(labels) if "id2label" in raw else raw.get("num_labels", 2)
    if count != 1:
        raise UnsupportedModelError(
            file=file,
            expected="one output label, a relevance score",
            found=f"{count} labels",
            fix="Choose a cross-encoder that was trained for ranking (num_labels=1).",
        )


def _check_modules(file: Path) -> None:
    """What follows the transformer, if anything, would be left out."""
    if not file.is_file():
        return
    try:
        kinds = [str(module["type"]) for module in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelFolderError(
            file=file,
            expected="a JSON list of modules, each with its 'type'",
            found=str(error),
            fix="Copy the file again from where the model came from.",
        ) from error
    if len(kinds) > 1:
        raise UnsupportedModelError(
            file=file,
            expected="one module, the transformer with its head",
            found=", ".join(kind.rsplit(".", 1)[-1] for kind in kinds),
            fix="Run this model with sentence-transformers.",
        )


def _gives_token_types(raw: dict[str, Any], settings: dict[str, Any]) -> bool:
    names = settings.get("model_input_names")
    if isinstance(names, list):
        return "token_type_ids" in names
    return raw.get("model_type") not in _RELATIVES_OF_ROBERTA


def _positions(raw: dict[str, Any]) -> int | None:
    """The most tokens that the model has positions for, or None where it has no limit."""
    rows = next((n for key in _POSITION_KEYS if (n := _whole(raw.get(key)))), None)
    if rows is None or raw.get("model_type") not in _RELATIVES_OF_ROBERTA:
        return rows
    padding = _whole(raw.get("pad_token_id"), least=0)
    return rows - 1 - (_THEIR_PADDING if padding is None else padding)


def _whole(value: object, *, least: int = 1) -> int | None:
    """``value`` where it is a whole number of at least ``least``, else None."""
    sound = isinstance(value, int) and not isinstance(value, bool) and value >= least
    return value if sound else None  # type: ignore[return-value]
