"""Do the reasons name what matters? The heaviest words and parts are taken out, and random ones.

    python benchmarks/reasons.py [--count 60]

For each test question the first answer is explained. Then the heaviest 1, 2 and 3 words are taken out of
the question together, and as many random ones (mean of five draws); so are the heaviest part of the
definition and a random other part. What counts is how far the logit falls.
"""

from __future__ import annotations

import argparse
import random

import numpy as np

from glossrank import CrossEncoder, Glossary
from glossrank.glossary import FINANCE_TERMS
from glossrank.judgments import part_of, read_questions
from glossrank.model_names import DEFAULT_MODEL
from glossrank.reasons import Span

DRAWS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    options = parser.parse_args()
    glossary = Glossary.load()
    questions = read_questions(FINANCE_TERMS / "test.jsonl", glossary)
    some = part_of(questions, every=max(1, len(questions) // options.count))[: options.count]
    model = CrossEncoder(DEFAULT_MODEL, precision="fp32")
    draw = random.Random(0)
    rows: dict[str, list[tuple[float, float]]] = {f"{n} words": [] for n in (1, 2, 3)}
    rows["1 part"] = []
    for question in some:
        answers = glossary.search(question.question, 1, model=model, explain=True)
        reasons = answers[0].reasons
        assert reasons is not None
        term, read_as = answers[0].term, answers.read_as
        for name, spans, text in (
            *((f"{n} words", reasons.words, read_as) for n in (1, 2, 3)),
            ("1 part", reasons.parts, term.definition),
        ):
            size = int(name[0])
            if len(spans) <= size:
                continue
            heavy = sorted(range(len(spans)), key=lambda at: -spans[at].weight)[:size]
            picks = [heavy, *(draw.sample(range(len(spans)), size) for _ in range(DRAWS))]
            texts = [text, *(_without(text, [spans[at] for at in pick]) for pick in picks)]
            if name == "1 part":
                pairs = [(read_as, f"{term.term} can be defined as {t}") for t in texts]
            else:
                pairs = [(t, term.document) for t in texts]
            logits = model.logits(pairs)
            falls = logits[0] - logits[1:]
            rows[name].append((float(falls[0]), float(falls[1:].mean())))
    print("| taken out | questions | heaviest: logit falls by | random | heaviest falls further |")
    print("|:--|--:|--:|--:|--:|")
    for name, found in rows.items():
        heavy_falls, random_falls = np.array(found).T
        wins = (heavy_falls > random_falls).mean()
        print(
            f"| {name} | {len(found)} | {heavy_falls.mean():.2f} | {random_falls.mean():.2f} "
            f"| {wins:.0%} |"
        )


def _without(text: str, spans: list[Span]) -> str:
    for span in sorted(spans, key=lambda span: -span.start):
        text = text[: span.start] + text[span.end :]
    return " ".join(text.split())


if __name__ == "__main__":
    main()
