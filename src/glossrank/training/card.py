"""The README.md of a model that sentence-transformers' trainer made, in the reference card's form."""

from __future__ import annotations

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
from glossrank.training.guard import GuardResult
from glossrank.training.run import TrainingRun


def model_card(
    run: TrainingRun,
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
            training_data_section(run.pairs, loss=LOSS_LINK),
            _hyperparameters(run),
            training_result(run),
            versions(),
            CITATION,
        ]
    )


def _head(run: TrainingRun) -> str:
    return f"""---
tags:
- sentence-transformers
- cross-encoder
- generated_from_trainer
- dataset_size:{len(run.pairs)}
- loss:BinaryCrossEntropyLoss
base_model: {json.dumps(run.base)}
pipeline_tag: text-ranking
library_name: sentence-transformers
---

# CrossEncoder based on {run.base}

This is a [Cross Encoder](https://www.sbert.net/docs/cross_encoder/usage/usage.html) model finetuned from {base_link(run)} using the [sentence-transformers](https://www.SBERT.net) library, by glossrank. It computes scores for pairs of texts, which can be used for text reranking and semantic search.
"""


def _hyperparameters(run: TrainingRun) -> str:
    changed = "\n".join(f"- `{name}`: {value}" for name, value in run.changed.items())
    everything = "\n".join(f"- `{name}`: {value}" for name, value in run.hyperparameters.items())
    return f"""### Training Hyperparameters
#### Non-Default Hyperparameters

{changed}

#### All Hyperparameters
<details><summary>Click to expand</summary>

{everything}

</details>
"""
