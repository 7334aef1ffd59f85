"""The networks of ``glossrank.architectures`` as OpenVINO graphs, written from their weights.

No torch, no transformers, no ONNX export: each graph is written with OpenVINO's opset from
the arrays of ``model.safetensors`` and compiles in a fraction of a second.
"""

from __future__ import annotations

from glossrank.architectures import ModelConfig
from glossrank.architectures.modernbert import ModernBertConfig
from glossrank.architectures.post_norm import PostNormConfig
from glossrank.engines.graphs.modernbert import modernbert_graph
from glossrank.engines.graphs.post_norm import post_norm_graph
from glossrank.engines.quiet import without_telemetry
from glossrank.errors import UnsupportedModelError
from glossrank.model_weights import WeightArray

with without_telemetry():
    import openvino as ov

__all__ = ["build_graph"]


def build_graph(config: ModelConfig, weights: dict[str, WeightArray]) -> ov.Model:
    """The whole network of a model folder.

    Inputs, in this order: ``input_ids`` int32 ``[n, length]``; ``token_type_ids`` of the same
    kind, only where ``config.takes_token_types``; ``attention_mask`` fp32 ``[n, 1, 1,
    length]``, added to the attention logits: 0 for tokens, a large negative number for
    padding, which stands on the right. Output: logits, fp32 ``[n, 1]``.

    Args:
        weights: what ``ModelFolder.weights`` gives for this configuration.

    Raises:
        UnsupportedModelError: there is no graph for this kind of configuration.
    """
    if isinstance(config, PostNormConfig):
        return post_norm_graph(config, weights)
    if isinstance(config, ModernBertConfig):
        return modernbert_graph(config, weights)
    raise UnsupportedModelError(
        expected="an architecture that has a graph",
        found=type(config).__name__,
        fix="Choose a cross-encoder of another architecture.",
    )
