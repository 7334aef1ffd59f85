"""The graph of ModernBERT, see ``glossrank.architectures.modernbert``.

Where the head reads the first token only, the last layer computes nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from glossrank.architectures.modernbert import ModernBertConfig
from glossrank.engines.graphs.blocks import (
    MASKED,
    Blocks,
    activate,
    axes,
    first_row,
    ids_input,
    mask_input,
    row_numbers,
    rows_of,
)
from glossrank.engines.quiet import without_telemetry
from glossrank.model_weights import FloatArray, WeightArray

with without_telemetry():
    import openvino as ov
    import openvino.opset13 as op


@dataclass(frozen=True)
class _Kind:
    """What the layers of one kind share: rotations ``[1, 1, length, head size]`` and a mask."""

    cosines: Any
    sines: Any
    mask: Any


def modernbert_graph(config: ModernBertConfig, weights: dict[str, WeightArray]) -> ov.Model:
    """See :func:`glossrank.engines.graphs.build_graph`."""
    ids, mask = ids_input("input_ids"), mask_input()
    blocks = Blocks(config, weights)
    kinds = _kinds(config, row_numbers(ids), mask)
    words = rows_of(blocks.weight("model.embeddings.tok_embeddings"), ids)
    hidden = blocks.layer_norm(words, "model.embeddings.norm")
    for index, local in enumerate(config.local_layers):
        first_only = config.pooling == "cls" and index == config.num_layers - 1
        hidden = _layer(config, blocks, hidden, kinds[local], index, first_only=first_only)
    hidden = blocks.layer_norm(hidden, "model.final_norm")
    pooled = op.squeeze(hidden, axes(1)) if config.pooling == "cls" else _mean(hidden, mask)
    dense = activate(blocks.linear(pooled, "head.dense"), config.head_act)
    logits = blocks.linear(blocks.layer_norm(dense, "head.norm"), "classifier")
    return ov.Model([logits], [ids, mask], "modernbert_sequence_classification")


def _kinds(config: ModernBertConfig, positions: Any, mask: Any) -> dict[bool, _Kind]:
    """The kinds of layers that the model has, by whether they are local."""
    kinds = {}
    for local in set(config.local_layers):
        cosines, sines = rotations(config, config.local_theta if local else config.global_theta)
        kinds[local] = _Kind(
            cosines=op.unsqueeze(rows_of(cosines, positions), axes(0, 1)),
            sines=op.unsqueeze(rows_of(sines, positions), axes(0, 1)),
            mask=op.add(mask, _window(config.window, positions)) if local else mask,
        )
    return kinds


def rotations(config: ModernBertConfig, theta: float) -> tuple[FloatArray, FloatArray]:
    """Cosines and sines, fp32 ``[positions, head size]`` each.

    Column i and column i + head size / 2 of position p turn by p / theta^(2i / head size)
    (Su et al. 2021, https://arxiv.org/abs/2104.09864). A table, because bf16 could not tell
    apart the angles of neighbouring positions.
    """
    columns = np.arange(0, config.head_size, 2, dtype=np.float32) / np.float32(config.head_size)
    frequencies = np.float32(1) / np.float32(theta) ** columns
    angles = np.arange(config.max_positions, dtype=np.float32)[:, None] * frequencies
    both = np.concatenate([angles, angles], axis=1)
    return np.cos(both), np.sin(both)


def _window(reach: int, positions: Any) -> Any:
    """``[1, 1, length, length]``: 0 where two tokens are within reach of each other."""
    distance = op.abs(
        op.subtract(op.unsqueeze(positions, axes(0)), op.unsqueeze(positions, axes(1)))
    )
    far = op.greater(distance, op.constant(np.int64(reach)))
    square = op.select(far, op.constant(np.float32(MASKED)), op.constant(np.float32(0)))
    return op.unsqueeze(square, axes(0, 1))


def _layer(
    config: ModernBertConfig,
    blocks: Blocks,
    hidden: Any,
    kind: _Kind,
    index: int,
    *,
    first_only: bool,
) -> Any:
    name, size = f"model.layers.{index}", config.hidden_size
    normed = blocks.layer_norm(hidden, f"{name}.attn_norm") if index else hidden
    rows, asking, mask = hidden, normed, kind.mask
    if first_only:
        rows, asking, mask = first_row(hidden), first_row(normed), first_row(mask, axis=2)

    def part(node: Any, number: int) -> Any:
        outputs = slice(number * size, (number + 1) * size)
        return blocks.split_heads(blocks.linear(node, f"{name}.attn.Wqkv", part=outputs))

    query = part(asking, 0)
    if not first_only:
        # Position 0 turns nothing.
        query = _rotated(query, kind, config.head_size)
    key = _rotated(part(normed, 1), kind, config.head_size)
    context = blocks.attention(query, key, part(normed, 2), mask)
    attended = op.add(rows, blocks.linear(context, f"{name}.attn.Wo"))
    return op.add(attended, _feed_forward(config, blocks, attended, name))


def _rotated(node: Any, kind: _Kind, size: int) -> Any:
    """Queries or keys ``[n, heads, length, head size]``, turned by their positions.

    Written in the way that OpenVINO knows and runs as one operation.
    """

    def columns(start: int, end: int) -> Any:
        return op.slice(node, axes(start), axes(end), axes(1), axes(-1))

    turned = op.concat([op.negative(columns(size // 2, size)), columns(0, size // 2)], -1)
    return op.add(op.multiply(node, kind.cosines), op.multiply(turned, kind.sines))


def _feed_forward(config: ModernBertConfig, blocks: Blocks, node: Any, name: str) -> Any:
    """The gated layer GeGLU (Shazeer 2020, https://arxiv.org/abs/2002.05202)."""
    normed = blocks.layer_norm(node, f"{name}.mlp_norm")
    size = config.intermediate_size
    value = blocks.linear(normed, f"{name}.mlp.Wi", part=slice(0, size))
    gate = blocks.linear(normed, f"{name}.mlp.Wi", part=slice(size, 2 * size))
    gated = op.multiply(activate(value, config.hidden_act), gate)
    return blocks.linear(gated, f"{name}.mlp.Wo")


def _mean(hidden: Any, mask: Any) -> Any:
    """The mean over the tokens of each pair, ``[n, hidden]``."""
    zero, one = op.constant(np.float32(0)), op.constant(np.float32(1))
    # [n, 1, 1, length] to [n, length, 1].
    kept = op.transpose(
        op.squeeze(op.select(op.equal(mask, zero), one, zero), axes(1)), axes(0, 2, 1)
    )
    total = op.reduce_sum(op.multiply(hidden, kept), axes(1))
    return op.divide(total, op.reduce_sum(kept, axes(1)))
