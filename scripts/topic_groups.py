"""Groups of candidates for questions that name a topic, such as "dividends".

    python scripts/topic_groups.py TOPICS build/topic-groups.jsonl --glossary FILE ...
    python scripts/score_groups.py build/teacher-terms build/topic-groups.jsonl build/scored-topics.jsonl
    python scripts/add_topic_bonus.py build/scored-topics.jsonl build/topics.jsonl --bonus 3 --times 6

Whoever asks about dividends wants terms about dividends, but seven in eight of the training
questions share no word with their term, and a model learns from them to distrust a shared
word. A group is a question, up to five terms with its topic in their name, and six others:
four near the question by BM25, two drawn at random. TOPICS has rows with ``topic`` and
``question``; or it is a file of training questions, of which those are taken that name a
part of a right answer's name which is a topic of three terms or more.
Terms whose column ``split`` says dev or test come into no group.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glossrank import Glossary
from glossrank.bm25 import bm25_scores
from glossrank.judgments import read_questions
from glossrank.stems import content_stems
from glossrank.training.examples import FORMS, Candidate, from_questions
from glossrank.training.jobs import united

SAME, NEAR, RANDOM = 5, 4, 2
FEWEST_TERMS, MOST_TERMS = 3, 25
OTHER_FORMS = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("topics", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--glossary", type=Path, action="append", required=True)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    glossaries = [Glossary.load(file) for file in options.glossary]
    candidates = from_questions([], glossaries).candidates
    rows = [json.loads(line) for line in options.topics.read_text(encoding="utf-8").splitlines()]
    if rows and "topic" in rows[0]:
        asked = [(next(iter(content_stems(r["topic"]))), r["question"]) for r in rows]
    else:
        asked = named_topics(options.topics, united(glossaries), candidates)
    groups = build(asked, candidates, random.Random(options.seed))
    with options.output.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(group, ensure_ascii=False) + "\n" for group in groups)
    print(f"{len(groups)} groups of {len(asked)} questions")


def named_topics(
    file: Path, glossary: Glossary, candidates: Sequence[Candidate]
) -> list[tuple[str, str]]:
    """The stem of a topic, and the question: of questions that name one of a right answer."""
    uses = Counter(stem for c in candidates for stem in content_stems(c.name))
    names = {term.id: content_stems(term.term) for term in glossary.terms}
    found = []
    for question in read_questions(file, glossary, allow_none=True):
        right = frozenset[str]().union(*(names[i] for i in question.relevant))
        shared = content_stems(question.question) & right
        topics = [stem for stem in shared if FEWEST_TERMS <= uses[stem] <= MOST_TERMS]
        if topics:
            rarest = min(topics, key=lambda stem: (uses[stem], stem))
            found.append((rarest, question.question))
    return found


def build(
    asked: Sequence[tuple[str, str]], candidates: Sequence[Candidate], rng: random.Random
) -> list[dict[str, Any]]:
    """A group of each question whose topic two terms have; "same" counts its first ones."""
    stems = [content_stems(candidate.name) for candidate in candidates]
    texts = [f"{c.name} {' '.join(c.texts)}" for c in candidates]
    near = bm25_scores([question for _, question in asked], texts)
    groups = []
    for (topic, question), scores in zip(asked, near, strict=True):
        same = [row for row, own in enumerate(stems) if topic in own]
        if len(same) < 2:
            continue
        same = rng.sample(same, min(SAME, len(same)))
        others = [row for row in np.argsort(-scores).tolist() if topic not in stems[row]]
        rows = [*same, *others[:NEAR], *rng.sample(others[NEAR:], RANDOM)]
        documents = [_document(candidates[row], rng) for row in rows]
        groups.append(
            {"source": "topics", "query": question, "documents": documents, "same": len(same)}
        )
    return groups


def _document(candidate: Candidate, rng: random.Random) -> str:
    """Mostly with its name: a topic cannot be seen in a definition alone."""
    if rng.random() < OTHER_FORMS:
        return candidate.document(rng)
    return FORMS[0][0].format(term=candidate.name, text=rng.choice(candidate.texts))


if __name__ == "__main__":
    main()
