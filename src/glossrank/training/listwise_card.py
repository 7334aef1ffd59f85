"""The README.md of a model that the listwise recipe trained."""

from __future__ import annotations

import dataclasses
import json

from glossrank.training.card_parts import (
    EvaluationTable,
    evaluation_section,
    guard_section,
    versions,
)
from glossrank.training.guard import GuardResult
from glossrank.training.listwise_run import ListwiseRun


def listwise_card(
    run: ListwiseRun, *, evaluation: EvaluationTable | None, guard: GuardResult | None
) -> str:
    """The whole text, YAML head included."""
    data = run.data
    answered = sum(bool(example.right) for example in data.examples)
    recipe = "\n".join(
        f"- `{name}`: {value}" for name, value in dataclasses.asdict(run.recipe).items()
    )
    return f"""---
tags:
- sentence-transformers
- cross-encoder
- dataset_size:{len(data.examples)}
base_model: {json.dumps(run.base)}
pipeline_tag: text-ranking
library_name: sentence-transformers
---

# CrossEncoder based on {run.base}

A cross-encoder, fine-tuned from `{run.base}` by glossrank's recipe `finance-terms`. It scores
pairs of a question and a definition; a higher logit is a better answer.

## Usage

```python
from glossrank import CrossEncoder  # or: from sentence_transformers import CrossEncoder

model = CrossEncoder({run.output.name!r})
model.rank("How quick are we getting paid by customers?", ["...", "..."])
```

## Training

- Questions: {len(data.examples)}, of which {len(data.examples) - answered} have no answer
- Documents to choose from: {len(data.candidates)}, {sum(len(c.texts) for c in data.candidates)} wordings
- Teacher-scored groups of general text: {run.teacher_groups}
- Steps: {run.steps}; time: {run.seconds:.0f} s; final loss: {run.final_loss:.4f}
- SHA-256 of `model.safetensors`: `{run.weights_sha256}`

{recipe}

{guard_section(guard)}
{evaluation_section(evaluation)}
{versions()}"""
