from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from glossrank.encoding import (
    FILLED_FROM,
    PairEncoder,
    plan_batches,
    rounded_width,
    truncated_lengths,
)
from glossrank.model_names import DEFAULT_MODEL, PACKAGED_MODELS
from tests.conftest import WORDS, tiny_tokenizer
from tests.tiny_families import modernbert_tokenizer, roberta_tokenizer, unigram_tokenizer

SHIPPED_FILE = str(PACKAGED_MODELS / DEFAULT_MODEL / "tokenizer.json")
BUILDERS: dict[str, Callable[[], Tokenizer]] = {
    "tiny": tiny_tokenizer,
    "shipped": lambda: Tokenizer.from_file(SHIPPED_FILE),
    "unigram": unigram_tokenizer,
    "roberta": roberta_tokenizer,
    "modernbert": modernbert_tokenizer,
}
ENCODERS = {name: PairEncoder(build(), max_length=64) for name, build in BUILDERS.items()}
REFERENCES = {name: build() for name, build in BUILDERS.items()}

words = st.lists(
    st.sampled_from(
        [
            *WORDS,
            "provit",
            "EBITDA",
            "é",
            "財務",
            "😀",
            "\u200b",
            "  ",
            "<pad>",
            "</s>",
            "<mask>",
            "[SEP]",
            "[PAD]",
        ]
    ),
    max_size=40,
)
texts = st.one_of(words.map(" ".join), st.text(max_size=60))


def reference(name: str, pair: tuple[str, str], max_length: int) -> tuple[list[int], list[int]]:
    """The tokenizer's own pair output."""
    tokenizer = REFERENCES[name]
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    encoding = tokenizer.encode(*pair)
    return encoding.ids, encoding.type_ids


@pytest.mark.parametrize("name", sorted(ENCODERS))
@settings(max_examples=200, deadline=None)
@given(
    pairs=st.lists(st.tuples(texts, texts), min_size=1, max_size=6), max_length=st.integers(4, 64)
)
def test_batches_equal_the_tokenizers_own_pairs(
    name: str, pairs: list[tuple[str, str]], max_length: int
) -> None:
    encoder = ENCODERS[name]
    encoder.max_length = max_length
    seen = []
    for batch in encoder.batches(pairs, token_budget=100):
        for line, row in enumerate(batch.rows):
            seen.append(int(row))
            length = int(batch.lengths[line])
            expected = reference(name, pairs[row], max_length)
            assert batch.input_ids[line, :length].tolist() == expected[0]
            assert batch.token_type_ids[line, :length].tolist() == expected[1]
            assert not batch.token_type_ids[line, length:].any()
    assert sorted(seen) == list(range(len(pairs)))


@settings(max_examples=300, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 600), max_size=80),
    budget=st.integers(1, 3000),
    most=st.none() | st.integers(1, 10),
)
def test_every_pair_is_in_one_batch_within_the_budget(
    lengths: list[int], budget: int, most: int | None
) -> None:
    array = np.array(lengths, dtype=np.int32)
    batches = plan_batches(array, token_budget=budget, max_pairs=most)
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(array[batch]) <= budget
        assert most is None or len(batch) <= most
    longest = [int(array[batch].max()) for batch in batches]
    assert longest == sorted(longest, reverse=True)


@given(lengths=st.lists(st.integers(1, 512), min_size=1, max_size=400))
def test_full_batches_of_one_width_have_as_many_rows(lengths: list[int]) -> None:
    array = np.array(lengths, dtype=np.int32)
    full = plan_batches(array, token_budget=1024)[:-1]
    rows = {rounded_width(int(array[batch].max())): len(batch) for batch in full}
    assert all(rows[rounded_width(int(array[b].max()))] == len(b) for b in full)
    assert all(width * count <= 1024 for width, count in rows.items())


@pytest.mark.parametrize("count", [1, 30, 95, 97, 130])
def test_the_last_of_many_batches_is_filled_up(count: int) -> None:
    encoder = PairEncoder(tiny_tokenizer(), max_length=16)
    pairs = [("profit", "tax " * (at % 3 + 1)) for at in range(count)]
    exact = list(encoder.batches(pairs, token_budget=32))
    filled = list(encoder.batches(pairs, token_budget=32, fill_last=True))
    assert len(exact) == len(filled)
    assert sorted(row for batch in exact for row in batch.rows) == list(range(count))
    assert {row for batch in filled for row in batch.rows} == set(range(count))
    for batch in filled:
        for line, row in enumerate(batch.rows):
            (alone,) = encoder.batches([pairs[row]])
            length = batch.lengths[line]
            assert batch.input_ids[line, :length].tolist() == alone.input_ids[0].tolist()
    last = filled[-1]
    if len(exact) > FILLED_FROM:
        assert len(last.rows) == 32 // rounded_width(last.input_ids.shape[1])
    else:
        assert last.rows.tolist() == exact[-1].rows.tolist()


@pytest.mark.parametrize("width", range(1, 513))
def test_a_batch_is_made_longer_by_a_sixteenth_at_most(width: int) -> None:
    assert width <= rounded_width(width) <= width * 17 / 16


def test_few_widths_occur() -> None:
    assert len({rounded_width(width) for width in range(1, 513)}) < 100


@given(first=st.integers(0, 50), second=st.integers(0, 50), room=st.integers(0, 60))
def test_truncation_fills_the_room_and_never_lengthens(first: int, second: int, room: int) -> None:
    kept = truncated_lengths(first, second, room)
    assert sum(kept) == min(room, first + second)
    assert kept[0] <= first
    assert kept[1] <= second


def test_max_length_must_hold_the_special_tokens() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        PairEncoder(tiny_tokenizer(), max_length=2)
    encoder = PairEncoder(tiny_tokenizer(), max_length=8)
    with pytest.raises(ValueError, match="at least 3"):
        encoder.max_length = 0
    assert encoder.max_length == 8


@pytest.mark.parametrize(
    ("name", "specials", "padding"),
    [("tiny", 3, 0), ("unigram", 4, 1), ("roberta", 4, 1), ("modernbert", 3, 1)],
)
def test_templates_have_their_specials_and_padding(name: str, specials: int, padding: int) -> None:
    with pytest.raises(ValueError, match=f"at least {specials}"):
        PairEncoder(BUILDERS[name](), max_length=specials - 1)
    encoder = PairEncoder(BUILDERS[name](), max_length=specials)
    (batch,) = encoder.batches([("our profit", "the tax")])
    assert batch.lengths.tolist() == [specials]
    encoder.max_length = 40
    (batch,) = encoder.batches([("our profit", "the tax"), ("", "")])
    assert set(batch.input_ids[1, specials:].tolist()) == {padding}


def test_a_repeated_text_is_tokenised_once() -> None:
    encoder = PairEncoder(tiny_tokenizer(), max_length=32)
    calls: list[int] = []
    tokenize = encoder.tokenize

    def counting(texts: list[str]) -> list[np.ndarray]:
        calls.append(len(texts))
        return tokenize(texts)

    encoder.tokenize = counting  # type: ignore[assignment, method-assign]
    list(encoder.batches([("our profit", document) for document in ("tax", "cash", "tax")]))
    assert calls == [3]
