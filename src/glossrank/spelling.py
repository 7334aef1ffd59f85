"""Slips of the pen in a question: "recieved", "mcuh", "divdends".

A small model reads a misspelt word as a heap of letters. So before a question is ranked, each
word that nobody knows is replaced by the known word that is one slip away: a letter left out, doubled
or added, two swapped, a neighbouring key, or a vowel or consonant that sounds alike (the noisy
channel of Kernighan, Church and Gale 1990, with those slips only). Of several the one that is
used most wins. Words of the glossary are known; names and acronyms, which begin with a capital
within a sentence, stay as they are.

Knows words, knows nothing of models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

WORDS_FILE = Path(__file__).parent / "data" / "words.txt"
"""One word a line, most used first; made by ``scripts/build_words.py``."""

_SHORTEST = 4
# A longer one is no word, and looking for slips in it takes for ever.
_LONGEST = 30
# Regular forms of a known word are no slips, though they may not be listed: endings, and the fewest
# letters before them ("pay|ed", but "geting" is "getting").
_ENDINGS = {"es": 3, "ed": 3, "er": 3, "ing": 4}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Rows of a keyboard; a key's neighbours are beside it or diagonally below and above it.
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SOUND_ALIKE = ("aeiouy", "csz", "ckq", "gj", "fv", "td", "sxz", "bp", "mn", "wv")
_TOKENS = re.compile(r"[^\W\d_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W\d_]+)*|.", re.DOTALL)


class Spelling:
    """Replaces misspelt words by known ones.

    Args:
        own: further words that are right, such as those of a glossary; texts are split.
    """

    def __init__(self, own: Iterable[str] = ()) -> None:
        self._ranks = common_words()
        self._own = {w.lower() for text in own for w in re.findall(r"[^\W\d_]+", text)}

    def correct(self, question: str) -> str:
        """The question with its slips corrected; the same text where there are none."""
        parts, starts = [], True
        for token in _TOKENS.findall(question):
            if (
                _SHORTEST <= len(token) <= _LONGEST
                and token.isalpha()
                and (starts or token.islower())
            ):
                parts.append(self._word(token))
            else:
                parts.append(token)
            # A capital says nothing after the start of a sentence.
            if not token.isspace():
                starts = token in ".?!"
        return "".join(parts)

    def _word(self, word: str) -> str:
        lower = word.lower()
        if not (word[1:].islower() and lower.isascii()) or self._known(lower):
            return word
        found = {near for near in _one_slip_away(lower) if self._listed(near)}
        if not found:
            return word
        best = min(found, key=lambda near: (self._rank(near), near))
        return best.capitalize() if word[0].isupper() else best

    def _known(self, word: str) -> bool:
        if self._listed(word) or (word.endswith("s") and self._listed(word[:-1])):
            return True
        return any(
            word.endswith(ending)
            and len(stem := word.removesuffix(ending)) >= fewest
            and stem[-1] != "e"
            and self._listed(stem)
            for ending, fewest in _ENDINGS.items()
        )

    def _listed(self, word: str) -> bool:
        return word in self._ranks or word in self._own

    def _rank(self, word: str) -> int:
        # A word of the glossary is as likely as one of the thousand most common ones.
        rank = self._ranks.get(word, len(self._ranks))
        return min(rank, 1000) if word in self._own else rank


@lru_cache(maxsize=1)
def common_words() -> dict[str, int]:
    """Known English words and how often they are used: 0 is the most used one."""
    words = WORDS_FILE.read_text(encoding="utf-8").split()
    return {word: rank for rank, word in enumerate(words)}


@lru_cache(maxsize=1)
def _mistaken() -> dict[str, str]:
    """For each letter those that are written instead of it."""
    near: dict[str, set[str]] = {letter: set() for letter in _LETTERS}
    for at, row in enumerate(_ROWS):
        for place, key in enumerate(row):
            near[key].update(row[max(0, place - 1) : place + 2])
            if at + 1 < len(_ROWS):
                below = _ROWS[at + 1][max(0, place - 1) : place + 1]
                near[key].update(below)
                for other in below:
                    near[other].add(key)
    for group in _SOUND_ALIKE:
        for letter in group:
            near[letter].update(group)
    return {letter: "".join(sorted(others - {letter})) for letter, others in near.items()}


def _one_slip_away(word: str) -> Iterator[str]:
    """What may have been meant. The first letter is seldom wrong, so it stays or is swapped."""
    mistaken = _mistaken()
    for at in range(len(word)):
        before, after = word[:at], word[at + 1 :]
        if at:
            yield before + after
            for letter in mistaken[word[at]]:
                yield before + letter + after
        if after:
            yield before + after[0] + word[at] + after[1:]
        for letter in _LETTERS:
            yield before + word[at] + letter + after
