"""glossrank's CrossEncoder. Options: ``precision``."""

from __future__ import annotations

from typing import Any

from glossrank import CrossEncoder
from start import Groups, Scorer

PACKAGES = ("glossrank", "openvino", "tokenizers")


def load(model: str, options: dict[str, Any]) -> Scorer:
    encoder = CrossEncoder(model, precision=options["precision"])

    def score(groups: Groups) -> Any:
        pairs = [(query, document) for query, documents in groups for document in documents]
        return encoder.predict(pairs)

    return score
