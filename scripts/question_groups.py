"""Groups of candidates for the training questions, to be scored by a teacher.

    python scripts/question_groups.py QUESTIONS build/question-groups.jsonl --glossary FILE ...
    python scripts/score_groups.py build/teacher-terms build/question-groups.jsonl build/scored-questions.jsonl

Each group is a question, its right answers (the first ``right`` documents), and wrong ones from
the listwise recipe's own shortlist, every candidate in one of its wordings. A student that learns a teacher's logits for
them learns how wrong each wrong answer is, which a label does not say (Hinton et al. 2015).
Terms whose column ``split`` says dev or test come into no group.

With ``--bi-encoder FOLDER --near N`` up to N of the wrong ones are among the candidates that this
sentence-transformers model finds nearest to the question: words that mean the same are no
neighbours for the shortlist, which counts words. With ``--label-score S`` the groups get scores
from their labels (S for a right answer, 0 for a wrong one), and need no teacher.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossrank import Glossary
from glossrank.judgments import read_questions
from glossrank.training.examples import TrainingSet, from_questions
from glossrank.training.jobs import united
from glossrank.training.mining import shortlists

NEAREST = 24
"""How many of a bi-encoder's neighbours the near wrong answers are drawn from."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--glossary", type=Path, action="append", required=True)
    parser.add_argument("--wrong", type=int, default=8, help="wrong answers of a question")
    parser.add_argument("--bi-encoder", type=Path)
    parser.add_argument("--near", type=int, default=5, help="of the wrong, those by --bi-encoder")
    parser.add_argument("--label-score", type=float)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    glossaries = [Glossary.load(file) for file in options.glossary]
    questions = read_questions(options.questions, united(glossaries), allow_none=True)
    data = from_questions(questions, glossaries)
    pools = shortlists(data, size=options.wrong, seed=options.seed)
    neighbours = None if options.bi_encoder is None else nearest(data, options.bi_encoder)
    rng = random.Random(options.seed)
    order = rng.sample(range(len(data.examples)), len(data.examples))
    with options.output.open("w", encoding="utf-8") as out:
        for at in order:
            example = data.examples[at]
            wrong = list(pools[at].rows)
            if neighbours is not None:
                near = [row for row in neighbours[at].tolist() if row not in example.right]
                drawn = rng.sample(near, min(options.near, len(near)))
                wrong = list(dict.fromkeys([*drawn, *wrong]))[: options.wrong]
            documents = [data.candidates[row].document(rng) for row in (*example.right, *wrong)]
            right = len(example.right)
            group: dict[str, Any] = {"source": "terms", "query": example.question}
            group |= {"documents": documents, "right": right}
            if options.label_score is not None:
                group["scores"] = [options.label_score] * right + [0.0] * len(wrong)
            out.write(json.dumps(group, ensure_ascii=False) + "\n")
    print(f"{len(order)} groups")


def nearest(data: TrainingSet, folder: Path) -> NDArray[np.int64]:
    """``[questions, NEAREST]``: rows of the candidates with the nearest wording, best first."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    firsts = np.cumsum([0, *(len(c.texts) for c in data.candidates[:-1])])
    texts = [f"{c.name}: {text}" for c in data.candidates for text in c.texts]
    told = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    asked = model.encode(
        [e.question for e in data.examples], normalize_embeddings=True, show_progress_bar=False
    )
    found = []
    for question in asked:
        best = np.maximum.reduceat(told @ question, firsts)
        found.append(np.argsort(-best, kind="stable")[:NEAREST])
    return np.array(found)


if __name__ == "__main__":
    main()
