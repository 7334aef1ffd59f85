"""Pieces of graphs that all architectures share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from glossrank.architectures import ModelConfig
from glossrank.engines.quiet import without_telemetry
from glossrank.model_weights import FloatArray, WeightArray

with without_telemetry():
    import openvino.opset13 as op

MASKED = -1e9
"""Added to the attention logits of what must not be seen. Finite, because -inf minus -inf is NaN."""

_SWAP_ROWS_AND_HEADS = (0, 2, 1, 3)
# An end of a slice that is beyond every axis.
_ALL = 2**31 - 1


def _tanh_gelu(node: Any) -> Any:
    return op.gelu(node, "tanh")


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": lambda node: op.gelu(node, "erf"),
    "gelu_new": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "relu": op.relu,
    "silu": op.swish,
    "swish": op.swish,
    "tanh": op.tanh,
}


def activate(node: Any, name: str) -> Any:
    """transformers' activation of that name, element by element."""
    return _ACTIVATIONS[name](node)


def axes(*numbers: int) -> Any:
    """A constant of int64 numbers, ``[len(numbers)]``."""
    return op.constant(np.array(numbers, dtype=np.int64))


def ids_input(name: str) -> Any:
    """int32 ``[n, length]``."""
    return op.parameter([-1, -1], np.int32, name=name)


def mask_input() -> Any:
    """fp32 ``[n, 1, 1, length]``, to be added to attention logits."""
    return op.parameter([-1, 1, 1, -1], np.float32, name="attention_mask")


def row_numbers(ids: Any) -> Any:
    """0, 1, ... for the columns of ``ids``, int64 ``[length]``."""
    axis = op.constant(np.int64(0))
    length = op.gather(op.shape_of(ids), op.constant(np.int64(1)), axis)
    return op.range(op.constant(np.int64(0)), length, op.constant(np.int64(1)), "i64")


def constant(array: WeightArray, *, copied: bool = True) -> Any:
    """A weight as fp32, however it is kept.

    Args:
        copied: False leaves fp16 numbers where they are, which the compiler converts, so that it
            has a copy of its own: large graphs are written in half the time. What OpenVINO takes
            as it is (tables of embeddings, fp32) is copied here, or a loaded model would
            depend on the file of its weights.
    """
    half = array.dtype == np.float16
    node = op.constant(array, shared_memory=half and not copied)
    return op.convert(node, "f32") if half else node


def rows_of(table: WeightArray, numbers: Any) -> Any:
    """Rows of an embedding table, fp32."""
    return op.gather(constant(table), numbers, op.constant(np.int64(0)))


def first_row(node: Any, *, axis: int = 1) -> Any:
    """Row 0 along ``axis``, which stays, with length 1."""
    return op.slice(node, axes(0), axes(1), axes(1), axes(axis))


def other_rows(node: Any) -> Any:
    """``[n, rows, ...]`` without row 0."""
    return op.slice(node, axes(1), axes(_ALL), axes(1), axes(1))


class Blocks:
    """Layers that read their weights by name.

    Args:
        config: sizes, and what a layer norm adds to the variance.
        weights: by transformers' names: matrices fp16 or fp32, vectors fp32.
    """

    def __init__(self, config: ModelConfig, weights: Mapping[str, WeightArray]) -> None:
        self._config = config
        self._weights = weights

    def weight(self, name: str) -> WeightArray:
        """The array ``name.weight``."""
        return self._weights[f"{name}.weight"]

    def bias(self, name: str) -> FloatArray | None:
        """The array ``name.bias``, or None where the model has no such bias."""
        found = self._weights.get(f"{name}.bias")
        return None if found is None else found.astype(np.float32, copy=False)

    def linear(self, node: Any, name: str, *, part: slice = slice(None)) -> Any:
        """torch's ``Linear`` of that name, with its bias if it has one.

        Args:
            part: the outputs to compute, all by default.
        """
        bias = self.bias(name)
        weight = constant(self.weight(name)[part], copied=False)
        product = op.matmul(node, weight, False, True)
        return product if bias is None else op.add(product, op.constant(bias[part]))

    def layer_norm(self, node: Any, name: str) -> Any:
        """torch's ``LayerNorm`` of that name over the last axis, with its bias if it has one."""
        normal = op.mvn(node, axes(-1), True, self._config.layer_norm_eps, "inside_sqrt")
        scaled = op.multiply(normal, constant(self.weight(name)))
        bias = self.bias(name)
        return scaled if bias is None else op.add(scaled, op.constant(bias))

    def split_heads(self, node: Any) -> Any:
        """``[n, rows, hidden]`` to ``[n, heads, rows, head size]``."""
        shape = axes(0, 0, self._config.num_heads, self._config.head_size)
        return op.transpose(op.reshape(node, shape, True), axes(*_SWAP_ROWS_AND_HEADS))

    def attention(self, query: Any, key: Any, value: Any, mask: Any) -> Any:
        """softmax(query key' / sqrt(head size) + mask) value, ``[n, rows, hidden]``.

        Args:
            query, key, value: as :meth:`split_heads` gives them; the query may have fewer
                rows than the others.
            mask: ``[n, 1, 1 or rows, length]``.
        """
        scale = op.constant(np.float32(self._config.head_size**-0.5))
        scores = op.add(op.matmul(op.multiply(query, scale), key, False, True), mask)
        context = op.matmul(op.softmax(scores, -1), value, False, False)
        context = op.transpose(context, axes(*_SWAP_ROWS_AND_HEADS))
        return op.reshape(context, axes(0, 0, self._config.hidden_size), True)
