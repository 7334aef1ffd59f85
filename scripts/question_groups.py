"""Groups of candidates for the training questions, to be scored by a teacher.

    python scripts/question_groups.py QUESTIONS build/question-groups.jsonl --glossary FILE ...
    python scripts/score_groups.py build/teacher-terms build/question-groups.jsonl build/scored-questions.jsonl

Each group is a question, its right answers, and wrong ones from the listwise recipe's own
shortlist, every candidate in one of its wordings. A student that learns a teacher's logits for
them learns how wrong each wrong answer is, which a label does not say (Hinton et al. 2015).
Terms whose column ``split`` says dev or test come into no group.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from glossrank import Glossary
from glossrank.judgments import read_questions
from glossrank.training.examples import from_questions
from glossrank.training.jobs import united
from glossrank.training.mining import shortlists


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--glossary", type=Path, action="append", required=True)
    parser.add_argument("--wrong", type=int, default=8, help="wrong answers of a question")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    glossaries = [Glossary.load(file) for file in options.glossary]
    questions = read_questions(options.questions, united(glossaries), allow_none=True)
    data = from_questions(questions, glossaries)
    pools = shortlists(data, size=options.wrong, seed=options.seed)
    rng = random.Random(options.seed)
    order = rng.sample(range(len(data.examples)), len(data.examples))
    with options.output.open("w", encoding="utf-8") as out:
        for at in order:
            example = data.examples[at]
            rows = [*example.right, *pools[at].rows]
            documents = [data.candidates[row].document(rng) for row in rows]
            group = {"source": "terms", "query": example.question, "documents": documents}
            out.write(json.dumps(group, ensure_ascii=False) + "\n")
    print(f"{len(order)} groups")


if __name__ == "__main__":
    main()
