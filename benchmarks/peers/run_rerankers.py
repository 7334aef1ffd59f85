"""rerankers' cross-encoder class; it ranks the documents of one query at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from rerankers import Reranker

from start import Groups, Scorer

PACKAGES = ("rerankers", "transformers", "torch", "tokenizers")


def load(model: str, options: dict[str, Any]) -> Scorer:
    ranker = Reranker(model, model_type="cross-encoder", device="cpu", verbose=0)
    if ranker is None:
        raise RuntimeError("rerankers made no ranker; it prints why")

    def score(groups: Groups) -> Any:
        parts = []
        for query, documents in groups:
            scores = np.empty(len(documents), dtype=np.float32)
            for result in ranker.rank(query, documents).results:
                scores[result.document.doc_id] = result.score
            parts.append(scores)
        return np.concatenate(parts)

    return score
