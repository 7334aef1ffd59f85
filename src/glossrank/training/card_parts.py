"""Sections that the README.md of every model trained on labelled pairs has.

Every heading of the model card that glossrank grew from is here or in ``card.py``; the parts
that it leaves empty (direct use, out of scope, bias and limits, recommendations, evaluation)
are filled too.
"""

from __future__ import annotations

import html
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from glossrank.judgments import LabelledPair, statistics
from glossrank.training.guard import GuardResult
from glossrank.training.work import PairsRun

SAMPLES = 3
USAGE_EXAMPLES = 5
_FRAMEWORKS = {
    "Sentence Transformers": "sentence-transformers",
    "Transformers": "transformers",
    "PyTorch": "torch",
    "Accelerate": "accelerate",
    "Datasets": "datasets",
    "Tokenizers": "tokenizers",
}
LOSS_LINK = "[<code>BinaryCrossEntropyLoss</code>](https://sbert.net/docs/package_reference/cross_encoder/losses.html#binarycrossentropyloss)"


@dataclass(frozen=True)
class EvaluationTable:
    """Figures of several rankers on one test file.

    Attributes:
        questions, terms: how many questions were ranked against how many definitions.
        rows: ranker name to measure name to value, in the order to be shown.
    """

    name: str
    questions: int
    terms: int
    rows: dict[str, dict[str, float]]


def base_link(run: PairsRun) -> str:
    """The base's name, with a link where the hub has it."""
    if run.base_is_hub_id:
        return f"[{run.base}](https://huggingface.co/{run.base})"
    return f"`{run.base}`"


def details_section(run: PairsRun, max_length: int) -> str:
    """What the model is and where it comes from."""
    return f"""## Model Details

### Model Description
- **Model Type:** Cross Encoder
- **Base model:** {base_link(run)}
- **Maximum Sequence Length:** {max_length} tokens
- **Number of Output Labels:** 1 label
- **Training Dataset:** {len(run.pairs)} labelled pairs, see [Training Dataset](#training-dataset)
<!-- - **Language:** Unknown -->
<!-- - **License:** Unknown -->

### Model Sources

- **Documentation:** [Sentence Transformers Documentation](https://sbert.net)
- **Documentation:** [Cross Encoder Documentation](https://www.sbert.net/docs/cross_encoder/usage/usage.html)
- **Repository:** [Sentence Transformers on GitHub](https://github.com/UKPLab/sentence-transformers)
- **Hugging Face:** [Cross Encoders on Hugging Face](https://huggingface.co/models?library=sentence-transformers&other=cross-encoder)
"""


def usage_section(run: PairsRun, *, calibrated: bool) -> str:
    """How it is used, with pairs of the training data as examples."""
    score_limits = (
        "- Reading a score as a probability: scores are logits; `probability` stands beside them, fitted on held-out questions of the training data (`calibration.json`)."
        if calibrated
        else "- Reading a score as a probability, or comparing scores between questions: they are not calibrated.\n"
        "- Deciding that no document fits: something is always ranked first."
    )
    examples = _varied(run.pairs, USAGE_EXAMPLES)
    pairs = "\n".join(f"    {[p.question, p.document]!r}," for p in examples)
    documents = "\n".join(f"        {p.document!r}," for p in examples)
    folder = run.output.name
    return f"""## Usage

### Direct Usage (Sentence Transformers)

First install the Sentence Transformers library:

```bash
pip install -U sentence-transformers
```

Then you can load this model and run inference. With `from glossrank import CrossEncoder` instead, the same lines run on a CPU without torch.
```python
from sentence_transformers import CrossEncoder

# The folder that holds this file
model = CrossEncoder({folder!r})
# Get scores for pairs of texts
pairs = [
{pairs}
]
scores = model.predict(pairs)
print(scores.shape)
# ({len(examples)},)

# Or rank different texts based on similarity to a single text
ranks = model.rank(
    {examples[0].question!r},
    [
{documents}
    ]
)
# [{{'corpus_id': ..., 'score': ...}}, {{'corpus_id': ..., 'score': ...}}, ...]
```

### Direct Usage (Transformers)

<details><summary>Click to see the direct usage in Transformers</summary>

```python
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({folder!r})
model = AutoModelForSequenceClassification.from_pretrained({folder!r}).eval()
features = tokenizer(
    [{examples[0].question!r}], [{examples[0].document!r}],
    padding=True, truncation=True, return_tensors="pt",
)
with torch.no_grad():
    print(model(**features).logits)
```

</details>

### Downstream Usage (Sentence Transformers)

You can finetune this model on your own dataset.

<details><summary>Click to expand</summary>

```bash
glossrank train your-pairs.csv --base {folder} --output your-model
```

The file has the columns `sentence_0` (question), `sentence_1` (definition) and `label` (0 to 1).

</details>

### Intended Use

Ranking the definitions of a glossary, or other short passages, against a question in plain words, typos included. The scores order the documents of one question.

### Out-of-Scope Use

- Answering the question, or financial, tax or legal advice: the model finds a definition and knows nothing about any company's figures.
{score_limits}
- Languages other than those of the training data, and passages longer than the maximum sequence length, whose ends are not read.
"""


def limits_section(run: PairsRun, evaluation: EvaluationTable | None) -> str:
    """What to expect of it and what not."""
    share = sum(p.label for p in run.pairs) / len(run.pairs)
    questions = len({p.question for p in run.pairs})
    documents = len({p.document for p in run.pairs})
    measured = (
        f"On the questions of the test file it ranks a right definition first in {evaluation.rows[list(evaluation.rows)[-1]]['P@1']:.0%} of cases (see [Evaluation](#evaluation)): users must look at more than the first answer."
        if evaluation
        else "It was not evaluated when it was trained: nothing is known of its quality on new questions."
    )
    return f"""## Bias, Risks and Limitations

- The training data is small: {len(run.pairs)} pairs of {questions} questions and {documents} definitions, {share:.0%} of them relevant. What those questions do not ask about, the model learned from its base only.
- The questions' wording (who asks, which English, which accounting standards) is that of whoever wrote them; other wordings can rank worse.
- {measured}
- Near-synonyms and confusable families (gross, operating and net profit; receivables, revenue and collections) are the hardest for a model of this size.

### Recommendations

Show several answers with their definitions. Before relying on the model, evaluate it on questions of your own, and fine-tune it on pairs of your own glossary if it falls short.
"""


def guard_section(guard: GuardResult | None) -> str:
    """What the check before training found, as a part of a card."""
    if guard is None:
        return "## Check Before Training\n\nNot made: nothing is known of whether this training helped.\n"
    lines = "\n".join(f"- {line}" for line in guard.lines())
    return f"""## Check Before Training

Trained on a part of the data and compared with the base on the rest: **{guard.verdict}**.

{lines}
"""


def evaluation_section(evaluation: EvaluationTable | None) -> str:
    """The table of rankers on the test file, as a part of a card."""
    if evaluation is None:
        return "## Evaluation\n\nNo test file was given when this model was trained.\n"
    measures = list(next(iter(evaluation.rows.values())))
    # ir_measures calls the reciprocal rank RR; its mean is what people know as MRR.
    titles = [name.replace("RR@", "MRR@") for name in measures]
    lines = [
        "| Ranker | " + " | ".join(titles) + " |",
        "|:--|" + "--:|" * len(measures),
        *(
            f"| {name} | " + " | ".join(f"{values[m]:.3f}" for m in measures) + " |"
            for name, values in evaluation.rows.items()
        ),
    ]
    table = "\n".join(lines)
    return f"""## Evaluation

Test file `{evaluation.name}`: {evaluation.questions} questions, each ranked against all {evaluation.terms} definitions of the glossary.

{table}
"""


def training_data_section(pairs: Sequence[LabelledPair], *, loss: str) -> str:
    """Statistics and samples of the pairs; ``loss`` says how the loss was computed."""
    columns = statistics(pairs)
    units = {"string": " characters", "float": ""}

    def details(column: Any) -> str:
        digits = 0 if column.kind == "string" else 1
        unit = units[column.kind]
        items = (
            f"<li>min: {column.smallest:.{digits}f}{unit}</li>"
            f"<li>mean: {column.average:.2f}{unit}</li>"
            f"<li>max: {column.largest:.{digits}f}{unit}</li>"
        )
        return f"<ul>{items}</ul>"

    names = " | ".join(c.name for c in columns)
    kinds = " | ".join(c.kind for c in columns)
    figures = " | ".join(details(c) for c in columns)
    samples = "\n".join(
        f"  | {_code(p.question)} | {_code(p.document)} | {_code(str(p.label))} |"
        for p in pairs[:SAMPLES]
    )
    return f"""## Training Details

### Training Dataset

#### Unnamed Dataset

* Size: {len(pairs):,} training samples
* Columns: <code>sentence_0</code>, <code>sentence_1</code>, and <code>label</code>
* Statistics of all {len(pairs):,} samples:
  |         | {names} |
  |:--------|:--------|:--------|:--------|
  | type    | {kinds} |
  | details | {figures} |
* Samples:
  | sentence_0 | sentence_1 | label |
  |:-----------|:-----------|:------|
{samples}
* Loss: {loss} with these parameters:
  ```json
  {{
      "activation_fn": "torch.nn.modules.linear.Identity",
      "pos_weight": null
  }}
  ```
"""


def training_result(run: PairsRun) -> str:
    """The figures of the training loop."""
    return f"""### Training Result
- Final loss (mean of the last epoch): {run.final_loss:.4f}
- Training time: {run.seconds:.0f} s
"""


def versions(frameworks: Sequence[str] = tuple(_FRAMEWORKS)) -> str:
    """What the model was made with, as a part of a card."""
    lines = [f"- Python: {platform.python_version()}", f"- glossrank: {version('glossrank')}"]
    lines += [f"- {title}: {version(_FRAMEWORKS[title])}" for title in frameworks]
    return "### Framework Versions\n" + "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """A table cell: markup escaped, no line break and no bar that would end it."""
    plain = html.escape(" ".join(text.split()), quote=False).replace("|", "&#124;")
    return f"<code>{plain}</code>"


def _varied(pairs: Sequence[LabelledPair], count: int) -> list[LabelledPair]:
    """The first pairs with distinct questions, filled up with any others."""
    chosen: dict[str, LabelledPair] = {}
    for pair in pairs:
        chosen.setdefault(pair.question, pair)
    first = list(chosen.values())[:count]
    return first + [p for p in pairs if p not in first][: count - len(first)]


CITATION = """## Citation

### BibTeX

#### Sentence Transformers
```bibtex
@inproceedings{reimers-2019-sentence-bert,
    title = "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
    author = "Reimers, Nils and Gurevych, Iryna",
    booktitle = "Proceedings of the 2019 Conference on Empirical Methods in Natural Language Processing",
    month = "11",
    year = "2019",
    publisher = "Association for Computational Linguistics",
    url = "https://arxiv.org/abs/1908.10084",
}
```

<!--
## Glossary

*Clearly define terms in order to be accessible across audiences.*
-->

<!--
## Model Card Authors

*Lists the people who create the model card, providing recognition and accountability for the detailed work that goes into its construction.*
-->

<!--
## Model Card Contact

*Provides a way for people who have updates to the Model Card, suggestions, or questions, to contact the Model Card authors.*
-->
"""
