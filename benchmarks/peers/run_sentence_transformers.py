"""sentence-transformers' CrossEncoder: torch, OpenVINO and ONNX backends.

Options: ``backend``; ``dtype``, torch's name of it; ``file_name`` of an exported file;
``ov_config``, OpenVINO's own options; ``token_sorted``.

By itself ``predict`` sorts pairs by characters and cuts batches of 32. ``token_sorted`` makes
the most of it from outside: pairs are counted in tokens and handed over in slices of 32 of equal
lengths, and the scores are put back; counting is part of the time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder

from start import Groups, Scorer

PACKAGES = (
    "sentence-transformers",
    "transformers",
    "torch",
    "tokenizers",
    "openvino",
    "optimum-intel",
    "onnxruntime",
    "optimum-onnx",
)
BATCH = 32


def load(model: str, options: dict[str, Any]) -> Scorer:
    arguments: dict[str, Any] = {}
    if "dtype" in options:
        arguments["dtype"] = getattr(torch, options["dtype"])
    arguments |= {k: options[k] for k in ("file_name", "ov_config") if k in options}
    encoder = CrossEncoder(
        model, device="cpu", backend=options.get("backend", "torch"), model_kwargs=arguments
    )

    def score(groups: Groups) -> Any:
        pairs = [(query, document) for query, documents in groups for document in documents]
        return encoder.predict(pairs, show_progress_bar=False)

    def score_sorted(groups: Groups) -> Any:
        pairs = [(query, document) for query, documents in groups for document in documents]
        ids = encoder.tokenizer(
            [query for query, _ in pairs], [text for _, text in pairs], truncation=True
        )["input_ids"]
        order = np.argsort([-len(row) for row in ids], kind="stable")
        scores = np.empty(len(pairs), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            scores[rows] = encoder.predict([pairs[row] for row in rows], show_progress_bar=False)
        return scores

    return score_sorted if options.get("token_sorted") else score
