"""Build the 563 labelled pairs of finance-terms from questions and glossary.

    python scripts/build_pairs.py

Reads ``datasets/finance-terms/training-questions.jsonl`` (written by hand: question, right
term, terms that are also right, terms that are easily confused with it) and the glossary.
Draws 146 questions so that every training term is the answer of one, and 2 or 3 wrong
definitions for each: two easily confused ones, and one from another family. The seed is one
whose file has the model card's shape. Terms of the test file never appear.
"""

from __future__ import annotations

import csv
import json
import random
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
QUESTIONS = ROOT / "datasets/finance-terms/training-questions.jsonl"
GLOSSARY = ROOT / "src/glossrank/data/finance-terms/glossary.csv"
OUTPUT = ROOT / "src/glossrank/data/finance-terms/train.csv"

# The model card's shape: 563 rows, mean label 0.26, lengths in characters.
PAIRS, POSITIVES = 563, 146
QUESTION_RANGE, QUESTION_MEAN, QUESTION_SLACK = (35, 82), 53.88, 0.8
DOCUMENT_RANGE, DOCUMENT_MEAN, DOCUMENT_SLACK = (46, 175), 91.8, 1.8
# One of five draws that have the card's shape; benchmarks/LOG.md says how it was chosen.
SEED = 92
NAMED_SHARE = 0.5
LONG_QUESTION = 58

Row = tuple[str, str, float]


def pick(questions: list[dict[str, Any]], rng: random.Random) -> dict[str, Any]:
    """One question of a term; where there is one that names the term, that one half the time.

    People do use a term's own words ("via dividends"). Trained only on questions that avoid
    them, a model learns to distrust them (benchmarks/LOG.md).
    """
    named = [q for q in questions if q.get("named")]
    return rng.choice(named if named and rng.random() < NAMED_SHARE else questions)


def draw(
    questions: list[dict[str, Any]], documents: dict[str, str], family: dict[str, str], seed: int
) -> list[Row]:
    """One candidate file."""
    rng = random.Random(seed)
    by_term: dict[str, list[dict[str, Any]]] = {}
    for question in questions:
        by_term.setdefault(question["term"], []).append(question)
    chosen = [pick(group, rng) for group in by_term.values()]
    # The second questions of a term are long ones, which brings the mean up to the card's.
    rest = [q for q in questions if q not in chosen and len(q["question"]) >= LONG_QUESTION]
    chosen += rng.sample(rest, POSITIVES - len(chosen))
    rng.shuffle(chosen)
    threes = PAIRS - POSITIVES - 2 * POSITIVES
    used: Counter[str] = Counter()
    rows: list[Row] = []

    def spread(terms: list[str]) -> list[str]:
        # Terms that were a wrong answer least often come first, and among about equals
        # short definitions: the glossary runs three characters longer than the card.
        return sorted(terms, key=lambda term: used[term] + rng.random() * len(documents[term]) / 12)

    for index, question in enumerate(chosen):
        right = {question["term"], *question["also"]}

        wrong = spread([t for t in question["confusable"] if t not in right])[:2]
        if index < threes:
            far = [t for t in by_term if t not in right and family[t] != family[question["term"]]]
            wrong += spread([t for t in far if t not in wrong])[:1]
        used.update(wrong)
        rows.append((question["question"], documents[question["term"]], 1.0))
        rows.extend((question["question"], documents[term], 0.0) for term in wrong)
    rng.shuffle(rows)
    return rows


def fits(rows: list[Row]) -> bool:
    """Whether the rows have the card's shape."""
    for column, ends, mean, slack in (
        (0, QUESTION_RANGE, QUESTION_MEAN, QUESTION_SLACK),
        (1, DOCUMENT_RANGE, DOCUMENT_MEAN, DOCUMENT_SLACK),
    ):
        lengths = [len(str(row[column])) for row in rows]
        if (min(lengths), max(lengths)) != ends or abs(statistics.mean(lengths) - mean) > slack:
            return False
    return len(rows) == PAIRS


def main() -> None:
    with QUESTIONS.open(encoding="utf-8") as lines:
        questions = [json.loads(line) for line in lines]
    with GLOSSARY.open(encoding="utf-8", newline="") as file:
        terms = list(csv.DictReader(file))
    documents = {t["id"]: f"{t['term']} can be defined as {t['definition']}" for t in terms}
    family = {t["id"]: t["family"] for t in terms}
    rows = draw(questions, documents, family, SEED)
    if not fits(rows):
        raise SystemExit("the file has not the card's shape; choose another SEED")
    with OUTPUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("sentence_0", "sentence_1", "label"))
        writer.writerows(rows)
    print(f"{len(rows)} pairs -> {OUTPUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
