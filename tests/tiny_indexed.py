"""A tiny seeded model whose definitions are indexed, and what it should answer, in torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch.nn import functional

from tests.conftest import write_tiny_model

JOIN_LAYER, DOCUMENT_POSITION = 2, 16


def write_tiny_indexed(
    folder: Path,
    *,
    layers: int = 4,
    join_layer: int = JOIN_LAYER,
    cls_layers: int = 1,
    seed: int = 0,
    hidden: int = 32,
) -> Path:
    """A model folder of the family indexed-bert."""
    write_tiny_model(folder, layers=layers, seed=seed, hidden=hidden)
    file = folder / "config.json"
    config = json.loads(file.read_text()) | {
        "model_type": "indexed-bert",
        "architectures": ["IndexedBertForSequenceClassification"],
        "join_layer": join_layer,
        "cls_layers": cls_layers,
        "document_position": DOCUMENT_POSITION,
    }
    file.write_text(json.dumps(config))
    return folder


def reference_logit(
    folder: Path, query: NDArray[np.int32], document: NDArray[np.int32], *, heads: int = 4
) -> float:
    """One pair's logit in fp32, as one sequence with a mask for each layer.

    Args:
        query, document: their parts of the pair, special tokens included.
    """
    config = json.loads((folder / "config.json").read_text())
    weights = {
        name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()
    }

    def linear(name: str, rows: torch.Tensor) -> torch.Tensor:
        return functional.linear(rows, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name: str, rows: torch.Tensor) -> torch.Tensor:
        shape = rows.shape[-1:]
        return functional.layer_norm(
            rows,
            shape,
            weights[f"{name}.weight"],
            weights[f"{name}.bias"],
            config["layer_norm_eps"],
        )

    asked, told = len(query), len(document)
    ids = torch.tensor([*query.tolist(), *document.tolist()])
    types = torch.tensor([0] * asked + [1] * told)
    positions = torch.tensor([*range(asked), *range(DOCUMENT_POSITION, DOCUMENT_POSITION + told)])
    tables = "bert.embeddings"
    hidden = sum(
        weights[f"{tables}.{name}_embeddings.weight"][rows]
        for name, rows in (("word", ids), ("token_type", types), ("position", positions))
    )
    assert isinstance(hidden, torch.Tensor)
    hidden = norm(f"{tables}.LayerNorm", hidden)
    is_query = types == 0
    apart = is_query[:, None] == is_query[None, :]
    # Row i may read column j.
    one_way = apart | is_query[:, None]
    for index in range(config["num_hidden_layers"]):
        layer, before = f"bert.encoder.layer.{index}", hidden
        query_rows, key, value = (
            linear(f"{layer}.attention.self.{part}", hidden)
            .view(len(ids), heads, -1)
            .transpose(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query_rows @ key.transpose(1, 2) / key.shape[-1] ** 0.5
        seen = one_way if index >= config["join_layer"] else apart
        context = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value
        context = context.transpose(0, 1).reshape(hidden.shape)
        hidden = norm(
            f"{layer}.attention.output.LayerNorm",
            linear(f"{layer}.attention.output.dense", context) + hidden,
        )
        wide = functional.gelu(linear(f"{layer}.intermediate.dense", hidden))
        hidden = norm(f"{layer}.output.LayerNorm", linear(f"{layer}.output.dense", wide) + hidden)
        if index >= config["num_hidden_layers"] - config["cls_layers"]:
            # Of the question's rows only the first goes on.
            hidden[1:asked] = before[1:asked]
    pooled = torch.tanh(linear("bert.pooler.dense", hidden[:1]))
    return float(linear("classifier", pooled))
