"""What is scored: questions and definitions of this package's data sets, in files of groups.

Every contender gets the same files. ``tokens`` are the model's own for each pair, special
tokens counted, padding not.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossrank.encoding import PairEncoder, truncated_lengths
from glossrank.glossary import FINANCE_TERMS
from glossrank.model_folder import ModelFolder
from suite.paths import LARGE

Groups = list[tuple[str, list[str]]]
MAX_TOKENS = 512
# Of the long passages' pairs.
LONG = (300, 500)
_SPECIAL_TOKENS = 3


@dataclass(frozen=True)
class Workload:
    """Groups to score, and how often.

    Attributes:
        key: its name on the command line and in result files.
        title: its name in reports.
        rounds: how often each contender scores it.
        groups: ``(query, documents)``, scored group by group.
        file: where the groups lie for the contenders.
        tokens: int32 ``[pairs]``, of each pair, in the groups' order.
    """

    key: str
    title: str
    rounds: int
    groups: Groups
    file: Path
    tokens: NDArray[np.int32]

    @property
    def pairs(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Sizes:
    """How much of each workload; ``quick`` is for trying the harness, not for figures."""

    short: tuple[int, int] = (12, 100)
    one: int = 1000
    many: tuple[int, int] = (64, 300)
    long: tuple[int, int] = (4, 50)
    single: int = 200
    mixed: tuple[int, int] = (20, 100)
    stream_rows: int = 100_000
    stream_chunk: int = 1000
    check_one: int = 100
    check_many: int = 4
    check_long: int = 10


QUICK = Sizes(
    short=(3, 12),
    one=30,
    many=(2, 15),
    long=(2, 3),
    single=12,
    mixed=(2, 15),
    stream_rows=600,
    stream_chunk=60,
    check_one=20,
    check_many=1,
    check_long=3,
)


@dataclass(frozen=True)
class Texts:
    """The questions and documents that workloads are made of."""

    questions: tuple[str, ...]
    short: tuple[str, ...]
    standard: tuple[str, ...]
    all: tuple[str, ...]


def read_texts() -> Texts:
    """The shipped test questions, and the definitions of finance-terms-large in all wordings."""
    lines = (FINANCE_TERMS / "test.jsonl").read_text(encoding="utf-8").splitlines()
    main = _documents("glossary.csv")
    return Texts(
        questions=tuple(json.loads(line)["question"] for line in lines),
        short=_documents("glossary-short.csv"),
        standard=_documents("glossary-standard.csv"),
        all=main + _documents("auxiliary-long.csv") + _documents("auxiliary-2-long.csv"),
    )


def _documents(name: str) -> tuple[str, ...]:
    with (LARGE / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(f"{row['term']} can be defined as {row['definition']}" for row in rows)


class TokenCounter:
    """Counts the tokens of pairs as the model reads them, cut to 512 like every contender's."""

    def __init__(self, model: ModelFolder) -> None:
        self._encoder = PairEncoder(model.tokenizer, max_length=MAX_TOKENS)
        self._known: dict[str, int] = {}

    def count(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.int32]:
        """int32 ``[pairs]``, special tokens included."""
        texts = {text for pair in pairs for text in pair} - self._known.keys()
        ordered = sorted(texts)
        ids = self._encoder.tokenize(ordered)
        self._known |= {text: len(row) for text, row in zip(ordered, ids, strict=True)}
        room = MAX_TOKENS - _SPECIAL_TOKENS
        kept = [truncated_lengths(self._known[q], self._known[d], room) for q, d in pairs]
        return np.array([sum(lengths) + _SPECIAL_TOKENS for lengths in kept], dtype=np.int32)

    def forget(self) -> None:
        """Drop the counts of texts seen so far, which a long file would pile up."""
        self._known.clear()


def pairs_of(groups: Groups) -> list[tuple[str, str]]:
    return [(query, document) for query, documents in groups for document in documents]


def build(
    sizes: Sizes, texts: Texts, counter: TokenCounter, mixed: Groups, folder: Path
) -> dict[str, Workload]:
    """All workloads but the stream, by key; their files are written.

    Args:
        mixed: a part of the stream's pairs, see :mod:`suite.stream_file`.
        folder: where the files go.
    """
    questions, documents = sizes.short
    many = sizes.many
    made = {
        "short": (
            f"{questions} questions x {documents} short definitions",
            7,
            [(q, list(texts.short[:documents])) for q in texts.questions[:questions]],
        ),
        "one": (
            f"1 question x {sizes.one:,} definitions",
            5,
            [(texts.questions[20], list(texts.all[: sizes.one]))],
        ),
        "many": (
            f"{many[0]} questions x {many[1]} definitions",
            2,
            [(q, list(texts.standard[: many[1]])) for q in texts.questions[: many[0]]],
        ),
        "long": (
            f"{sizes.long[0] * sizes.long[1]} pairs of {LONG[0]} to {MAX_TOKENS} tokens",
            3,
            long_groups(sizes.long, texts, counter),
        ),
        "mixed": (
            f"{sum(len(d) for _, d in mixed):,} pairs of widely mixed lengths",
            2,
            mixed,
        ),
        "latency": ("single pairs", 3, single_groups(sizes.single, texts)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    return {
        key: _workload(key, title, rounds, groups, counter, folder)
        for key, (title, rounds, groups) in made.items()
    }


def check_workload(
    sizes: Sizes, workloads: dict[str, Workload], counter: TokenCounter, folder: Path
) -> Workload:
    """What is compared with the reference before any figure: all of "short", a part of the others."""
    groups = list(workloads["short"].groups)
    groups += [(q, d[: sizes.check_one]) for q, d in workloads["one"].groups]
    groups += workloads["many"].groups[: sizes.check_many]
    groups += [(q, d[: sizes.check_long]) for q, d in workloads["long"].groups]
    groups += [(q, d[: sizes.check_one]) for q, d in workloads["mixed"].groups[:2]]
    groups += workloads["latency"].groups
    return _workload("check", "agreement with the reference", 1, groups, counter, folder)


def long_groups(size: tuple[int, int], texts: Texts, counter: TokenCounter) -> Groups:
    """Passages of several definitions each, so that a pair has 300 to 512 tokens."""
    draw = random.Random(2)
    groups: Groups = []
    for question in texts.questions[30 : 30 + size[0]]:
        passages: list[str] = []
        while len(passages) < size[1]:
            target = draw.randint(*LONG)
            passage = ""
            while True:
                longer = f"{passage} {draw.choice(texts.standard)}.".strip()
                tokens = int(counter.count([(question, longer)])[0])
                # At 512 the pair may have been cut, which the counter does not tell.
                if tokens >= MAX_TOKENS:
                    break
                passage = longer
                if tokens >= target:
                    break
            if int(counter.count([(question, passage)])[0]) >= LONG[0]:
                passages.append(passage)
        groups.append((question, passages))
    return groups


def single_groups(count: int, texts: Texts) -> Groups:
    """Pairs of their own, of every kind of definition."""
    draw = random.Random(3)
    pool = texts.short + texts.standard + texts.all
    return [(draw.choice(texts.questions), [draw.choice(pool)]) for _ in range(count)]


def _workload(
    key: str, title: str, rounds: int, groups: Groups, counter: TokenCounter, folder: Path
) -> Workload:
    file = folder / f"{key}.json"
    file.write_text(json.dumps(groups), encoding="utf-8")
    return Workload(key, title, rounds, groups, file, counter.count(pairs_of(groups)))


def description(workload: Workload, flops: float) -> dict[str, Any]:
    """What a result file says of a workload; ``flops`` are those of all its pairs."""
    return {
        "title": workload.title,
        "rounds": workload.rounds,
        "pairs": workload.pairs,
        "tokens": int(workload.tokens.sum()),
        "shortest": int(workload.tokens.min()),
        "longest": int(workload.tokens.max()),
        "flops": flops,
    }
