"""Definitions computed ahead for a model that reads them without the question.

What is stored is what :class:`~glossrank.engines.indexed.IndexedEngine` needs of each token: in
fp16, one key and one value for each upper layer. The index of a glossary can be saved, and is
refused if the model or the definitions have changed since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from glossrank.encoding import IntArray
from glossrank.engines.indexed import IndexedEngine, States
from glossrank.engines.openvino import padding_mask
from glossrank.errors import IndexFileError
from glossrank.model_folder import NEEDED_FILES
from glossrank.output import new_path

if TYPE_CHECKING:
    from glossrank.cross_encoder import CrossEncoder

BLOCK_ROWS = 1024
"""Rows of a question, times definitions, that run through the upper layers at once."""
_TYPICAL_QUESTION = 16
_FORMAT = "glossrank-index-1"

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class _Block:
    """Definitions of like length, padded to the longest."""

    rows: NDArray[np.int64]
    states: States
    mask: FloatArray


class DocumentIndex:
    """The stored states of some definitions, in blocks that a question runs through.

    Args:
        states: fp16 ``[length, state_size]`` of each definition, in order.
        fingerprint: of the model and the definitions, see :func:`index_fingerprint`.
    """

    def __init__(self, states: Sequence[States], *, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.lengths = np.array([len(s) for s in states], dtype=np.int32)
        order = np.argsort(-self.lengths, kind="stable")
        size = max(1, BLOCK_ROWS // _TYPICAL_QUESTION)
        self._blocks = [
            _block(states, self.lengths, order[start : start + size])
            for start in range(0, len(order), size)
        ]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the states take, padding included."""
        return sum(block.states.nbytes for block in self._blocks)

    def logits(self, engine: IndexedEngine, question: IntArray) -> FloatArray:
        """fp32 ``[definitions]``, in their order.

        Args:
            question: int32 ``[length]``, with its special tokens.
        """
        state = engine.question(question)
        found = np.empty(len(self), dtype=np.float32)
        for block in self._blocks:
            found[block.rows] = engine.join(state, block.states, block.mask)
        return found

    def save(self, path: Path, *, model: str) -> None:
        """Write a safetensors file; it appears whole or not at all.

        Args:
            model: name or folder of the model, to be shown and found again.

        Raises:
            OutputError: it cannot be written.
        """
        flat: list[States] = [np.empty((0, 0), dtype=np.float16)] * len(self)
        for block in self._blocks:
            for line, row in enumerate(block.rows.tolist()):
                flat[row] = block.states[line, : self.lengths[row]]
        about = {
            "format": _FORMAT,
            "model": model,
            "fingerprint": self.fingerprint,
        }
        with new_path(path) as temporary:
            save_file(
                {"states": np.concatenate(flat), "lengths": self.lengths},
                temporary,
                metadata={"glossrank": json.dumps(about)},
            )
            # safetensors writes private files.
            temporary.chmod(0o644)


@dataclass(frozen=True)
class IndexFile:
    """What is said at the head of a saved index: ``model`` and ``fingerprint``."""

    path: Path
    model: str
    fingerprint: str

    def load(self, *, fingerprint: str) -> DocumentIndex:
        """The index, if it was made of these definitions with this model.

        Raises:
            IndexFileError: it was not, or the file is broken.
        """
        if fingerprint != self.fingerprint:
            raise IndexFileError(
                file=self.path,
                expected="an index of this glossary by this model",
                found="one of other definitions, or of other weights",
                fix="Make it again with `glossrank index`.",
            )
        with _opened(self.path) as file:
            states, lengths = file.get_tensor("states"), file.get_tensor("lengths")
        ends = np.cumsum(lengths)
        if (
            states.ndim != 2
            or states.dtype != np.float16
            or not len(ends)
            or ends[-1] != len(states)
        ):
            raise _broken(self.path, "tensors that do not fit each other")
        return DocumentIndex(np.split(states, ends[:-1]), fingerprint=fingerprint)


def read_index_file(path: Path) -> IndexFile:
    """The head of a saved index.

    Raises:
        IndexFileError: no such file, or not an index.
    """
    if not path.is_file():
        raise IndexFileError(
            file=path,
            expected="an index that `glossrank index` has written",
            found="no such file",
            fix="Make one: glossrank index GLOSSARY --output FILE.",
        )
    with _opened(path) as file:
        raw = (file.metadata() or {}).get("glossrank", "")
    try:
        about = json.loads(raw)
        if about["format"] != _FORMAT:
            raise ValueError(about["format"])
        return IndexFile(path, str(about["model"]), str(about["fingerprint"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(path, "another kind of file") from error


def index_documents(model: CrossEncoder, documents: Sequence[str]) -> DocumentIndex:
    """Compute an index.

    Args:
        model: of the family indexed-bert.
        documents: what the model reads of each definition, at least one.

    Raises:
        ValueError: the model is of another family, or there is no document.
    """
    engine = model.indexed_engine
    if engine is None:
        raise ValueError(f"{model.model_path} is not a model that definitions are indexed with.")
    if not documents:
        raise ValueError("there is no definition to index.")
    states = engine.states([model.encoder.document_part(ids) for ids in model.tokenize(documents)])
    return DocumentIndex(states, fingerprint=index_fingerprint(model, documents))


def index_fingerprint(model: CrossEncoder, documents: Sequence[str]) -> str:
    """SHA-256, 64 hexadecimal digits, of the model and the documents in their order.

    Not of the arithmetic: an index may be made on one machine and used on another. Not of
    calibrations, either, which have no part in it.
    """
    digest = hashlib.sha256()
    for name in NEEDED_FILES:
        digest.update((model.model_path / name).read_bytes())
    digest.update(json.dumps(list(documents)).encode())
    return digest.hexdigest()


def _block(states: Sequence[States], lengths: IntArray, rows: NDArray[np.int64]) -> _Block:
    width = int(lengths[rows].max())
    padded = np.zeros((len(rows), width, states[int(rows[0])].shape[1]), dtype=np.float16)
    for line, row in enumerate(rows.tolist()):
        padded[line, : lengths[row]] = states[row]
    return _Block(rows, padded, padding_mask(lengths[rows], width))


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="numpy")
    except (OSError, SafetensorError) as error:
        raise _broken(path, str(error)) from error


def _broken(path: Path, found: str) -> IndexFileError:
    return IndexFileError(
        file=path,
        expected="an index that `glossrank index` has written",
        found=found,
        fix="Make it again with `glossrank index`.",
    )
