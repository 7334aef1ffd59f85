"""BM25: the baseline that any model must beat, and a first look at long glossaries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class BM25Index:
    """Documents indexed by their words (Robertson et al. 1994, Lucene's variant).

    bm25s with its defaults: k1 = 1.5, b = 0.75, English stop words.

    Args:
        documents: at least one; their order is the order of the scores.
    """

    def __init__(self, documents: Sequence[str]) -> None:
        self._size = len(documents)
        self._index = None
        corpus = _words(documents)
        # Nothing but stop words: bm25s cannot index that, and nothing could match.
        if any(corpus):
            import bm25s

            self._index = bm25s.BM25()
            self._index.index(corpus, show_progress=False)

    def scores(self, question: str) -> FloatArray:
        """fp32 ``[documents]``; 0 where no word is shared."""
        words = _words([question])[0]
        if self._index is None or not words:
            return np.zeros(self._size, dtype=np.float32)
        return np.asarray(self._index.get_scores(words), dtype=np.float32)


def bm25_scores(questions: Sequence[str], documents: Sequence[str]) -> FloatArray:
    """``[questions, documents]`` BM25 scores."""
    index = BM25Index(documents)
    return np.stack([index.scores(question) for question in questions])


def _words(texts: Sequence[str]) -> list[list[str]]:
    # Imported here, since it takes as long as a short answer and a short glossary needs it not.
    import bm25s

    found: list[list[str]] = bm25s.tokenize(
        list(texts), stopwords="en", return_ids=False, show_progress=False
    )
    return found
