"""Which terms of a long glossary are worth the cross-encoder's time.

Two quick rankings, BM25 over words and static vectors over meanings, are joined; a few dozen of
the best go to the cross-encoder. Knows texts, knows nothing of cross-encoders.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from glossrank.bm25 import BM25Index
from glossrank.vectors import shipped_vectors

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

BM25_WEIGHT = 0.1
"""Of a standardised BM25 score beside a standardised cosine; benchmarks/LOG.md has the sweep."""


class Shortlist:
    """An index of documents.

    Args:
        documents: in the order in which rows are numbered.
        vectors: fp16 ``[documents, dimensions]`` of :mod:`glossrank.vectors`; else made here.
    """

    def __init__(
        self, documents: Sequence[str], vectors: NDArray[np.float16] | None = None
    ) -> None:
        self._words = BM25Index(documents)
        if vectors is None:
            vectors = shipped_vectors().encode(documents).astype(np.float16)
        self._vectors = vectors

    def scores(self, question: str) -> FloatArray:
        """fp32 ``[documents]``: both rankings joined, higher is better."""
        vector = shipped_vectors().encode([question])[0]
        return join(self._words.scores(question), self._cosines(vector))

    def rows(self, question: str, *, size: int) -> IntArray:
        """The ``size`` best rows, best first; of equal scores the earlier row."""
        return np.argsort(-self.scores(question), kind="stable")[:size]

    def _cosines(self, vector: FloatArray) -> FloatArray:
        # In blocks, so that the fp16 table is never copied as a whole.
        parts = [
            self._vectors[start : start + 8192].astype(np.float32) @ vector
            for start in range(0, len(self._vectors), 8192)
        ]
        return np.concatenate(parts)


def join(words: FloatArray, cosines: FloatArray, *, weight: float = BM25_WEIGHT) -> FloatArray:
    """A weighted sum of both after each is standardised over the documents."""
    return np.asarray(weight * _standard(words) + _standard(cosines), dtype=np.float32)


def _standard(scores: FloatArray) -> FloatArray:
    spread = float(scores.std())
    return np.asarray((scores - scores.mean()) / (spread if spread > 0 else 1.0), dtype=np.float32)
