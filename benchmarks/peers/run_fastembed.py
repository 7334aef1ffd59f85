"""fastembed's TextCrossEncoder with a model of one's own, batches of 64 pairs (its default)."""

from __future__ import annotations

from typing import Any

from fastembed.common.model_description import ModelSource
from fastembed.rerank.cross_encoder import TextCrossEncoder

from start import Groups, Scorer

PACKAGES = ("fastembed", "onnxruntime", "tokenizers")
NAME = "local/cross-encoder"


def load(model: str, options: dict[str, Any]) -> Scorer:
    # The source is never asked: specific_model_path names the folder.
    TextCrossEncoder.add_custom_model(NAME, ModelSource(hf=NAME), model_file="model.onnx")
    encoder = TextCrossEncoder(NAME, specific_model_path=model, local_files_only=True)

    def score(groups: Groups) -> Any:
        pairs = [(query, document) for query, documents in groups for document in documents]
        return list(encoder.rerank_pairs(pairs))

    return score
