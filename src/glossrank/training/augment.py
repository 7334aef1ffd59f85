"""Slips of the hand and of the ear, so that a model does not stumble over a manager's typos.

The evaluated typos are written by people; these are made by program and only used in
training.
"""

from __future__ import annotations

import random

# Rows of a QWERTY keyboard: a slip hits the key beside.
_KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    key: "".join(row[max(0, at - 1) : at] + row[at + 1 : at + 2])
    for row in _KEY_ROWS
    for at, key in enumerate(row)
}
# Spellings by ear, tried in turn from a random place of the list.
_BY_EAR = (
    ("ei", "ie"), ("ie", "ei"), ("ance", "ence"), ("ence", "ance"), ("able", "ible"),
    ("ph", "f"), ("ck", "k"), ("tion", "shun"), ("ea", "ee"), ("ee", "ea"), ("ou", "o"),
    ("qu", "kw"), ("wh", "w"), ("y", "i"), ("c", "s"), ("s", "c"), ("c", "k"), ("z", "s"),
    ("er", "re"), ("au", "aw"), ("ss", "s"), ("ll", "l"), ("tt", "t"), ("rr", "r"), ("mm", "m"),
)  # fmt: skip
_SHORTEST_WORD = 4


def typo(text: str, rng: random.Random) -> str:
    """``text`` with one slip in one word of four letters or more, or as it is without one.

    A letter dropped, doubled, swapped with the next or hit beside; a spelling by ear; or a
    lost apostrophe.
    """
    words = text.split(" ")
    places = [at for at, word in enumerate(words) if len(word) >= _SHORTEST_WORD]
    if not places:
        return text
    at = rng.choice(places)
    word = words[at]
    slips = [_drop, _double, _swap, _key_beside, _by_ear]
    words[at] = word.replace("'", "") if "'" in word else rng.choice(slips)(word, rng)
    return " ".join(words)


def case(text: str, rng: random.Random) -> str:
    """All small letters (mostly, with the last mark left out), or all capitals."""
    if rng.random() < 0.1:
        return text.upper()
    return text.lower().rstrip("?.! ") or text


def _drop(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word))
    return word[:at] + word[at + 1 :]


def _double(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    return word[: at + 1] + word[at:]


def _swap(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _key_beside(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    near = _BESIDE.get(word[at].lower())
    return word if near is None else word[:at] + rng.choice(near) + word[at + 1 :]


def _by_ear(word: str, rng: random.Random) -> str:
    start = rng.randrange(len(_BY_EAR))
    for heard, written in (*_BY_EAR[start:], *_BY_EAR[:start]):
        at = word.lower().find(heard, 1)
        if at >= 0:
            return word[:at] + written + word[at + len(heard) :]
    return _drop(word, rng)
