"""The list of known words that misspelt ones are corrected to.

    python scripts/build_words.py

Words of the training questions without typos and of the definitions that may be trained on,
most used first, then the whole words of the tokenizer's vocabulary (BERT's uncased English one,
which begins with the most used). A word must stand in three texts: a single one may
be a slip that nobody marked.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from glossrank import Glossary
from glossrank.model_names import DEFAULT_BASE, find_folder
from glossrank.spelling import WORDS_FILE

LARGE = Path(__file__).parent.parent / "datasets" / "finance-terms-large"
FEWEST_TEXTS = 3
SHORTEST = 2


def texts() -> Iterator[str]:
    for name in ("train.jsonl", "train-2.jsonl"):
        for line in (LARGE / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if not row["typo"]:
                yield row["question"]
    for file in sorted(LARGE.glob("*.csv")):
        for term in Glossary.load(file).terms:
            if term.split in ("", "train"):
                yield f"{term.term} {term.definition}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=WORDS_FILE)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for text in texts():
        counts.update(set(re.findall(r"[a-z]+", text.lower())))
    own = [word for word, count in counts.most_common() if count >= FEWEST_TEXTS]
    folder = find_folder(DEFAULT_BASE)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    rest = [word for word in vocabulary if word.isascii() and word.isalpha()]
    words = [w for w in dict.fromkeys([*own, *rest]) if len(w) >= SHORTEST]
    options.output.write_text("\n".join(words) + "\n", encoding="utf-8")
    print(f"{len(words)} words, {len(own)} of them of the questions and definitions")


if __name__ == "__main__":
    main()
