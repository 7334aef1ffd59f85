"""The README.md of a model that the fast recipe trained."""

from __future__ import annotations

import dataclasses
import json

from glossrank.training.card_parts import (
    CITATION,
    LOSS_LINK,
    EvaluationTable,
    base_link,
    details_section,
    evaluation_section,
    guard_section,
    limits_section,
    training_data_section,
    training_result,
    usage_section,
    versions,
)
from glossrank.training.fast_run import FastRun
from glossrank.training.guard import GuardResult

_ARITHMETIC = {"bf16": "bf16, with fp32 master weights and an fp32 loss", "fp32": "fp32"}


def fast_card(
    run: FastRun,
    *,
    max_length: int,
    evaluation: EvaluationTable | None,
    guard: GuardResult | None = None,
    calibrated: bool = False,
) -> str:
    """The whole text, YAML head included."""
    return "\n".join(
        [
            _head(run),
            details_section(run, max_length),
            usage_section(run, calibrated=calibrated),
            limits_section(run, evaluation),
            guard_section(guard),
            evaluation_section(evaluation),
            training_data_section(run.pairs, loss=f"computed as {LOSS_LINK} does"),
            _hyperparameters(run),
            training_result(run),
            versions(("PyTorch", "Tokenizers")),
            CITATION,
        ]
    )


def _head(run: FastRun) -> str:
    return f"""---
tags:
- sentence-transformers
- cross-encoder
- dataset_size:{len(run.pairs)}
- loss:BinaryCrossEntropyLoss
base_model: {json.dumps(run.base)}
pipeline_tag: text-ranking
library_name: sentence-transformers
---

# CrossEncoder based on {run.base}

This is a [Cross Encoder](https://www.sbert.net/docs/cross_encoder/usage/usage.html) model finetuned from {base_link(run)} by glossrank's recipe `fast`, a training loop of its own that needs no trainer library. [sentence-transformers](https://www.SBERT.net) and transformers load it. It computes scores for pairs of texts, which can be used for text reranking and semantic search.
"""


def _hyperparameters(run: FastRun) -> str:
    settings = "\n".join(
        f"- `{name}`: {value}" for name, value in dataclasses.asdict(run.recipe).items()
    )
    dropout = (
        "after the embeddings, attention's softmax, attention, feed-forward and the pooler; "
        "masks are parts of one pool of random numbers"
        if run.recipe.dropout
        else "none"
    )
    return f"""### Training Hyperparameters

{settings}

#### How It Was Trained

- Optimizer: AdamW (fused); learning rate falling linearly to 0 after the warm-up
- Arithmetic: {_ARITHMETIC[run.precision]}
- Not trained, those of the base: the embeddings and the lowest layers (`frozen_layers`)
- Dropout: {dropout}
- Batches: drawn at random, every pair once an epoch, without padding outside attention
- Steps: {run.steps}
"""
