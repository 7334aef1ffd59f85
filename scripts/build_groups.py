"""Build distillation groups: one pseudo-question, one right passage, seven others.

    python scripts/build_groups.py --text ../shared/data --wordnet /usr/share/wordnet \
        --groups 17000 build/groups.jsonl

Texts (licences in NOTICE): pedia-cc0 (CC0), FIBO (MIT), FERC accounts (US agency text) and
WordNet (Debian's wordnet-base). The questions are made from headings, terms, sentences and
example sentences, because no query log with a free licence is at hand; the teacher, not
this script, says how relevant each passage is. Five of the seven others are the best BM25
finds that are not the right one; two are random.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import bm25s

SEED = 20261123
HARD, RANDOM = 5, 2
PASSAGE_CHARACTERS = 320
QUESTION_CHARACTERS = 120
TYPO_SHARE = 0.15
# How many groups each source gives, in parts of the whole.
SHARES = {"pedia": 0.5, "fibo": 0.12, "ferc": 0.1, "wordnet": 0.28}
DEFINITION_FORMS = (
    "{term} can be defined as {text}",
    "{term}: {text}",
    "{term} - {text}",
    "{text}",
)
DEFINITION_QUESTIONS = (
    "what is {term}", "{term}", "What does {term} mean?", "define {term}", "{term} meaning",
    "Can you explain {term}?", "What is our {term}?", "how much {term} do we have",
    "How is {term} worked out?", "Why does {term} matter to us?", "how do we measure {term}",
    "What should I know about {term}?", "Has our {term} changed this year?", "is {term} good or bad",
)  # fmt: skip
OPENINGS = (
    "", "", "", "how does ", "why is ", "what about ", "when do we ", "do we have ", "are we ",
    "which ", "tell me about ", "who decides ", "how much ", "what happens if ",
)  # fmt: skip


def sentences(text: str) -> list[str]:
    return [s for s in re.split(r"(?<=[.!?])\s+", text.strip()) if len(s) > 25]


def passage(text: str, rng: random.Random) -> str:
    """One to four sentences from the start, at most PASSAGE_CHARACTERS."""
    chosen = ""
    for sentence in sentences(text)[: rng.randint(1, 4)]:
        if chosen and len(chosen) + len(sentence) > PASSAGE_CHARACTERS:
            break
        chosen = f"{chosen} {sentence}".strip()
    return chosen[: PASSAGE_CHARACTERS * 2]


def typo(text: str, rng: random.Random) -> str:
    """One slip in one longer word: a letter dropped, doubled or swapped with the next."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 4]
    if not long:
        return text
    at = rng.choice(long)
    word = words[at]
    i = rng.randrange(1, len(word) - 1)
    kinds = (
        word[:i] + word[i + 1 :],
        word[:i] + word[i] + word[i:],
        word[:i] + word[i + 1] + word[i] + word[i + 2 :],
    )
    words[at] = rng.choice(kinds)
    return " ".join(words)


def lower_first(text: str) -> str:
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def span_question(sentence: str, rng: random.Random) -> str:
    """A run of 4 to 10 words of a sentence, with some words dropped and an opening."""
    words = re.findall(r"[\w'&-]+", sentence)
    length = rng.randint(4, 10)
    start = rng.randrange(max(1, len(words) - length))
    kept = [w for w in words[start : start + length] if rng.random() > 0.15]
    return rng.choice(OPENINGS) + lower_first(" ".join(kept))


def read_gz(path: Path) -> list[dict[str, object]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def pedia(folder: Path, rng: random.Random) -> Iterator[tuple[str, str]]:
    pages = read_gz(folder / "pedia-cc0.jsonl.gz")
    rng.shuffle(pages)
    for page in pages:
        term, definition = str(page["term"]), str(page["definition"])
        if len(definition) > 40:
            yield rng.choice(DEFINITION_QUESTIONS).format(term=term), passage(definition, rng)
        sections = [(h, t) for h, t in page["sections"] if len(t) > 80]  # type: ignore[attr-defined]
        rng.shuffle(sections)
        for heading, text in sections[:3]:
            heading = re.sub(r"^[\d.\s]+", "", heading)
            right = passage(text, rng)
            if not right:
                continue
            if rng.random() < 0.45:
                named = term.lower() in heading.lower() or rng.random() < 0.3
                yield (heading if named else f"{heading} {term}"), right
            else:
                inside = sentences(text)
                yield span_question(rng.choice(inside[:5]), rng), right


def definitions(path: Path, rng: random.Random) -> Iterator[tuple[str, str]]:
    rows = read_gz(path)
    rng.shuffle(rows)
    for row in rows:
        term, text = str(row["term"]), str(row["definition"])
        if len(text) < 30:
            continue
        form = rng.choice(DEFINITION_FORMS)
        right = form.format(term=term, text=lower_first(text[:PASSAGE_CHARACTERS]))
        if rng.random() < 0.6:
            yield rng.choice(DEFINITION_QUESTIONS).format(term=lower_first(term)), right
        else:
            yield span_question(text, rng), right


def wordnet(folder: Path, rng: random.Random) -> Iterator[tuple[str, str]]:
    rows = []
    for part in ("noun", "verb", "adj"):
        for line in (folder / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):
                continue
            head, gloss = line.split(" | ", 1)
            rows.append((head.split()[4].replace("_", " "), gloss.strip()))
    rng.shuffle(rows)
    for lemma, gloss in rows:
        examples = re.findall(r'"([^"]+)"', gloss)
        text = gloss.split('; "')[0]
        if len(text) < 25:
            continue
        right = rng.choice(DEFINITION_FORMS).format(term=lemma, text=text)
        if examples and rng.random() < 0.6:
            yield rng.choice(examples), right
        elif rng.random() < 0.6:
            yield rng.choice(DEFINITION_QUESTIONS).format(term=lemma), right
        else:
            yield span_question(text, rng), right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--text", type=Path, required=True, help="folder of the .jsonl.gz files")
    parser.add_argument(
        "--wordnet", type=Path, required=True, help="folder of data.noun and others"
    )
    parser.add_argument("--groups", type=int, required=True)
    options = parser.parse_args()
    rng = random.Random(SEED)
    streams = {
        "pedia": pedia(options.text, rng),
        "fibo": definitions(options.text / "fibo.jsonl.gz", rng),
        "ferc": definitions(options.text / "ferc-accounts.jsonl.gz", rng),
        "wordnet": wordnet(options.wordnet, rng),
    }
    found: list[tuple[str, str, str]] = []
    for source, share in SHARES.items():
        wanted = round(options.groups * share)
        for question, right in streams[source]:
            if len(question) < 4 or len(right) < 25:
                continue
            question = question[:QUESTION_CHARACTERS]
            if rng.random() < TYPO_SHARE:
                question = typo(question, rng)
            found.append((source, question, right))
            wanted -= 1
            if not wanted:
                break
    rng.shuffle(found)
    passages = list(dict.fromkeys(right for _, _, right in found))
    if len(passages) <= HARD + RANDOM:
        raise SystemExit(f"{len(passages)} passages are too few for groups of {1 + HARD + RANDOM}")
    index = bm25s.BM25()
    index.index(bm25s.tokenize(passages, stopwords="en", show_progress=False), show_progress=False)
    asked = bm25s.tokenize([q for _, q, _ in found], stopwords="en", show_progress=False)
    near, _ = index.retrieve(asked, k=HARD + 6, show_progress=False)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with options.output.open("w", encoding="utf-8") as out:
        for (source, question, right), best in zip(found, near, strict=True):
            others = [passages[i] for i in best if passages[i] != right][:HARD]
            while len(others) < HARD + RANDOM:
                drawn = rng.choice(passages)
                if drawn != right and drawn not in others:
                    others.append(drawn)
            row = {"source": source, "query": question, "documents": [right, *others]}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{len(found)} groups, {len(passages)} passages -> {options.output}")


if __name__ == "__main__":
    main()
