"""Runs the graphs of ``glossrank.engines.graphs`` with OpenVINO, on the CPU."""

from __future__ import annotations

import os
import platform
import threading
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from glossrank.encoding import TOKEN_BUDGET, Batch, IntArray, rounded_width
from glossrank.engines.graphs import build_graph
from glossrank.engines.graphs.blocks import MASKED
from glossrank.engines.int8 import GROUP, quantise_weights
from glossrank.engines.quiet import without_telemetry
from glossrank.engines.threads import thread_limit
from glossrank.model_folder import ModelFolder

with without_telemetry():
    import openvino as ov

Precision = Literal["auto", "fp32", "bf16", "int8"]
ResolvedPrecision = Literal["fp32", "bf16", "int8"]
_PRECISIONS = ("auto", "fp32", "bf16", "int8")
_CPUINFO = Path("/proc/cpuinfo")
_BF16_FLAGS = {"amx_bf16", "avx512_bf16"}

SHAPES_KEPT = 300
"""Kernels for shapes of tensors that OpenVINO keeps prepared. By default they are 5,000, with which 100,000 pairs of
all lengths took 760 MB, and more to the end (benchmarks/LOG.md)."""

FloatArray = NDArray[np.float32]


def cpu_has_bf16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor multiplies bf16 numbers itself (Linux on x86-64 only).

    With AMX-BF16 or AVX512-BF16; the latter gave 1.8 times the pairs of fp32 (benchmarks/LOG.md).
    ``ONEDNN_MAX_CPU_ISA``, which OpenVINO's kernels obey, can switch both off.
    """
    if platform.machine() not in ("x86_64", "AMD64") or not cpuinfo.is_file():
        return False
    if not _allowed("BF16", "FP16", "AMX", "AVX10"):
        return False
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("flags"):
            return bool(_BF16_FLAGS & set(line.split()))
    return False


def _allowed(*parts: str) -> bool:
    """Whether ``ONEDNN_MAX_CPU_ISA`` is not set, or names a set of instructions with one of these."""
    name = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return name in ("", "ALL", "DEFAULT") or any(part in name for part in parts)


def resolve_precision(precision: Precision) -> ResolvedPrecision:
    """``auto`` is bf16 where the CPU has AMX-BF16 or AVX512-BF16, else fp32.

    Raises:
        ValueError: for any other name.
    """
    if precision not in _PRECISIONS:
        expected = ", ".join(map(repr, _PRECISIONS))
        raise ValueError(f"precision must be one of {expected}, got {precision!r}.")
    if precision == "auto":
        return "bf16" if cpu_has_bf16() else "fp32"
    return precision


def compile_graph(model: ov.Model, precision: ResolvedPrecision) -> ov.CompiledModel:
    """Compile a graph for the CPU, for one batch at a time on all of its cores.

    int8 sets the linear layers; the rest is computed in bf16 where the CPU has it, else fp32.

    Args:
        model: its weights are replaced for int8.
    """
    options = {"PERFORMANCE_HINT": "LATENCY"}
    threads = thread_limit()
    if threads < (os.cpu_count() or 1):
        options["INFERENCE_NUM_THREADS"] = str(threads)
    rest = precision
    if precision == "int8":
        quantise_weights(model)
        # Below AVX-512 and without VNNI only the weights can be whole numbers.
        inputs = _allowed("VNNI", "AVX512", "AVX10")
        options["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = str(GROUP if inputs else 0)
        rest = resolve_precision("auto")
    options["CPU_RUNTIME_CACHE_CAPACITY"] = str(SHAPES_KEPT)
    options["INFERENCE_PRECISION_HINT"] = "bf16" if rest == "bf16" else "f32"
    return ov.Core().compile_model(model, "CPU", options)


class CompiledGraph:
    """A graph compiled by :func:`compile_graph`, with a request for each thread that calls it."""

    def __init__(self, model: ov.Model, precision: ResolvedPrecision) -> None:
        self._compiled = compile_graph(model, precision)
        self._per_thread = threading.local()

    def __call__(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        """The graph's one output for its inputs, in their order."""
        request = getattr(self._per_thread, "request", None)
        if request is None:
            request = self._per_thread.request = self._compiled.create_infer_request()
        # Handed over one by one: as arguments of infer() they cost a single pair a twelfth of
        # its time (benchmarks/LOG.md).
        arrays = [np.ascontiguousarray(array) for array in inputs]  # alive until it has run
        for number, array in enumerate(arrays):
            request.set_input_tensor(number, ov.Tensor(array, shared_memory=True))
        output = request.infer(share_outputs=True)[0]
        # Copied, because the request's output buffer is written again by the next call.
        return np.array(output)


def padding_mask(lengths: IntArray, width: int) -> FloatArray:
    """fp32 ``[n, 1, 1, width]``: 0 for tokens, a large negative number for padding."""
    padding = np.arange(width, dtype=np.int32)[None, :] >= lengths[:, None]
    return np.where(padding, np.float32(MASKED), np.float32(0))[:, None, None, :]


class OpenVINOEngine:
    """One compiled model. Safe to call from several threads at once.

    Args:
        folder: a validated model folder; its weights are not kept.
        precision: see :func:`resolve_precision`. On the shipped model a logit moved by 0.014 on
            average in bf16, 0.086 at most, and by 0.025 in int8 (benchmarks/LOG.md).
    """

    device = "cpu"
    token_budget = TOKEN_BUDGET

    def __init__(self, folder: ModelFolder, *, precision: Precision = "auto") -> None:
        self.precision = resolve_precision(precision)
        self._graph = CompiledGraph(build_graph(folder.config, folder.weights()), self.precision)
        self._takes_token_types = folder.config.takes_token_types
        self._most = folder.config.max_positions
        self._padding = getattr(folder.config, "padding_index", None) or 0

    def logits(self, batch: Batch) -> FloatArray:
        """fp32 ``[n]``, one logit per pair of the batch, in the batch's order."""
        width = batch.input_ids.shape[1]
        wide = max(width, min(rounded_width(width), self._most))
        ids, types = batch.input_ids, batch.token_type_ids
        if wide > width:
            more = ((0, 0), (0, wide - width))
            # As the encoder pads: a model may tell padding by its id.
            ids = np.pad(ids, more, constant_values=self._padding)
            types = np.pad(types, more)
        given = [types] if self._takes_token_types else []
        found: FloatArray = self._graph(ids, *given, padding_mask(batch.lengths, wide))[:, 0]
        return found
