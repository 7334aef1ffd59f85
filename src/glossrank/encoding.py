"""Texts to token ids, and token ids to batches.

A text is tokenised once, without special tokens, and joined with any other text by array
assembly. The result equals the tokenizer's own pair output with ``longest_first``
truncation (a property test holds that). Batches are cut by a budget of padded tokens from
pairs sorted by token length, so that short pairs do not pay for long ones.

This module knows tokenizers; it knows nothing about models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

TOKEN_BUDGET = 1024
"""Padded tokens per batch. Measured on 256 short definitions (benchmarks/LOG.md): from 512
to 2,048 the time is flat; larger batches pay for padding and fall out of the cache."""

FILLED_FROM = 16
"""Batches of a call beyond which its last one is filled up with rows of itself. That costs half a
batch on average, a thirtieth of 17; and OpenVINO, which keeps half a megabyte for each shape of
a batch, sees few (benchmarks/LOG.md)."""

IntArray = NDArray[np.int32]

# The tokenizer's own objects take a hundred bytes a token while they live.
_TEXTS_AT_ONCE = 256

# What BERT's and what RoBERTa's relatives call it.
_PAD_TOKENS = ("[PAD]", "<pad>")


@dataclass(frozen=True)
class Batch:
    """Pairs padded to one length, ready for an engine.

    Attributes:
        rows: int64 ``[n]``, the position of each pair in the caller's order; in a last batch that
            was filled up some stand twice.
        input_ids: int32 ``[n, length]``, padded with the pad id on the right.
        token_type_ids: int32 ``[n, length]``, 0 in padding.
        lengths: int32 ``[n]``, tokens of each pair, special tokens included.
    """

    rows: NDArray[np.int64]
    input_ids: IntArray
    token_type_ids: IntArray
    lengths: IntArray


def truncated_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """Tokens kept of each text of a pair under ``longest_first`` truncation.

    The rule is the one of Hugging Face tokenizers (``truncate_encodings``): the longer text
    gives way until both are equally long; then both are cut to half the room, the odd token
    going to the longer text (to the second one when they are equal).

    Args:
        first, second: token counts before truncation.
        room: tokens available for both, special tokens already taken off.
    """
    if first + second <= room:
        return first, second
    swapped = first > second
    short, long = (second, first) if swapped else (first, second)
    long = short if short > room else max(short, room - short)
    if short + long > room:
        short = room // 2
        long = short + room % 2
    return (long, short) if swapped else (short, long)


class PairEncoder:
    """Encodes (query, document) pairs for one tokenizer.

    Args:
        tokenizer: a tokenizer with a pair template; its own padding and truncation are
            switched off, because this class does both.
        max_length: tokens per pair, special tokens included.

    Raises:
        ValueError: if ``max_length`` leaves no room beside the special tokens.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_length: int) -> None:
        self._tokenizer = tokenizer
        tokenizer.no_padding()
        tokenizer.no_truncation()
        probe = tokenizer.encode("a", "b")
        first, second = probe.sequence_ids.index(0), probe.sequence_ids.index(1)
        end = len(probe.sequence_ids) - probe.sequence_ids[::-1].index(1)
        ids = np.array(probe.ids, dtype=np.int32)
        last_of_first = second - 1
        while probe.sequence_ids[last_of_first] is None:
            last_of_first -= 1
        self._prefix = ids[:first]
        self._middle = ids[last_of_first + 1 : second]
        self._suffix = ids[end:]
        types = np.array(probe.type_ids, dtype=np.int32)
        self._prefix_types = types[:first]
        self._middle_types = types[last_of_first + 1 : second]
        self._suffix_types = types[end:]
        self._first_type, self._second_type = types[first], types[second]
        self._specials = len(self._prefix) + len(self._middle) + len(self._suffix)
        known = [tokenizer.token_to_id(name) for name in _PAD_TOKENS]
        # Padding is masked in the engine, so any valid id does where there is none.
        self._pad_id = next((number for number in known if number is not None), 0)
        self.max_length = max_length

    @property
    def specials(self) -> int:
        """Special tokens of a pair."""
        return self._specials

    @property
    def max_length(self) -> int:
        """Tokens per pair, special tokens included; can be set."""
        return self._max_length

    @max_length.setter
    def max_length(self, value: int) -> None:
        if value < self._specials:
            raise ValueError(
                f"max_length must be at least {self._specials}, the special tokens of a pair, got {value}."
            )
        self._max_length = value

    def tokenize(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, int32, without special tokens and uncut."""
        ids: list[IntArray] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = list(texts[start : start + _TEXTS_AT_ONCE])
            encodings = self._tokenizer.encode_batch_fast(part, add_special_tokens=False)
            ids += [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
        return ids

    def query_part(self, ids: IntArray) -> IntArray:
        """A query's share of a pair, int32: what comes before the document.

        Args:
            ids: as :meth:`tokenize` gives them; what goes beyond half of a pair is cut off.
        """
        kept = ids[: max(1, (self._max_length - self._specials) // 2)]
        return np.concatenate([self._prefix, kept, self._middle])

    def document_part(self, ids: IntArray) -> IntArray:
        """A document's share of a pair, int32: what comes after the query.

        Args:
            ids: as :meth:`tokenize` gives them; what has no room beside an empty query is cut off.
        """
        return np.concatenate([ids[: self._max_length - self._specials], self._suffix])

    def batches(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        token_budget: int = TOKEN_BUDGET,
        max_pairs: int | None = None,
        fill_last: bool = False,
    ) -> Iterator[Batch]:
        """Encode pairs and yield them in batches, longest pairs first.

        Args:
            pairs: (query, document) texts; a text that occurs often is tokenised once.
            token_budget: padded tokens per batch; one pair alone may exceed it.
            max_pairs: an upper bound on the pairs of a batch, or None for no other bound.
            fill_last: see :data:`FILLED_FROM`.
        """
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        token_ids = dict(zip(texts, self.tokenize(texts), strict=True))
        encoded = [(token_ids[query], token_ids[document]) for query, document in pairs]
        yield from self.batches_of_ids(
            encoded, token_budget=token_budget, max_pairs=max_pairs, fill_last=fill_last
        )

    def batches_of_ids(
        self,
        encoded: Sequence[tuple[IntArray, IntArray]],
        *,
        token_budget: int = TOKEN_BUDGET,
        max_pairs: int | None = None,
        fill_last: bool = False,
    ) -> Iterator[Batch]:
        """As :meth:`batches`, for texts that :meth:`tokenize` has made ids of."""
        room = self._max_length - self._specials
        kept = np.array(
            [truncated_lengths(len(q), len(d), room) for q, d in encoded], dtype=np.int32
        ).reshape(-1, 2)
        lengths = kept.sum(axis=1, dtype=np.int32) + np.int32(self._specials)
        plan = plan_batches(lengths, token_budget=token_budget, max_pairs=max_pairs)
        if fill_last and len(plan) > FILLED_FROM:
            full = full_size(int(lengths[plan[-1][0]]), token_budget, max_pairs)
            plan[-1] = np.resize(plan[-1], full)
        for rows in plan:
            yield self._assemble(encoded, kept, lengths, rows)

    def _assemble(
        self,
        encoded: Sequence[tuple[IntArray, IntArray]],
        kept: IntArray,
        lengths: IntArray,
        rows: NDArray[np.int64],
    ) -> Batch:
        shape = (len(rows), int(lengths[rows].max()))
        input_ids = np.full(shape, self._pad_id, dtype=np.int32)
        types = np.zeros(shape, dtype=np.int32)
        for line, row in enumerate(rows):
            first = encoded[row][0][: kept[row, 0]]
            second = encoded[row][1][: kept[row, 1]]
            at = 0
            for part, kind in (
                (self._prefix, self._prefix_types),
                (first, self._first_type),
                (self._middle, self._middle_types),
                (second, self._second_type),
                (self._suffix, self._suffix_types),
            ):
                input_ids[line, at : at + len(part)] = part
                types[line, at : at + len(part)] = kind
                at += len(part)
        return Batch(rows=rows, input_ids=input_ids, token_type_ids=types, lengths=lengths[rows])


def rounded_width(width: int) -> int:
    """A batch's length in tokens, made longer by a sixteenth at most, so that few lengths occur.

    OpenVINO prepares every shape of a batch that it has not seen, and keeps what it has prepared.
    """
    step: int = 1 << max(0, width.bit_length() - 5)
    return -(-width // step) * step


def full_size(longest: int, token_budget: int, max_pairs: int | None) -> int:
    """Pairs of a full batch, of which the longest has so many tokens: at least one."""
    # What the engine pads to: so that all full batches of one width have as many rows.
    size = max(1, token_budget // rounded_width(max(1, longest)))
    return size if max_pairs is None else min(size, max_pairs)


def plan_batches(
    lengths: IntArray, *, token_budget: int, max_pairs: int | None = None
) -> list[NDArray[np.int64]]:
    """Rows of each batch: longest first, equal lengths in input order.

    Every row stands in exactly one batch. A batch of n pairs, padded to its first and
    longest one, holds at most ``token_budget`` tokens, unless it is a single pair.

    Args:
        lengths: int32 ``[pairs]``, tokens of each pair.
    """
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    batches: list[NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        size = full_size(int(lengths[order[start]]), token_budget, max_pairs)
        batches.append(order[start : start + size])
        start += size
    return batches
