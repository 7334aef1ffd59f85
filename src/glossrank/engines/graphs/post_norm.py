"""The graph of BERT and its relatives, see ``glossrank.architectures.post_norm``.

The last layer computes the row of the first token only: the head reads nothing else of it,
so queries, the attention output and the feed-forward of the other rows would be thrown away.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glossrank.architectures.post_norm import PostNormConfig
from glossrank.engines.graphs.blocks import (
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
from glossrank.model_weights import WeightArray

with without_telemetry():
    import openvino as ov
    import openvino.opset13 as op


def post_norm_graph(config: PostNormConfig, weights: dict[str, WeightArray]) -> ov.Model:
    """See :func:`glossrank.engines.graphs.build_graph`."""
    ids = ids_input("input_ids")
    types = ids_input("token_type_ids") if config.takes_token_types else None
    mask = mask_input()
    blocks = Blocks(config, weights)
    hidden = _embed(config, blocks, ids, types)
    for index in range(config.num_layers):
        hidden = _layer(config, blocks, hidden, mask, index)
    inputs = [ids, mask] if types is None else [ids, types, mask]
    name = f"{config.family.replace('-', '_')}_sequence_classification"
    return ov.Model([head(config, blocks, hidden)], inputs, name)


def _embed(config: PostNormConfig, blocks: Blocks, ids: Any, types: Any | None) -> Any:
    tables = config.names.embeddings
    positions = blocks.weight(f"{tables}.position_embeddings")
    total = rows_of(blocks.weight(f"{tables}.word_embeddings"), ids)
    if types is not None:
        total = op.add(total, rows_of(blocks.weight(f"{tables}.token_type_embeddings"), types))
    elif config.type_vocab_size:
        # Every token has type 0.
        types_row = blocks.weight(f"{tables}.token_type_embeddings")[0]
        positions = positions.astype(np.float32) + types_row.astype(np.float32)
    total = op.add(total, rows_of(positions, _positions(config, ids)))
    embedded = blocks.layer_norm(total, f"{tables}.LayerNorm")
    if config.projection is None:
        return embedded
    return blocks.linear(embedded, config.projection)


def _positions(config: PostNormConfig, ids: Any) -> Any:
    """Rows of the table of positions, ``[length]`` or, where the ids matter, ``[n, length]``."""
    if config.padding_index is None:
        return row_numbers(ids)
    padding = op.constant(np.int32(config.padding_index))
    # A text may hold the padding token too, written out.
    counted = op.convert(op.not_equal(ids, padding), "i32")
    numbers = op.cum_sum(counted, op.constant(np.int32(1)))
    return op.add(op.multiply(numbers, counted), padding)


def _layer(config: PostNormConfig, blocks: Blocks, hidden: Any, mask: Any, index: int) -> Any:
    names = config.layer_names(index)
    rows = first_row(hidden) if index == config.num_layers - 1 else hidden
    query = blocks.split_heads(blocks.linear(rows, names.query))
    key = blocks.split_heads(blocks.linear(hidden, names.key))
    value = blocks.split_heads(blocks.linear(hidden, names.value))
    return after_attention(config, blocks, blocks.attention(query, key, value, mask), rows, index)


def after_attention(
    config: PostNormConfig, blocks: Blocks, context: Any, rows: Any, index: int
) -> Any:
    """What follows the attention in a layer: output, sum, norm, feed-forward, sum, norm.

    Args:
        context: what the attention gave for ``rows``, the layer's input.
    """
    names = config.layer_names(index)
    attended = op.add(blocks.linear(context, names.attended), rows)
    attended = blocks.layer_norm(attended, names.attended_norm)
    wide = activate(blocks.linear(attended, names.wide), config.hidden_act)
    output = op.add(blocks.linear(wide, names.narrow), attended)
    return blocks.layer_norm(output, names.output_norm)


def head(config: PostNormConfig, blocks: Blocks, first: Any) -> Any:
    """Logits ``[n, 1]`` from the first token's row, ``[n, 1, hidden]``."""
    row = op.squeeze(first, axes(1))
    pooled = activate(blocks.linear(row, config.names.dense), config.head_act)
    return blocks.linear(pooled, config.names.out)
