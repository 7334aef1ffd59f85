"""FlashRank's Ranker on weights that lie in its cache folder; one query at a time.

It pads all passages of a query to the longest and runs them as one batch. It gives sigmoids in
fp32, from which a large logit cannot be had back, so the session's own output is noted on its way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flashrank import Ranker, RerankRequest

from start import Groups, Scorer

PACKAGES = ("flashrank", "onnxruntime", "tokenizers")


class Noting:
    """An ONNX Runtime session that keeps the last output."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.logits: Any = None

    def run(self, names: Any, inputs: dict[str, Any]) -> Any:
        outputs = self._session.run(names, inputs)
        self.logits = outputs[0][:, 0]
        return outputs


def load(model: str, options: dict[str, Any]) -> Scorer:
    ranker = Ranker(model_name=options["model_name"], cache_dir=model, log_level="WARNING")
    noting = ranker.session = Noting(ranker.session)

    def score(groups: Groups) -> Any:
        parts = []
        for query, documents in groups:
            passages = [{"id": number, "text": text} for number, text in enumerate(documents)]
            ranker.rerank(RerankRequest(query=query, passages=passages))
            parts.append(noting.logits)
        return np.concatenate(parts)

    return score
