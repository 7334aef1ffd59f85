"""Add to a teacher's logits what the words say that question and document share.

    python scripts/add_shared_words.py QUESTIONS build/scored-questions.jsonl build/mixed.jsonl --glossary FILE ...

Two things are added. Everywhere, a part of the BM25 score: with it the fine-tuned 12-layer model
ranks the dev questions better than alone (benchmarks/LOG.md). And where a question names
part of a right answer's name ("dividends"), a bonus for every candidate that has this word in
its name: of the training questions seven in eight share no word with their term, from which a
model learns to distrust a shared word, also one that says what the question is about.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from glossrank import Glossary
from glossrank.bm25 import bm25_scores
from glossrank.judgments import read_questions
from glossrank.stems import content_stems
from glossrank.training.examples import FORMS
from glossrank.training.jobs import united

SEPARATORS = tuple(form.format(term="", text="") for form, _ in FORMS)
AT_ONCE = 500


def name_of(document: str, names: set[str]) -> str:
    """The term that a document begins with, "" for a text without one."""
    heads = [document.partition(s)[0] for s in SEPARATORS if s and s in document]
    return max((head for head in heads if head in names), key=len, default="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", type=Path)
    parser.add_argument("scored", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--glossary", type=Path, action="append", required=True)
    parser.add_argument("--bm25-weight", type=float, default=0.15)
    parser.add_argument("--name-bonus", type=float, default=1.5)
    options = parser.parse_args()
    terms = united([Glossary.load(file) for file in options.glossary]).terms
    names = {term.term for term in terms}
    named = {term.id: content_stems(term.term) for term in terms}
    questions = read_questions(
        options.questions, united([Glossary.load(f) for f in options.glossary]), allow_none=True
    )
    # The words of a question that name part of a right answer.
    topics = {
        q.question: content_stems(q.question) & frozenset().union(*(named[i] for i in q.relevant))
        for q in questions
    }
    groups = [json.loads(line) for line in options.scored.read_text(encoding="utf-8").splitlines()]
    documents = sorted({text for group in groups for text in group["documents"]})
    row = {text: at for at, text in enumerate(documents)}
    raised = 0
    with options.output.open("w", encoding="utf-8") as out:
        for start in range(0, len(groups), AT_ONCE):
            part = groups[start : start + AT_ONCE]
            lexical = bm25_scores([group["query"] for group in part], documents)
            for group, line in zip(part, lexical, strict=True):
                topic = topics[group["query"]]
                bonus = np.array(
                    [bool(topic & content_stems(name_of(d, names))) for d in group["documents"]]
                )
                raised += bool(bonus.any())
                columns = [row[text] for text in group["documents"]]
                scores = np.array(group["scores"]) + options.bm25_weight * line[columns]
                scores += options.name_bonus * bonus
                group["scores"] = [round(float(score), 4) for score in scores]
                out.write(json.dumps(group, ensure_ascii=False) + "\n")
    print(f"{len(groups)} groups, {raised} of them with a name")


if __name__ == "__main__":
    main()
