"""Writes the ONNX file of a model folder, for the peers that read ONNX, and checks it.

    python export_onnx.py MODEL OUTPUT GROUPS.json

Runs in the environment of sentence-transformers. OUTPUT gets ``model.onnx`` (fp32, any number
of pairs, any length) and the files that peers read beside it. GROUPS.json holds
``[[query, [document, ...]], ...]``: if any logit of these differs by more than 1e-4 from
sentence-transformers' own in fp32, nothing is kept and the exit status is 1.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer

COPIED = ("config.json", "tokenizer.json", "tokenizer_config.json")
# transformers 5 no longer writes it, and FlashRank and fastembed read it.
SPECIAL_TOKENS = "special_tokens_map.json"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OPSET = 17
TOLERANCE = 1e-4


class Logits(torch.nn.Module):
    """The model with positional inputs and one output, so that the graph has these names."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """int64 ``[pairs, length]`` three times; fp32 ``[pairs, 1]``."""
        output: torch.Tensor = self.model(
            input_ids=ids, attention_mask=mask, token_type_ids=types
        ).logits
        return output


def export(model_folder: Path, output: Path, tokenizer: Any) -> None:
    # Plain attention is one product, softmax and product in the graph, which ONNX Runtime's
    # fusions know; the numbers are the same.
    model = AutoModelForSequenceClassification.from_pretrained(
        model_folder, dtype=torch.float32, attn_implementation="eager"
    )
    sample = tokenizer(
        [("a question", "a text"), ("another", "a longer text")], padding=True, return_tensors="pt"
    )
    torch.onnx.export(
        Logits(model).eval(),
        tuple(sample[name] for name in INPUTS),
        str(output / "model.onnx"),
        input_names=list(INPUTS),
        output_names=["logits"],
        dynamic_axes={name: {0: "pairs", 1: "length"} for name in INPUTS}
        | {"logits": {0: "pairs"}},
        opset_version=OPSET,
        dynamo=False,
    )
    for name in COPIED:
        shutil.copyfile(model_folder / name, output / name)
    special = {k: v for k, v in tokenizer.special_tokens_map.items() if isinstance(v, str)}
    (output / SPECIAL_TOKENS).write_text(json.dumps(special), encoding="utf-8")


def largest_difference(
    model_folder: Path, output: Path, tokenizer: Any, groups: list[tuple[str, list[str]]]
) -> float:
    """Of the ONNX file's logits to sentence-transformers' own."""
    pairs = [(query, document) for query, documents in groups for document in documents]
    reference = CrossEncoder(str(model_folder), device="cpu").predict(
        pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False
    )
    session = onnxruntime.InferenceSession(str(output / "model.onnx"))
    worst = 0.0
    for start in range(0, len(pairs), 32):
        rows = slice(start, start + 32)
        batch = tokenizer(pairs[rows], padding=True, truncation=True, return_tensors="np")
        logits = session.run(None, {name: batch[name].astype(np.int64) for name in INPUTS})[0]
        worst = max(worst, float(np.abs(logits[:, 0] - reference[rows]).max()))
    return worst


def main(model_folder: Path, output: Path, groups_file: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    export(model_folder, output, tokenizer)
    groups = json.loads(groups_file.read_text(encoding="utf-8"))
    worst = largest_difference(model_folder, output, tokenizer, groups)
    if not worst <= TOLERANCE:
        (output / "model.onnx").unlink()
        raise SystemExit(
            f"the ONNX file's logits differ by {worst:.2g} from sentence-transformers'"
        )


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
