"""What every engine offers, so that callers need not know which one runs."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from glossrank.encoding import Batch, IntArray

FloatArray = NDArray[np.float32]
LongArray = NDArray[np.int64]
AnyPrecision = Literal["auto", "fp32", "bf16", "int8", "fp16"]
"""The arithmetic that can be asked for; not every engine has every one."""


class Engine(Protocol):
    """A loaded model. Safe to call from several threads at once."""

    @property
    def precision(self) -> str:
        """``"fp32"``, ``"bf16"``, ``"int8"`` or ``"fp16"``, as chosen or found."""

    @property
    def device(self) -> str:
        """``"cpu"``, ``"cuda:0"``, ``"mps"``."""

    @property
    def token_budget(self) -> int:
        """Padded tokens of a batch that suit this engine."""

    def logits(self, batch: Batch) -> FloatArray:
        """fp32 ``[n]``, one logit per pair of the batch, in the batch's order."""


def attention_mask(lengths: IntArray, width: int) -> LongArray:
    """int64 ``[n, width]``: 1 for the tokens of each pair, 0 for its padding."""
    return (np.arange(width, dtype=np.int32)[None, :] < lengths[:, None]).astype(np.int64)


def model_inputs(
    batch: Batch, *, pad_token_id: int | None, token_types: bool
) -> dict[str, LongArray]:
    """A batch under transformers' names: int64 ``[n, length]`` each.

    Args:
        pad_token_id: written into the padding, because decoders find a text's last token by
            it; None leaves the encoder's.
        token_types: False for a model whose tokenizer gives none; then they are all 0.
    """
    mask = attention_mask(batch.lengths, batch.input_ids.shape[1])
    ids = batch.input_ids.astype(np.int64)
    if pad_token_id is not None:
        ids[mask == 0] = pad_token_id
    types = batch.token_type_ids.astype(np.int64) if token_types else np.zeros_like(ids)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
