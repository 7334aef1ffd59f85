"""BM25, the baseline that any model must beat, and the first place to look for hard negatives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from glossrank.errors import MissingExtraError

FloatArray = NDArray[np.float32]


def bm25_scores(questions: Sequence[str], documents: Sequence[str]) -> FloatArray:
    """``[questions, documents]`` BM25 scores (Lucene's variant, English stop words).

    Robertson et al. 1994; bm25s with its defaults k1 = 1.5, b = 0.75.

    Raises:
        MissingExtraError: bm25s is not installed.
    """
    try:
        import bm25s
    except ImportError as error:
        raise MissingExtraError(
            feature="the BM25 baseline", extra="train", missing="bm25s"
        ) from error
    corpus = bm25s.tokenize(list(documents), stopwords="en", return_ids=False, show_progress=False)
    if not any(corpus):
        # Nothing but stop words: bm25s cannot index that, and nothing could match.
        return np.zeros((len(questions), len(documents)), dtype=np.float32)
    index = bm25s.BM25()
    index.index(corpus, show_progress=False)
    tokens = bm25s.tokenize(list(questions), stopwords="en", return_ids=False, show_progress=False)
    rows = [
        index.get_scores(words) if words else np.zeros(len(documents), dtype=np.float32)
        for words in tokens
    ]
    return np.stack(rows).astype(np.float32)
