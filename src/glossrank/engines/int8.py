"""Eight-bit integers for the linear layers of a graph.

Weights: one scale for each output (symmetric, round to nearest). Inputs: quantised while the
graph runs, by OpenVINO, with one scale for every :data:`GROUP` of each row, so that a large
number in one token spoils nobody else's. No calibration data are needed, and a pair's logit
does not depend on other pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glossrank.engines.quiet import without_telemetry

with without_telemetry():
    import openvino as ov
    import openvino.opset13 as op

GROUP = 64
"""Inputs that share a scale. On the shipped model, mean change of a logit and speed against bf16:
0.025 and 1.27 for 64, 0.031 and 1.37 for 128, 0.050 and 1.43 for 384; bf16 itself changes it by
0.012 (benchmarks/LOG.md)."""
INT8_MARGIN = 0.15
"""What int8 moved a logit by at most, as a share of the standard deviation of the logits of a
question's documents. What lies further below the last place that counts is not scored again; 0.08
was enough for fp32's first ten in 40 of 40 questions (benchmarks/LOG.md)."""
FEWEST_OUTPUTS = 32
"""Smaller layers, such as the classifier, stay as they are: they cost nothing and decide."""
_LARGEST = 127


def quantise_weights(model: ov.Model) -> int:
    """Replace the constant weights of linear layers, in place; how many were replaced.

    A weight is a constant matrix, fp32 or fp16 converted to fp32, that is the second input of a
    matrix product.
    """
    replaced = 0
    for node in model.get_ordered_ops():
        weight = _weight(node)
        if weight is None or weight.shape[0] < FEWEST_OUTPUTS or weight.shape[1] % GROUP:
            continue
        scales = np.abs(weight).max(axis=1, keepdims=True) / _LARGEST
        # A row of zeros has the scale 0.
        scales = np.where(scales > 0, scales, 1).astype(np.float32)
        whole = op.constant(np.ascontiguousarray(np.round(weight / scales).astype(np.int8)))
        compressed = op.multiply(op.convert(whole, "f32"), op.constant(scales))
        linear = op.matmul(
            node.input_value(0), compressed, node.get_attributes()["transpose_a"], True
        )
        node.output(0).replace(linear.output(0))
        replaced += 1
    return replaced


def _weight(node: Any) -> Any | None:
    """fp32 ``[outputs, inputs]`` of a linear layer, or None for any other operation."""
    if node.get_type_name() != "MatMul":
        return None
    source = node.input_value(1).get_node()
    if source.get_type_name() == "Convert":
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant" or len(source.get_output_shape(0)) != 2:
        return None
    weight = source.get_data().astype(np.float32)
    return weight if node.get_attributes()["transpose_b"] else weight.T
