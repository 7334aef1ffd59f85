"""General relevance: does a fine-tuned model still order general text as the teacher does?

    python benchmarks/general.py build/scored.jsonl minilm-l6-base finance-terms

The first groups of the scored file were held out when the base was distilled, and are left
out of the teacher groups that docs/training.md trains with. In each group the teacher's first document is the right
one; the model's nDCG@10, its share of same first documents, and Spearman's correlation with
the teacher's logits within the group are printed, for CC0 pages and WordNet and for all.
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from glossrank import CrossEncoder
from glossrank.evaluation import bootstrap_interval, per_question

HELD_OUT_GROUPS = 500
GENERAL_SOURCES = ("pedia", "wordnet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scored", type=Path)
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    with options.scored.open(encoding="utf-8") as lines:
        groups = [json.loads(line) for line in islice(lines, HELD_OUT_GROUPS)]
    general = np.array([group["source"] in GENERAL_SOURCES for group in groups])
    teacher = np.array([group["scores"] for group in groups])
    relevant = [[int(row.argmax())] for row in teacher]
    print(f"{len(groups)} held-out groups, {general.sum()} of them CC0 pages and WordNet")
    print("| model | nDCG@10, CC0 and WordNet | all | same first | Spearman within a group |")
    print("|:--|--:|--:|--:|--:|")
    for name in options.models:
        model = CrossEncoder(name, precision="bf16")
        pairs = [(group["query"], text) for group in groups for text in group["documents"]]
        scores = model.logits(pairs).reshape(len(groups), -1)
        ndcg = per_question(scores, relevant)["nDCG@10"]
        parts = [bootstrap_interval(ndcg[general]), bootstrap_interval(ndcg)]
        cells = [f"{i.mean:.3f} ({i.low:.3f} to {i.high:.3f})" for i in parts]
        same = float((scores.argmax(axis=1) == teacher.argmax(axis=1)).mean())
        pairs_of_rows = zip(scores, teacher, strict=True)
        within = float(np.mean([spearmanr(a, b).statistic for a, b in pairs_of_rows]))
        print(
            f"| {Path(name).name} | {' | '.join(cells)} | {same:.1%} | {within:.3f} |", flush=True
        )


if __name__ == "__main__":
    main()
