"""ONNX Runtime by hand: batches of 32 pairs in their order, padded to the longest of a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from start import Groups, Scorer

PACKAGES = ("onnxruntime", "tokenizers")
BATCH = 32
MAX_LENGTH = 512


def load(model: str, options: dict[str, Any]) -> Scorer:
    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_LENGTH)
    tokenizer.enable_padding()
    session = onnxruntime.InferenceSession(str(Path(model) / "model.onnx"))

    def batch(pairs: list[tuple[str, str]]) -> Any:
        encodings = tokenizer.encode_batch(pairs)
        inputs = {
            "input_ids": [encoding.ids for encoding in encodings],
            "attention_mask": [encoding.attention_mask for encoding in encodings],
            "token_type_ids": [encoding.type_ids for encoding in encodings],
        }
        arrays = {name: np.array(rows, dtype=np.int64) for name, rows in inputs.items()}
        return session.run(None, arrays)[0][:, 0]

    def score(groups: Groups) -> Any:
        pairs = [(query, document) for query, documents in groups for document in documents]
        starts = range(0, len(pairs), BATCH)
        return np.concatenate([batch(pairs[start : start + BATCH]) for start in starts])

    return score
