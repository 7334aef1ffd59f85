"""Hard negatives: which wrong candidates the current model finds most convincing.

Scoring every question with every candidate would cost more than the training, so a
shortlist is scored: candidates whose words are near the question or near its right answer,
the right answer's family, and some at random.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glossrank.bm25 import bm25_scores
from glossrank.training.examples import Candidate, Example, TrainingSet

Scorer = Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]


@dataclass(frozen=True)
class Pool:
    """Wrong candidates of one example, by row, each with a weight for being drawn.

    Attributes:
        excluded: rows that are likely right too, and are not drawn at all.
    """

    rows: tuple[int, ...]
    weights: tuple[float, ...]
    excluded: tuple[int, ...] = ()


def shortlists(data: TrainingSet, *, size: int, seed: int) -> list[Pool]:
    """Up to ``size`` wrong candidates for each example, all of the same weight."""
    texts = [f"{c.name} {' '.join(c.texts)}" for c in data.candidates]
    near_question = _top(bm25_scores([e.question for e in data.examples], texts), size)
    near_answer = _top(bm25_scores(texts, texts), size)
    families: dict[str, list[int]] = {}
    for row, candidate in enumerate(data.candidates):
        if candidate.family:
            families.setdefault(candidate.family, []).append(row)
    rng = random.Random(seed)
    everything = range(len(data.candidates))
    pools = []
    for at, example in enumerate(data.examples):
        sources = [list(near_question[at])]
        for row in example.right:
            sources.append(list(near_answer[row]))
            relatives = list(families.get(data.candidates[row].family, ()))
            rng.shuffle(relatives)
            sources.append(relatives)
        sources.append(rng.sample(everything, min(size, len(everything))))
        rows = _in_turn(sources, without=set(example.right), size=size)
        pools.append(Pool(tuple(rows), (1.0,) * len(rows)))
    return pools


def mine(
    data: TrainingSet, pools: Sequence[Pool], scorer: Scorer, *, margin: float, temperature: float
) -> list[Pool]:
    """The pools again, weighted by how convincing the model finds each wrong candidate.

    A candidate that beats the right answer by more than ``margin`` logits is left out as a
    likely false negative: an answer that is right too, but that nobody marked. Where all
    of the pool would be, the pool stays as it is: then the right answer is the odd one.

    Args:
        scorer: fp32 logits of (question, document) pairs.
        temperature: weights are ``exp(logit / temperature)``, largest 1.
    """
    pairs: list[tuple[str, str]] = []
    for example, pool in zip(data.examples, pools, strict=True):
        rows = (*example.right, *pool.rows)
        pairs += [(example.question, plain_document(data.candidates[row])) for row in rows]
    logits = scorer(pairs)
    mined, at = [], 0
    for example, pool in zip(data.examples, pools, strict=True):
        best = logits[at : at + len(example.right)].max() if example.right else np.inf
        at += len(example.right)
        scores = logits[at : at + len(pool.rows)]
        at += len(pool.rows)
        kept = scores <= best + margin
        if not kept.any():
            mined.append(pool)
            continue
        weights = np.exp((scores[kept] - scores[kept].max()) / temperature)
        found = tuple(np.array(pool.rows)[kept].tolist())
        left_out = tuple(np.array(pool.rows)[~kept].tolist())
        mined.append(Pool(found, tuple(np.maximum(weights, 1e-6).tolist()), left_out))
    return mined


def draw(
    example: Example,
    pool: Pool,
    *,
    count: int,
    random_share: float,
    candidates: int,
    rng: random.Random,
) -> list[int]:
    """Rows of ``count`` wrong candidates: labelled ones, then the pool's, and some random.

    Fewer where there are not so many; never a right one, none twice.
    """
    taken = set(example.right)
    labelled = rng.sample(example.wrong, min(len(example.wrong), (count + 1) // 2))
    taken.update(labelled)
    hard_wanted = max(0, round((count - len(labelled)) * (1 - random_share)))
    # Weighted draws without replacement: the smallest of exponential waiting times
    # (Efraimidis and Spirakis 2006, in the form that does not underflow).
    keys = sorted(
        (
            (rng.expovariate(weight), row)
            for row, weight in zip(pool.rows, pool.weights, strict=True)
            if row not in taken
        )
    )
    hard = [row for _, row in keys[:hard_wanted]]
    taken.update(hard, pool.excluded)
    rows = [*labelled, *hard]
    others = [row for row in range(candidates) if row not in taken]
    return rows + rng.sample(others, min(len(others), count - len(rows)))


def plain_document(candidate: Candidate) -> str:
    """The shortest wording, which is scored fastest, in the form that ``glossrank ask`` uses."""
    text = min(candidate.texts, key=len)
    return f"{candidate.name} can be defined as {text}" if candidate.name else text


def _top(scores: NDArray[np.float32], size: int) -> NDArray[np.int64]:
    return np.argsort(-scores, axis=1, kind="stable")[:, :size]


def _in_turn(sources: Sequence[list[int]], *, without: set[int], size: int) -> list[int]:
    """One of each source in turn, none twice."""
    taken: dict[int, None] = {}
    longest = max(map(len, sources))
    for place in range(longest):
        for source in sources:
            if place < len(source) and source[place] not in without:
                taken.setdefault(int(source[place]))
                if len(taken) == size:
                    return list(taken)
    return list(taken)
