"""Every term's logit, by a model that has read the definitions before the question came."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glossrank.cross_encoder import CrossEncoder
from glossrank.document_index import (
    DocumentIndex,
    index_documents,
    index_fingerprint,
    read_index_file,
)
from glossrank.errors import UnsupportedModelError
from glossrank.model_names import INDEXED_MODEL

RESCORED = 12
"""The best terms of the first stage, which the full model then reads; benchmarks/LOG.md."""

FloatArray = NDArray[np.float32]


class FirstStage:
    """A model of the family indexed-bert over fixed documents. Safe to use from several threads.

    Args:
        model: one that definitions are indexed with.
        documents: what it reads of each term. Documents that read alike are kept once, so that
            they tie exactly.
        index: a saved index of these documents; else it is computed when it is first needed.

    Raises:
        UnsupportedModelError: the model is of another kind.
        IndexFileError: the index is not of this model and these documents.
    """

    def __init__(
        self, model: CrossEncoder, documents: Sequence[str], *, index: Path | None = None
    ) -> None:
        engine = model.indexed_engine
        if engine is None:
            raise UnsupportedModelError(
                file=model.model_path,
                expected="a model that definitions are indexed with (model_type 'indexed-bert')",
                found="one that reads question and definition together from the start",
                fix=f"Give {INDEXED_MODEL}, or one that scripts/train_indexed.py made.",
            )
        self.model = model
        self._engine = engine
        first: dict[str, int] = {}
        self._place = [first.setdefault(document, len(first)) for document in documents]
        self._documents = tuple(first)
        self._lock = threading.Lock()
        self._index: DocumentIndex | None = None
        if index is not None:
            fingerprint = index_fingerprint(model, self._documents)
            self._index = read_index_file(index).load(fingerprint=fingerprint)

    @property
    def index(self) -> DocumentIndex:
        """The index of the distinct documents; computed once."""
        with self._lock:
            if self._index is None:
                self._index = index_documents(self.model, self._documents)
            return self._index

    def logits(self, question: str) -> FloatArray:
        """fp32 ``[documents]``."""
        encoder = self.model.encoder
        ids = encoder.query_part(encoder.tokenize([question])[0])
        return self.index.logits(self._engine, ids)[self._place]
