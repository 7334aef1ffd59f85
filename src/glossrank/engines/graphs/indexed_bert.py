"""The graphs of :mod:`glossrank.architectures.indexed_bert`: definitions, questions, and both.

``n`` counts definitions. Masks are added to attention logits, as everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glossrank.architectures.indexed_bert import IndexedBertConfig
from glossrank.engines.graphs.blocks import (
    Blocks,
    axes,
    first_row,
    ids_input,
    mask_input,
    other_rows,
    row_numbers,
    rows_of,
)
from glossrank.engines.graphs.post_norm import after_attention, head
from glossrank.engines.quiet import without_telemetry
from glossrank.model_weights import WeightArray

with without_telemetry():
    import openvino as ov
    import openvino.opset13 as op

QUESTION, DOCUMENT = 0, 1
"""Token types of the two parts of a pair."""


def document_graph(config: IndexedBertConfig, weights: dict[str, WeightArray]) -> ov.Model:
    """Definitions to what is stored of them.

    Inputs: ids int32 ``[n, length]``, mask fp32 ``[n, 1, 1, length]``. Output: fp16 ``[n, length,
    state_size]``: key and value of each upper layer, side by side.
    """
    ids, mask = ids_input("input_ids"), mask_input()
    layers = _Layers(config, weights)
    hidden = layers.embed(ids, kind=DOCUMENT, start=config.document_position)
    states = []
    for index in range(config.num_layers):
        if index >= config.join_layer:
            states += [layers.key(hidden, index), layers.value(hidden, index)]
        if index < config.num_layers - 1:
            hidden = layers.alone(hidden, mask, index)
    return ov.Model([op.convert(op.concat(states, -1), "f16")], [ids, mask], "definitions")


def question_graph(config: IndexedBertConfig, weights: dict[str, WeightArray]) -> ov.Model:
    """Questions after the lower layers.

    Inputs: ids int32 ``[m, length]``, mask fp32 ``[m, 1, 1, length]``. Output: fp32 ``[m, length,
    hidden]``.
    """
    ids, mask = ids_input("input_ids"), mask_input()
    layers = _Layers(config, weights)
    hidden = layers.embed(ids, kind=QUESTION, start=0)
    for index in range(config.join_layer):
        hidden = layers.alone(hidden, mask, index)
    return ov.Model([hidden], [ids, mask], "questions")


def join_graph(config: IndexedBertConfig, weights: dict[str, WeightArray]) -> ov.Model:
    """One question with n definitions, or n questions with one definition each.

    Inputs: the question graph's output fp32 ``[m, rows, hidden]``, m 1 or n, and its mask
    ``[m, 1, 1, rows]``; the document graph's output fp16 ``[n, length, state_size]`` and its
    mask ``[n, 1, 1, length]``. Output: logits, fp32 ``[n, 1]``.
    """
    question = op.parameter([-1, -1, config.hidden_size], np.float32, name="question")
    question_mask = op.parameter([-1, 1, 1, -1], np.float32, name="question_mask")
    states = op.parameter([-1, -1, config.state_size], np.float16, name="states")
    mask = mask_input()
    layers = _Layers(config, weights)
    count = op.gather(op.shape_of(states), axes(0), op.constant(np.int64(0)))

    def for_each(node: Any, rank: int) -> Any:
        ones = axes(*[1] * (rank - 1))
        return op.broadcast(node, op.concat([count, ones], 0), broadcast_spec="BIDIRECTIONAL")

    parts = config.state_size // config.hidden_size
    stored = op.split(op.convert(states, "f32"), op.constant(np.int64(2)), parts).outputs()
    both = op.concat([for_each(question_mask, 4), mask], -1)
    rows = hidden = question
    for index in range(config.join_layer, config.num_layers):
        narrow = index >= config.num_layers - config.cls_layers
        rows = first_row(hidden) if narrow else hidden
        query = layers.query(rows, index)
        key, value = layers.key(hidden, index), layers.value(hidden, index)
        if index == config.join_layer:
            # Until here a single question is computed once, not once for each definition.
            rows, query, key, value = (for_each(node, 3) for node in (rows, query, key, value))
            hidden = for_each(hidden, 3) if narrow else hidden
        place = 2 * (index - config.join_layer)
        key = op.concat([key, stored[place]], 1)
        value = op.concat([value, stored[place + 1]], 1)
        rows = layers.attend(rows, query, key, value, both, index)
        # The other rows stay as the last layer that computed them left them.
        hidden = op.concat([rows, other_rows(hidden)], 1) if narrow else rows
    inputs = [question, question_mask, states, mask]
    return ov.Model([head(config, layers.blocks, rows)], inputs, "pairs")


class _Layers:
    """Parts of BERT's layers, which the three graphs put together."""

    def __init__(self, config: IndexedBertConfig, weights: dict[str, WeightArray]) -> None:
        self.blocks = Blocks(config, weights)
        self._config = config

    def embed(self, ids: Any, *, kind: int, start: int) -> Any:
        tables = self._config.names.embeddings
        # All tokens of a part have one type, so its row is added to those of the positions.
        types = self.blocks.weight(f"{tables}.token_type_embeddings")[kind].astype(np.float32)
        positions = self.blocks.weight(f"{tables}.position_embeddings")[start:]
        positions = positions.astype(np.float32) + types
        words = rows_of(self.blocks.weight(f"{tables}.word_embeddings"), ids)
        total = op.add(words, rows_of(positions, row_numbers(ids)))
        return self.blocks.layer_norm(total, f"{tables}.LayerNorm")

    def query(self, hidden: Any, index: int) -> Any:
        return self.blocks.linear(hidden, self._config.layer_names(index).query)

    def key(self, hidden: Any, index: int) -> Any:
        return self.blocks.linear(hidden, self._config.layer_names(index).key)

    def value(self, hidden: Any, index: int) -> Any:
        return self.blocks.linear(hidden, self._config.layer_names(index).value)

    def attend(self, rows: Any, query: Any, key: Any, value: Any, mask: Any, index: int) -> Any:
        split = self.blocks.split_heads
        context = self.blocks.attention(split(query), split(key), split(value), mask)
        return after_attention(self._config, self.blocks, context, rows, index)

    def alone(self, hidden: Any, mask: Any, index: int) -> Any:
        query, key = self.query(hidden, index), self.key(hidden, index)
        return self.attend(hidden, query, key, self.value(hidden, index), mask, index)
