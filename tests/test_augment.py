from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from glossrank.training.augment import case, typo

SEEDS = st.integers(0, 2**32 - 1)
# Words that every slip can act on, among arbitrary ones: no-break spaces, marks, emoji,
# letters whose small form is longer (İ) or whose capital is two letters (ß).
WORDS = st.one_of(
    st.sampled_from(
        ["receivables", "what's", "''''", "İİİİcy", "straße", "quick", "zzzz", "tax", "", "?"]
    ),
    st.text(max_size=12),
)
TEXTS = st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=8).map(" ".join))
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def is_slip_of_a_key(before: str, after: str) -> bool:
    """Whether one letter became its neighbour on the keyboard."""
    if len(before) != len(after):
        return False
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    return len(changed) == 1 and any(
        "".join(sorted(changed[0], key=row.find)) in row for row in KEYS
    )


@settings(deadline=None)
@given(TEXTS, SEEDS)
def test_a_typo_changes_one_long_word_at_most(text: str, seed: int) -> None:
    before, after = text.split(" "), typo(text, random.Random(seed)).split(" ")
    assert len(before) == len(after)
    changed = [old for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) <= 1
    assert all(len(word) >= 4 for word in changed)


@settings(deadline=None)
@given(TEXTS, SEEDS)
def test_a_seed_decides_the_slip_and_the_case(text: str, seed: int) -> None:
    assert typo(text, random.Random(seed)) == typo(text, random.Random(seed))
    assert case(text, random.Random(seed)) == case(text, random.Random(seed))


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters=" "), max_size=3)).map(" ".join), SEEDS)
def test_a_text_without_long_words_stays_as_it_is(text: str, seed: int) -> None:
    assert typo(text, random.Random(seed)) == text


def test_every_kind_of_slip_comes_about_equally_often() -> None:
    word = "depreciation"
    dropped = {word[:at] + word[at + 1 :] for at in range(len(word))}
    doubled = {word[: at + 1] + word[at:] for at in range(len(word))}
    swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)}
    kinds: Counter[str] = Counter()
    for seed in range(4000):
        slipped = typo(word, random.Random(seed))
        assert slipped != word
        if slipped in dropped:
            kinds["dropped"] += 1
        elif slipped in doubled:
            kinds["doubled"] += 1
        elif slipped in swapped:
            kinds["swapped"] += 1
        elif is_slip_of_a_key(word, slipped):
            kinds["beside"] += 1
        else:
            assert slipped in {"depresiation", "deprekiation", "depreciashun"}
            kinds[slipped] += 1
    by_ear = [kinds.pop(name) for name in ("depresiation", "deprekiation", "depreciashun")]
    assert all(by_ear), by_ear
    shares = [count / 4000 for count in (*kinds.values(), sum(by_ear))]
    assert len(shares) == 5
    assert all(0.15 < share < 0.25 for share in shares), shares


def test_every_long_word_gets_its_slips() -> None:
    words = ["how", "quick", "do", "customers", "pay", "our", "invoices"]
    hit: Counter[int] = Counter()
    for seed in range(900):
        slipped = typo(" ".join(words), random.Random(seed)).split(" ")
        hit.update(at for at, word in enumerate(words) if slipped[at] != word)
    assert set(hit) == {1, 3, 6}
    assert all(250 < count < 350 for count in hit.values()), hit


def test_an_apostrophe_is_what_a_word_loses_first() -> None:
    assert {typo("isn't it", random.Random(seed)) for seed in range(50)} == {"isnt it"}


def words_of(text: str) -> list[str]:
    """Words that are more than marks, which a lost end of the text may hold."""
    return [word for word in text.split(" ") if word.strip("?.!")]


@settings(deadline=None)
@given(TEXTS, SEEDS)
def test_case_keeps_the_words(text: str, seed: int) -> None:
    changed = case(text, random.Random(seed))
    assert len(words_of(changed)) == len(words_of(text))
    assert changed in (changed.upper(), changed.lower())
    # Elsewhere a letter's small form can depend on the letters around it.
    if text.isascii():
        assert text.lower().startswith(changed.lower())


def test_some_questions_are_shouted_and_most_are_small() -> None:
    seen = Counter(case("What is our DSO?", random.Random(seed)) for seed in range(2000))
    assert set(seen) == {"what is our dso", "WHAT IS OUR DSO?"}
    assert 0.07 < seen["WHAT IS OUR DSO?"] / 2000 < 0.13
