"""Tiny seeded models that glossrank has no graph of, and exported files of tiny networks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
import torch
import transformers
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from tests.conftest import tiny_tokenizer

IDENTITY = "torch.nn.modules.linear.Identity"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OPSET = 17


def write_foreign_model(folder: Path, kind: str = "deberta-v2", **settings: Any) -> Path:
    """A model folder of another of transformers' architectures, with random weights.

    Args:
        kind: its ``model_type``.
        settings: more keys of ``config.json``.
    """
    tokenizer = tiny_tokenizer()
    sizes: dict[str, Any] = {
        "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4,
        "num_hidden_layers": 2, "max_position_embeddings": 128,
    }  # fmt: skip
    own: dict[str, dict[str, Any]] = {
        "deberta-v2": {
            "relative_attention": True, "position_biased_input": False, "position_buckets": 8,
            "pos_att_type": ["p2c", "c2p"], "share_att_key": True, "type_vocab_size": 0,
        },
        "deberta": {
            "relative_attention": True, "position_biased_input": False,
            "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0,
        },
        "albert": {"embedding_size": 16},
        "mpnet": {"max_position_embeddings": 130, "pad_token_id": 1},
        "llama": {"eos_token_id": 3, "bos_token_id": 2},
        "xlnet": {"d_model": 32, "d_inner": 64, "n_layer": 2, "n_head": 4},
    }  # fmt: skip
    config = transformers.AutoConfig.for_model(
        kind,
        **({} if kind == "xlnet" else sizes)
        | {"vocab_size": tokenizer.get_vocab_size(), "num_labels": 1, "pad_token_id": 0}
        | {"initializer_range": 0.3, "sentence_transformers": {"activation_fn": IDENTITY}}
        | own[kind]
        | settings,
    )
    torch.manual_seed(0)
    network = transformers.AutoModelForSequenceClassification.from_config(config)
    network.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 1e30}')
    return folder


def keep_only_shards(folder: Path) -> Path:
    """Split ``model.safetensors`` in two, as transformers does with large weights."""
    from safetensors.numpy import save_file

    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    half = len(names) // 2
    where: dict[str, str] = {}
    for number, part in enumerate((names[:half], names[half:]), start=1):
        shard = f"model-{number:05d}-of-00002.safetensors"
        save_file({n: weights[n] for n in part}, folder / shard, metadata={"format": "pt"})
        where |= dict.fromkeys(part, shard)
    index = {"metadata": {"total_size": 0}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    return folder


class OnnxGraph:
    """Nodes and constants of a network, each node named after its only output."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        output = name or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], output: onnx.ValueInfoProto
    ) -> onnx.ModelProto:
        graph = helper.make_graph(self._nodes, "tiny", inputs, [output], self._constants)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9
        )


def _inputs(
    names: Sequence[str], shape: Sequence[str | int], kind: int = TensorProto.INT64
) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, kind, shape) for name in names]


def bag_onnx(
    *,
    inputs: Sequence[str] = INPUTS,
    shape: Sequence[str | int] = ("pairs", "tokens"),
    kind: int = TensorProto.INT64,
    output: str = "logits",
    labels: int = 1,
    output_shape: Sequence[str | int] | None = None,
    reshape: Sequence[int] | None = None,
    rows: Sequence[int] | None = None,
    last: str = "Identity",
) -> onnx.ModelProto:
    """A network that adds up a number per token: 0.01 id, and 1 for the second text.

    Its padding counts nothing where ``attention_mask`` is among the inputs. ``rows`` is a shape
    forced on the tokens, ``reshape`` one forced on the sums.
    """
    graph = OnnxGraph()
    ids = graph.add("Cast", "input_ids" if "input_ids" in inputs else inputs[0], to=1)
    values = graph.add("Mul", ids, graph.constant(0.01))
    if "token_type_ids" in inputs:
        values = graph.add("Add", values, graph.add("Cast", "token_type_ids", to=1))
    if "attention_mask" in inputs:
        values = graph.add("Mul", values, graph.add("Cast", "attention_mask", to=1))
    if rows is not None:
        values = graph.add("Reshape", values, graph.constant(rows, np.int64))
    total = graph.add("ReduceSum", values, graph.constant([1], np.int64), keepdims=1)
    if labels != 1:
        total = graph.add("Concat", *[total] * labels, axis=1)
    if reshape is not None:
        total = graph.add("Reshape", total, graph.constant(reshape, np.int64))
    graph.add(last, total, name=output)
    shown = ("pairs", labels) if output_shape is None else output_shape
    return graph.model(
        _inputs(inputs, shape, kind),
        helper.make_tensor_value_info(output, TensorProto.FLOAT, shown),
    )


def bert_onnx(folder: Path, *, layers: int = 2, heads: int = 4) -> onnx.ModelProto:
    """The network of a folder of ``write_tiny_model``, as an exporter would write it."""
    weights = load_file(folder / "model.safetensors")
    graph = OnnxGraph()

    def table(name: str) -> str:
        return graph.constant(weights[f"bert.embeddings.{name}_embeddings.weight"])

    def norm(node: str, name: str) -> str:
        scale, bias = (graph.constant(weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return graph.add("LayerNormalization", node, scale, bias, axis=-1, epsilon=1e-12)

    def linear(node: str, name: str) -> str:
        product = graph.add("MatMul", node, graph.constant(weights[f"{name}.weight"].T.copy()))
        return graph.add("Add", product, graph.constant(weights[f"{name}.bias"]))

    def split(node: str) -> str:
        shape = graph.constant([0, 0, heads, -1], np.int64)
        return graph.add("Transpose", graph.add("Reshape", node, shape), perm=[0, 2, 1, 3])

    length = graph.add("Gather", graph.add("Shape", "input_ids"), graph.constant(1, np.int64))
    positions = graph.add("Range", graph.constant(0, np.int64), length, graph.constant(1, np.int64))
    hidden = graph.add("Gather", table("word"), "input_ids")
    hidden = graph.add("Add", hidden, graph.add("Gather", table("token_type"), "token_type_ids"))
    hidden = graph.add("Add", hidden, graph.add("Gather", table("position"), positions))
    hidden = norm(hidden, "bert.embeddings.LayerNorm")
    padding = graph.add("Sub", graph.constant(1.0), graph.add("Cast", "attention_mask", to=1))
    padding = graph.add("Unsqueeze", padding, graph.constant([1, 2], np.int64))
    mask = graph.add("Mul", padding, graph.constant(-1e9))
    for index in range(layers):
        layer = f"bert.encoder.layer.{index}"
        query, key, value = (
            split(linear(hidden, f"{layer}.attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
        head_size = weights[f"{layer}.attention.self.query.bias"].size // heads
        scores = graph.add("Mul", scores, graph.constant(head_size**-0.5))
        shares = graph.add("Softmax", graph.add("Add", scores, mask), axis=-1)
        context = graph.add("Transpose", graph.add("MatMul", shares, value), perm=[0, 2, 1, 3])
        context = graph.add("Reshape", context, graph.constant([0, 0, -1], np.int64))
        attended = graph.add("Add", linear(context, f"{layer}.attention.output.dense"), hidden)
        attended = norm(attended, f"{layer}.attention.output.LayerNorm")
        wide = linear(attended, f"{layer}.intermediate.dense")
        erf = graph.add("Erf", graph.add("Mul", wide, graph.constant(0.5**0.5)))
        erf = graph.add("Add", erf, graph.constant(1.0))
        wide = graph.add("Mul", graph.add("Mul", wide, erf), graph.constant(0.5))
        hidden = graph.add("Add", linear(wide, f"{layer}.output.dense"), attended)
        hidden = norm(hidden, f"{layer}.output.LayerNorm")
    first = graph.add("Gather", hidden, graph.constant(0, np.int64), axis=1)
    pooled = graph.add("Tanh", linear(first, "bert.pooler.dense"))
    graph.add("Identity", linear(pooled, "classifier"), name="logits")
    return graph.model(
        _inputs(INPUTS, ("pairs", "tokens")),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("pairs", 1)),
    )


def write_onnx(model: onnx.ModelProto, file: Path) -> Path:
    file.parent.mkdir(exist_ok=True)
    onnx.save(model, file)
    return file


def write_ir(model: onnx.ModelProto, file: Path) -> Path:
    """The network as an .xml with its .bin beside it."""
    file.parent.mkdir(exist_ok=True)
    network = ov.Core().read_model(model.SerializeToString())
    ov.save_model(network, str(file), compress_to_fp16=False)
    return file
