"""The file of 100,000 pairs: Parquet, in chunks of known lengths.

Documents are runs of definitions' words. Seven of ten chunks hold documents of about one
length, from 12 to 440 words' worth, so that time can be plotted against tokens; three hold all
lengths at once, so that whoever pads to a batch's longest pair pays for it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.workloads import Groups, Sizes, Texts, TokenCounter

FEWEST_WORDS, MOST_WORDS = 8, 350
_DOCUMENTS_PER_QUESTION = 100


@dataclass(frozen=True)
class StreamFile:
    """A written file.

    Attributes:
        file: Parquet with the columns ``question`` and ``document``, row groups of one chunk.
        chunk: rows of a chunk.
        tokens: int32 ``[rows]``, of each pair.
        mixed: bool ``[chunks]``, whether a chunk holds all lengths.
    """

    file: Path
    chunk: int
    tokens: NDArray[np.int32]
    mixed: NDArray[np.bool_]


def chunks(sizes: Sizes, texts: Texts) -> Iterator[tuple[bool, Groups]]:
    """The chunks, whether each holds all lengths, always the same ones."""
    draw = random.Random(4)
    words = " ".join(texts.all + texts.standard).split()
    for number in range(sizes.stream_rows // sizes.stream_chunk):
        mixed = number % 10 in (2, 5, 8)
        # Steps through the lengths in a scattered order, without chance gaps.
        middle = _length((number * 0.618) % 1.0)
        groups: Groups = []
        left = sizes.stream_chunk
        while left:
            count = min(left, _DOCUMENTS_PER_QUESTION)
            question = draw.choice(texts.questions)
            documents = []
            for _ in range(count):
                length = _length(draw.random()) if mixed else middle
                start = draw.randrange(len(words) - length)
                documents.append(" ".join(words[start : start + length]))
            groups.append((question, documents))
            left -= count
        yield mixed, groups


def _length(share: float) -> int:
    """Words, evenly spread over the logarithm of lengths; ``share`` from 0 to 1."""
    low, high = math.log(FEWEST_WORDS), math.log(MOST_WORDS)
    return round(math.exp(low + share * (high - low)))


def mixed_sample(sizes: Sizes, texts: Texts) -> Groups:
    """Questions of the first chunks that hold all lengths: what every contender scores."""
    wanted, documents = sizes.mixed
    sample: Groups = []
    for mixed, groups in chunks(sizes, texts):
        if mixed:
            sample += [(question, texts_[:documents]) for question, texts_ in groups]
        if len(sample) >= wanted:
            break
    return sample[:wanted]


def write(sizes: Sizes, texts: Texts, counter: TokenCounter, folder: Path) -> StreamFile:
    """Write the file, chunk by chunk."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "stream.parquet"
    schema: Any = pyarrow.schema([("question", pyarrow.string()), ("document", pyarrow.string())])
    tokens: list[NDArray[np.int32]] = []
    kinds = []
    with ParquetWriter(file, schema) as writer:
        for mixed, groups in chunks(sizes, texts):
            pairs = [(query, document) for query, documents in groups for document in documents]
            columns = [[query for query, _ in pairs], [document for _, document in pairs]]
            writer.write_table(pyarrow.table(columns, schema=schema), row_group_size=len(pairs))
            tokens.append(counter.count(pairs))
            kinds.append(mixed)
            counter.forget()
    return StreamFile(
        file, sizes.stream_chunk, np.concatenate(tokens), np.array(kinds, dtype=np.bool_)
    )
