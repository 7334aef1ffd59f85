"""Static text vectors: a text is the sum of its tokens' vectors, so it costs a few look-ups.

The table (30,522 tokens, 256 numbers each, int8) is made by ``scripts/train_vectors.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from glossrank.model_names import DEFAULT_BASE, PACKAGED_MODELS

VECTORS_FILE = Path(__file__).parent / "data" / "vectors.safetensors"
_AT_ONCE = 4096

FloatArray = NDArray[np.float32]


class StaticVectors:
    """Text to vector.

    Args:
        table: fp32 ``[tokens, dimensions]``.
        tokenizer: whose ids are the table's rows.
    """

    def __init__(self, table: FloatArray, tokenizer: Tokenizer) -> None:
        self._table = table
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """fp32 ``[texts, dimensions]``, each of length 1; 0 for a text without tokens."""
        found = np.zeros((len(texts), self._table.shape[1]), dtype=np.float32)
        for start in range(0, len(texts), _AT_ONCE):
            encodings = self._tokenizer.encode_batch_fast(
                list(texts[start : start + _AT_ONCE]), add_special_tokens=False
            )
            for row, encoding in enumerate(encodings, start=start):
                if encoding.ids:
                    found[row] = self._table[encoding.ids].sum(axis=0)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.where(lengths > 0, lengths, 1), dtype=np.float32)


@lru_cache(maxsize=1)
def shipped_vectors() -> StaticVectors:
    """The table of the package; read once."""
    parts = load_file(VECTORS_FILE)
    table = parts["codes"].astype(np.float32) * parts["scale"][:, None]
    tokenizer = Tokenizer.from_file(str(PACKAGED_MODELS / DEFAULT_BASE / "tokenizer.json"))
    return StaticVectors(table, tokenizer)
