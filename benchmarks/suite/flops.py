"""How much arithmetic a pair needs, counted from the sizes of the layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glossrank.architectures import ModelConfig


def pair_flops(config: ModelConfig, tokens: ArrayLike) -> NDArray[np.float64]:
    """Floating point operations that the logits of pairs of so many tokens need.

    A product of ``[a, b]`` and ``[b, c]`` counts ``2abc``, and only products count. With
    hidden size h, intermediate size f and n real tokens, a layer of BERT (Devlin et al. 2019)
    takes

    - queries, keys, values and the output projection: ``2n * 4h^2``,
    - attention logits and weighted values, over all heads: ``2 * 2n^2 h``,
    - the two feed-forward products: ``2n * 2hf``.

    The head reads the [CLS] row alone, so of the last layer the logit needs keys and values of
    all rows (``2n * 2h^2``) and everything else of one row (``2 * 2h^2 + 2 * 2nh + 2 * 2hf``).
    The pooler and the classifier take ``2h^2 + 2h``.

    Padding, and rows of the last layer that nothing reads, are work that a contender may do and
    that does not count: the rates are of useful work, for all by the same measure.

    Args:
        tokens: ``[pairs]``, special tokens counted, padding not.

    Returns:
        float64 ``[pairs]``.
    """
    n = np.asarray(tokens, dtype=np.float64)
    h, f = float(config.hidden_size), float(config.intermediate_size)
    whole = 2 * n * (4 * h * h + 2 * h * f) + 4 * n * n * h
    last = 2 * n * 2 * h * h + 2 * (2 * h * h + 2 * h * f) + 4 * n * h
    head = 2 * h * h + 2 * h
    return np.asarray((config.num_layers - 1) * whole + last + head)
