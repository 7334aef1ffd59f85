"""How fast this machine multiplies matrices at best, in fp32, bf16 and int8: JSON on stdout.

    python rates.py [--quick]

Products of several sizes, among them those of a six-layer MiniLM with 1,024 tokens, through
torch and through OpenVINO; the best of all counts, and which it was is said. A multiplication
and an addition are two operations. ``kernels`` lists which implementations OpenVINO and oneDNN
chose, by which one can see what an instruction-set switch did.

OpenVINO's int8 is a product of quantised activations (u8) and weights (i8), as its int8 models
have it; torch's is ``torch._int_mm``, int8 to int32.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as op
import torch

# Rows, inner size, columns.
SIZES = ((1024, 384, 1536), (1024, 1536, 384), (1024, 1024, 1024), (2048, 2048, 2048))
QUICK_SIZES = ((256, 384, 1536),)
SECONDS = 2.0
QUICK_SECONDS = 0.1
LEVELS = 256
_TORCH = {"fp32": torch.float32, "bf16": torch.bfloat16}
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


def best_seconds(call: Callable[[], Any], seconds: float) -> float:
    """The shortest of as many calls as fit in the time, at least three."""
    call()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < until:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def torch_product(kind: str, size: tuple[int, int, int]) -> Callable[[], Any]:
    rows, inner, columns = size
    if kind == "int8":
        a = torch.randint(-127, 127, (rows, inner), dtype=torch.int8)
        b = torch.randint(-127, 127, (inner, columns), dtype=torch.int8)
        return lambda: torch._int_mm(a, b)
    x = torch.rand(rows, inner, dtype=_TORCH[kind])
    weight = torch.rand(columns, inner, dtype=_TORCH[kind])
    return lambda: torch.nn.functional.linear(x, weight)


def openvino_product(
    kind: str, size: tuple[int, int, int], kernels: dict[str, str]
) -> Callable[[], Any]:
    rows, inner, columns = size
    draw = np.random.default_rng(0)
    data = op.parameter([rows, inner], np.float32)
    weight = op.constant(draw.uniform(-1, 1, (columns, inner)).astype(np.float32))
    left, right = data, weight
    if kind == "int8":
        bounds = [op.constant(np.float32(bound)) for bound in (-1.0, 1.0)]
        left = op.fake_quantize(data, *bounds, *bounds, LEVELS)
        right = op.fake_quantize(weight, *bounds, *bounds, LEVELS - 1)
    model = ov.Model([op.matmul(left, right, False, True)], [data], "product")
    compiled = ov.Core().compile_model(
        model, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[kind]}
    )
    request = compiled.create_infer_request()
    x = draw.uniform(-1, 1, (rows, inner)).astype(np.float32)
    request.infer([x])
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        if info["layerType"].astype(str) in ("FullyConnected", "MatMul"):
            kernels[f"OpenVINO {kind}"] = info["primitiveType"].astype(str)
    return lambda: request.infer([x], share_inputs=True)


def measure(sizes: tuple[tuple[int, int, int], ...], seconds: float) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    kernels: dict[str, str] = {}
    for kind in ("fp32", "bf16", "int8"):
        tried: list[dict[str, Any]] = []
        for size in sizes:
            for library in ("torch", "OpenVINO"):
                try:
                    if library == "torch":
                        call = torch_product(kind, size)
                    else:
                        call = openvino_product(kind, size, kernels)
                    taken = best_seconds(call, seconds)
                except RuntimeError as error:
                    reason = " ".join(str(error).split())[:200]
                    kernels[f"{library} {kind}"] = f"failed: {reason}"
                    continue
                by = f"{library}, {' x '.join(map(str, size))}"
                tried.append({"flops": 2 * float(np.prod(size)) / taken, "by": by})
        if tried:
            rates[kind] = max(tried, key=lambda one: one["flops"]) | {"tried": tried}
    return {
        "rates": rates,
        "kernels": kernels | torch_kernels(),
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "openvino": ov.__version__,
        "threads": torch.get_num_threads(),
    }


def torch_kernels() -> dict[str, str]:
    """What oneDNN says it ran for torch's bf16 product, in a process that lets it say so."""
    code = "import torch; x = torch.ones(64, 384, dtype=torch.bfloat16); torch.nn.functional.linear(x, x)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"ONEDNN_VERBOSE": "1"},
        capture_output=True,
        text=True,
    )
    found = re.search(r",exec,cpu,(?:matmul|inner_product),([^,]+),", done.stdout)
    return {"torch bf16": found[1] if found else "not oneDNN"}


if __name__ == "__main__":
    quick = "--quick" in sys.argv[1:]
    print(json.dumps(measure(*((QUICK_SIZES, QUICK_SECONDS) if quick else (SIZES, SECONDS)))))
