"""Content words of a text, cut to their stems: enough to see what two texts share."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Function words, and the words with which questions ask.
_STOP_LIST = """
a about all also am an and any are as at be been being but by can could did do does doing
done each every for from get gets getting give given go goes going got had has have having
he her him his how i if in into is it its just know let like made make makes many may me
might more most much must my no not of off on one only or other our out over own per put
say see shall she should show so some such take tell than that the their them then there
these they thing things this those to too under up us very want was we were what whats when
where which while who whom whose why will with without would you your
"""
_STOP_WORDS = frozenset(_STOP_LIST.split())


def content_stems(text: str) -> frozenset[str]:
    """Stems of the words that are no function words."""
    bare = re.sub(r"['\N{RIGHT SINGLE QUOTATION MARK}]", "", text.lower())
    found: Iterable[str] = re.findall(r"[^\W_]+", bare)
    return frozenset(_stem(word) for word in found if word not in _STOP_WORDS)


def _stem(word: str) -> str:
    """Without plural, -ing, -ed and a last e: enough to join payable and payables."""
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    # "netting" has become "nett" by now.
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
