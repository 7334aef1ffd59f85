"""Runs BERT sequence classification with OpenVINO, built straight from the weights.

The graph is written with OpenVINO's opset from the arrays of ``model.safetensors``: no
torch, no transformers, no ONNX export, and it compiles in a fraction of a second. The
architecture is BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) as transformers'
``BertForSequenceClassification`` runs it: post-layer-norm, exact GELU, tanh pooler.

The last layer computes the [CLS] row only: the head reads nothing else of it, so queries,
the attention output and the feed-forward of the other rows would be thrown away.
"""

from __future__ import annotations

import platform
import threading
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from glossrank.encoding import TOKEN_BUDGET, Batch
from glossrank.engines.quiet import without_telemetry
from glossrank.model_folder import ModelConfig, ModelFolder

with without_telemetry():
    import openvino as ov
    import openvino.opset13 as op

Precision = Literal["auto", "fp32", "bf16"]
_HINTS = {"fp32": "f32", "bf16": "bf16"}
_CPUINFO = Path("/proc/cpuinfo")
# Added to the attention logits of padding. Finite, because -inf minus -inf is NaN.
_MASKED = -1e9

FloatArray = NDArray[np.float32]


_BF16_FLAGS = {"amx_bf16", "avx512_bf16"}


def cpu_has_bf16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor multiplies bf16 numbers itself (Linux on x86-64 only).

    With AMX-BF16 or AVX512-BF16; the latter gave 1.8 times the pairs of fp32 (benchmarks/LOG.md).
    """
    if platform.machine() not in ("x86_64", "AMD64") or not cpuinfo.is_file():
        return False
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("flags"):
            return bool(_BF16_FLAGS & set(line.split()))
    return False


def resolve_precision(precision: Precision) -> Literal["fp32", "bf16"]:
    """``auto`` is bf16 where the CPU has AMX-BF16 or AVX512-BF16, else fp32.

    Raises:
        ValueError: for any other name.
    """
    if precision == "auto":
        return "bf16" if cpu_has_bf16() else "fp32"
    if precision not in _HINTS:
        raise ValueError(f"precision must be 'auto', 'fp32' or 'bf16', got {precision!r}.")
    return precision


class OpenVINOEngine:
    """One compiled model. Safe to call from several threads at once.

    Args:
        folder: a validated model folder; its weights are not kept.
        precision: see :func:`resolve_precision`. bf16 moved the logits of
            the shipped model by 0.014 on average, 0.086 at most (benchmarks/LOG.md).
    """

    device = "cpu"
    token_budget = TOKEN_BUDGET

    def __init__(self, folder: ModelFolder, *, precision: Precision = "auto") -> None:
        self.precision = resolve_precision(precision)
        self._compiled = ov.Core().compile_model(
            build_graph(folder.config, folder.weights()),
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            },
        )
        self._per_thread = threading.local()

    def logits(self, batch: Batch) -> FloatArray:
        """fp32 ``[n]``, one logit per pair of the batch, in the batch's order."""
        request = getattr(self._per_thread, "request", None)
        if request is None:
            request = self._per_thread.request = self._compiled.create_infer_request()
        positions = np.arange(batch.input_ids.shape[1], dtype=np.int32)
        padding = positions[None, :] >= batch.lengths[:, None]
        mask = np.where(padding, np.float32(_MASKED), np.float32(0))[:, None, None, :]
        result = request.infer([batch.input_ids, batch.token_type_ids, mask], share_inputs=True)
        # Copied, because the request's output buffer is written again by the next call.
        return np.array(result[0], dtype=np.float32)[:, 0]


def build_graph(config: ModelConfig, weights: dict[str, FloatArray]) -> ov.Model:
    """The whole network: ids, token types and additive mask in, logits ``[n, 1]`` out."""
    ids = op.parameter([-1, -1], np.int32, name="input_ids")
    types = op.parameter([-1, -1], np.int32, name="token_type_ids")
    mask = op.parameter([-1, 1, 1, -1], np.float32, name="attention_mask")
    layers = _Layers(config, weights)
    hidden = layers.embed(ids, types)
    for index in range(config.num_layers):
        hidden = layers.encoder_layer(hidden, mask, index, cls_only=index == config.num_layers - 1)
    return ov.Model([layers.head(hidden)], [ids, types, mask], "bert_sequence_classification")


class _Layers:
    """Graph pieces, reading their weights by transformers' names."""

    def __init__(self, config: ModelConfig, weights: dict[str, FloatArray]) -> None:
        self._config = config
        self._weights = weights

    def _linear(self, node: Any, name: str) -> Any:
        weight = op.constant(self._weights[f"{name}.weight"])
        bias = op.constant(self._weights[f"{name}.bias"])
        return op.add(op.matmul(node, weight, False, True), bias)

    def _layer_norm(self, node: Any, name: str) -> Any:
        normal = op.mvn(
            node,
            op.constant(np.array([-1], dtype=np.int64)),
            True,
            self._config.layer_norm_eps,
            "inside_sqrt",
        )
        scaled = op.multiply(normal, op.constant(self._weights[f"{name}.weight"]))
        return op.add(scaled, op.constant(self._weights[f"{name}.bias"]))

    def embed(self, ids: Any, types: Any) -> Any:
        axis = op.constant(np.int64(0))

        def table(name: str) -> Any:
            return op.constant(self._weights[f"bert.embeddings.{name}_embeddings.weight"])

        length = op.gather(op.shape_of(ids), op.constant(np.int64(1)), axis)
        positions = op.range(op.constant(np.int64(0)), length, op.constant(np.int64(1)), "i64")
        words = op.gather(table("word"), ids, axis)
        total = op.add(words, op.gather(table("token_type"), types, axis))
        total = op.add(total, op.gather(table("position"), positions, axis))
        return self._layer_norm(total, "bert.embeddings.LayerNorm")

    def _heads(self, node: Any) -> Any:
        shape = np.array([0, 0, self._config.num_heads, self._config.head_size], dtype=np.int64)
        split = op.reshape(node, op.constant(shape), True)
        return op.transpose(split, op.constant(np.array([0, 2, 1, 3], dtype=np.int64)))

    def encoder_layer(self, hidden: Any, mask: Any, index: int, *, cls_only: bool) -> Any:
        name = f"bert.encoder.layer.{index}"
        rows = hidden
        if cls_only:
            zero, one = (op.constant(np.array([n], dtype=np.int64)) for n in (0, 1))
            rows = op.slice(hidden, zero, one, one, op.constant(np.array([1], dtype=np.int64)))
        query = self._heads(self._linear(rows, f"{name}.attention.self.query"))
        key = self._heads(self._linear(hidden, f"{name}.attention.self.key"))
        value = self._heads(self._linear(hidden, f"{name}.attention.self.value"))
        scale = op.constant(np.float32(self._config.head_size**-0.5))
        scores = op.add(op.matmul(op.multiply(query, scale), key, False, True), mask)
        context = op.matmul(op.softmax(scores, -1), value, False, False)
        context = op.transpose(context, op.constant(np.array([0, 2, 1, 3], dtype=np.int64)))
        merged = np.array([0, 0, self._config.hidden_size], dtype=np.int64)
        context = op.reshape(context, op.constant(merged), True)
        attended = op.add(self._linear(context, f"{name}.attention.output.dense"), rows)
        attended = self._layer_norm(attended, f"{name}.attention.output.LayerNorm")
        wide = op.gelu(self._linear(attended, f"{name}.intermediate.dense"), "erf")
        output = op.add(self._linear(wide, f"{name}.output.dense"), attended)
        return self._layer_norm(output, f"{name}.output.LayerNorm")

    def head(self, cls_row: Any) -> Any:
        row = op.squeeze(cls_row, op.constant(np.array([1], dtype=np.int64)))
        pooled = op.tanh(self._linear(row, "bert.pooler.dense"))
        return self._linear(pooled, "classifier")
