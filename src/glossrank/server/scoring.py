"""One question against a request's documents: what all rerank dialects do before they differ.

Texts are cut into tokens once. A document that is longer than the model reads is cut off, at
either end, or read in pieces, of which the best counts, as the dialect says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glossrank.cross_encoder import CrossEncoder
from glossrank.encoding import IntArray, truncated_lengths

FloatArray = NDArray[np.float32]
Cut = Literal["right", "left"]

_QUERY_SHARE = 0.5
"""Of what the model reads, for a query beside pieces of a document; the rest of it is cut off."""
_OVERLAP = 32
"""Tokens that two neighbouring pieces of a document share, so that no sentence is torn apart in both."""


class TooLongError(Exception):
    """A pair has more tokens than the model reads, and the request forbids to cut it.

    Attributes:
        tokens, most: of the longest pair, and of the model.
    """

    def __init__(self, tokens: int, most: int) -> None:
        super().__init__(f"{tokens} tokens, at most {most}")
        self.tokens = tokens
        self.most = most


@dataclass(frozen=True)
class Scores:
    """
    Attributes:
        logits: fp32 ``[documents]``, in the request's order.
        tokens: that the model read, special tokens included.
        pairs: that it read; more than documents where some were read in pieces.
    """

    logits: FloatArray
    tokens: int
    pairs: int

    @property
    def relevance(self) -> NDArray[np.float64]:
        """``[documents]``, between 0 and 1: the logistic function of the logits."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.logits.astype(np.float64))))

    @property
    def order(self) -> list[int]:
        """Documents, best first; equal ones in the request's order."""
        found: list[int] = np.argsort(-self.logits, kind="stable").tolist()
        return found


def score_cut(
    model: CrossEncoder,
    query: str,
    documents: Sequence[str],
    *,
    cut: Cut = "right",
    may_cut: bool = True,
) -> Scores:
    """Every document once, with what does not fit cut off.

    Args:
        cut: the end that is given up, of question and document alike.

    Raises:
        TooLongError: a pair does not fit and ``may_cut`` is false.
    """
    ids = model.tokenize([query, *documents])
    question, texts = ids[0], ids[1:]
    room = model.max_seq_length - model.encoder.specials
    longest = len(question) + max((len(text) for text in texts), default=0)
    if longest > room and not may_cut:
        raise TooLongError(longest + model.encoder.specials, model.max_seq_length)
    pairs = [(question, text) for text in texts]
    if cut == "left":
        pairs = [_last(first, second, room) for first, second in pairs]
    return _scores(model, pairs, room)


def score_pieces(
    model: CrossEncoder, query: str, documents: Sequence[str], *, most_tokens: int
) -> Scores:
    """Every document in as many pieces as it needs; its logit is the best piece's.

    Args:
        most_tokens: of a document; what comes after them is not read.
    """
    ids = model.tokenize([query, *documents])
    room = model.max_seq_length - model.encoder.specials
    question = ids[0][: max(1, int(room * _QUERY_SHARE))]
    size = max(1, room - len(question))
    pairs: list[tuple[IntArray, IntArray]] = []
    starts = []
    for text in ids[1:]:
        starts.append(len(pairs))
        pairs += [(question, piece) for piece in pieces(text[:most_tokens], size)]
    scores = _scores(model, pairs, room)
    best = (
        np.maximum.reduceat(scores.logits, starts).astype(np.float32) if starts else scores.logits
    )
    return Scores(best, scores.tokens, scores.pairs)


def pieces(ids: IntArray, size: int) -> list[IntArray]:
    """Parts of at most ``size`` tokens that overlap; an empty text is one empty part."""
    if len(ids) <= size:
        return [ids]
    step = max(1, size - min(_OVERLAP, size // 4))
    last = len(ids) - size
    return [ids[at : at + size] for at in [*range(0, last, step), last]]


def _last(first: IntArray, second: IntArray, room: int) -> tuple[IntArray, IntArray]:
    kept = truncated_lengths(len(first), len(second), room)
    return first[len(first) - kept[0] :], second[len(second) - kept[1] :]


def _scores(model: CrossEncoder, pairs: Sequence[tuple[IntArray, IntArray]], room: int) -> Scores:
    lengths = (sum(truncated_lengths(len(q), len(d), room)) for q, d in pairs)
    tokens = sum(lengths) + model.encoder.specials * len(pairs)
    return Scores(model.logits_of_ids(pairs), tokens, len(pairs))
