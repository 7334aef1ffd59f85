"""The lexical safety net: terms that a question calls by name.

A model may not know that ROAS is Return on Advertising Spend. So a term comes up among the answers, if only
at their end, when the question holds its name, one of its synonyms, or its acronym: one in brackets behind the name, one
among the synonyms, or the initials of a name of three or more words. Knows terms, knows nothing
of models.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from glossrank.glossary import Term
from glossrank.spelling import common_words

LONGEST_NAME = 12
"""Words of a name that is looked for; a longer one is a sentence."""
MOST_TERMS = 3
"""Terms that may have a name or an acronym; if more do, it says nothing within a question."""
_SMALL_LIST = """
& a an and as at by for from in into of off on or per the to vs with
"""
SMALL_WORDS = frozenset(_SMALL_LIST.split())
# In small letters these are words, though a glossary may have such an acronym.
_EVERYDAY_LIST = """
act add age ago aim air all and any are arm art ask bad bag bar bed best bet bid big bill bit
bond box bus but buy call can cap car card case cash cost cut data date day deal debt did done
down each end even face fact fair fall far fast fee few file fill find firm fit five fix flow
for form four free full fun fund gain gap gas get give goal gold good got grow had hand hard has
have head held help her here high him his hit hold home hope hot hour how idea into item its job
join just keep key kind know land last late law lay lead led left leg lend less let lie life
like line link list live load loan lock long look lose loss lot low made main make man many map
mark may mean meet men met mind miss mix more most move much must name near need net new next
nice nor not note now odd off oil old once one only open our out over own paid par part pass
past pay per pie plan play plus post pot pull push put rate raw read real red rent rest rid rise
risk role row rule run safe sale same sat save saw say see sell send set she show side sign sip
sit site six size sold some soon sort spot step stop such sum sure swap take tax team tell ten
term test text than that the them then they this tie time tip told too tool top try turn two
type unit upon use used user van very wait want war was way web week well went were what when
who why wide will win wish with won word work year yes yet you your zero
ape dip ear eat fat herd lab lip mid pan ram redo rob sal sole son sub sue tea
"""
_EVERYDAY_WORDS = frozenset(_EVERYDAY_LIST.split())
_BRACKET = re.compile(r"\s+\(([^()]*)\)")
_LAST_BRACKET = re.compile(r"\s\(([^()]*)\)\s*$")
_ACRONYM = re.compile(r"(?=(?:.*[A-Z]){2})[A-Z][A-Za-z0-9&/.-]{1,9}")
# P/E and R&D are one word each, debt/equity is two.
_WORD = re.compile(
    r"\b[A-Za-z](?:[/&][A-Za-z])+\b|&|[^\W_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}&][^\W_]+)*"
)


class NamedBy(str, Enum):
    """How a question names a term; what says most about it first."""

    WHOLE = "the question is its name"
    INITIALS = "initials"
    ACRONYM = "acronym"
    NAME = "name"
    SYNONYM = "synonym"
    COMMON_WORD = "one common word"


@dataclass(frozen=True)
class Named:
    """A term that a question names.

    Attributes:
        row: of the term, in the order of the index.
        by: what kind of name it is.
        words: the question's own words (in Unicode's form NFKC).
    """

    row: int
    by: NamedBy
    words: str

    @property
    def reason(self) -> str:
        """For people: ``acronym "DSO" in the question``."""
        if self.by is NamedBy.WHOLE:
            return str(self.by.value)
        kind = "" if self.by is NamedBy.COMMON_WORD else f"{self.by.value} "
        return f'{kind}"{self.words}" in the question'


@dataclass(frozen=True)
class _Word:
    text: str
    start: int
    end: int

    @property
    def key(self) -> str:
        return _key(self.text)


class NameIndex:
    """Names, synonyms and acronyms of terms, by their words.

    Args:
        terms: in the order in which rows are numbered.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self._names: dict[tuple[str, ...], dict[int, NamedBy]] = defaultdict(dict)
        self._acronyms: dict[str, dict[int, NamedBy]] = defaultdict(dict)
        initials: dict[str, set[int]] = defaultdict(set)
        for row, term in enumerate(terms):
            for text, kind in _names(term):
                words = tuple(word.key for word in _words(text))
                if not 0 < len(words) <= LONGEST_NAME:
                    continue
                short = _ACRONYM.fullmatch(text) is not None
                if short:
                    # A glossary may write "(KPIs)".
                    bare = text[:-1] if text.endswith("s") else text
                    self._acronyms[_letters(bare)].setdefault(row, NamedBy.ACRONYM)
                if not short or kind is NamedBy.NAME or len(words) > 1:
                    self._names[words].setdefault(row, kind)
                if not short and kind is NamedBy.NAME:
                    for acronym in _initials(text):
                        initials[acronym].add(row)
        for acronym, rows in initials.items():
            for row in rows if len(rows) <= MOST_TERMS else ():
                self._acronyms[acronym].setdefault(row, NamedBy.INITIALS)
        given = {
            acronym: sum(kind is NamedBy.ACRONYM for kind in rows.values())
            for acronym, rows in self._acronyms.items()
        }
        for acronym in [acronym for acronym, count in given.items() if count > MOST_TERMS]:
            del self._acronyms[acronym]
        self._longest = max((len(words) for words in self._names), default=0)

    def find(self, question: str) -> list[Named]:
        """The terms that the question names, by row; of names within names only the longest."""
        question = unicodedata.normalize("NFKC", question)
        words = _words(question)
        if len(words) > 1 and question.isupper():
            # Who writes everything in capitals means no acronym by them.
            words = [_Word(word.text.lower(), word.start, word.end) for word in words]
        found: dict[int, Named] = {}
        for named in [*self._long_names(question, words), *self._short_ones(words)]:
            known = found.get(named.row)
            if known is None or _SURENESS[named.by] < _SURENESS[known.by]:
                found[named.row] = named
        return [found[row] for row in sorted(found)]

    def _long_names(self, question: str, words: Sequence[_Word]) -> Iterator[Named]:
        keys = [word.key for word in words]
        at = 0
        while at < len(words):
            for size in range(min(self._longest, len(words) - at), 0, -1):
                rows = self._names.get(tuple(keys[at : at + size]))
                whole = size == len(words)
                if rows and (whole or len(rows) <= MOST_TERMS):
                    own = question[words[at].start : words[at + size - 1].end]
                    common = size == 1 and _is_common(words[at].text.lower())
                    for row, kind in rows.items():
                        by = NamedBy.COMMON_WORD if common else kind
                        yield Named(row, NamedBy.WHOLE if whole else by, own)
                    at += size
                    break
            else:
                at += 1

    def _short_ones(self, words: Sequence[_Word]) -> Iterator[Named]:
        for word in words:
            if not _letters(word.text):
                continue
            found = self._acronyms.get(_letters(word.text)) or (
                self._acronyms.get(_letters(word.text[:-1])) if word.text.endswith("s") else None
            )
            for row, kind in (found or {}).items():
                if _is_meant(word.text, kind):
                    yield Named(row, NamedBy.WHOLE if len(words) == 1 else kind, word.text)


_SURENESS = {kind: place for place, kind in enumerate(NamedBy)}


def _names(term: Term) -> Iterator[tuple[str, NamedBy]]:
    """The name, with and without what stands in brackets; an acronym at its end; synonyms."""
    name = unicodedata.normalize("NFKC", term.term).strip()
    bare = _BRACKET.sub("", name).strip()
    yield bare or name, NamedBy.NAME
    if bare and bare != name:
        yield name, NamedBy.SYNONYM
    last = _LAST_BRACKET.search(name)
    if last is not None and _ACRONYM.fullmatch(last[1].strip()):
        yield last[1].strip(), NamedBy.SYNONYM
    for synonym in term.synonyms:
        yield unicodedata.normalize("NFKC", synonym).strip(), NamedBy.SYNONYM


def _initials(name: str) -> set[str]:
    """With and without small words: "Cost of Goods Sold" is COGS and CGS."""
    words = [word.text for word in _words(name)]
    large = [word for word in words if word.lower() not in SMALL_WORDS]
    return {
        letters
        for some in (words, large)
        if len(some) >= 3 and (letters := _letters("".join(word[0] for word in some)))
    }


def _words(text: str) -> list[_Word]:
    return [_Word(match[0], match.start(), match.end()) for match in _WORD.finditer(text)]


def _key(word: str) -> str:
    """Lower case, without a possessive or plural ending."""
    bare = re.sub(r"['\N{RIGHT SINGLE QUOTATION MARK}]s?$", "", word.lower())
    bare = bare.replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "")
    if bare == "&":
        return "and"
    if len(bare) > 4 and bare.endswith("ies"):
        return bare[:-3] + "y"
    if bare.endswith(("ses", "xes", "zes", "ches", "shes")):
        bare = bare[:-2]
        # "bonuses" is by now what "bonus" is.
        bare = bare[:-1] if bare.endswith(("us", "is")) else bare
    elif len(bare) > 3 and bare.endswith("s") and not bare.endswith("ss"):
        bare = bare[:-1]
    # "expenses" has lost its e.
    return bare[:-1] if len(bare) > 3 and bare.endswith("e") else bare


def _letters(word: str) -> str:
    """Capitals, without signs; "" where a letter is none of A to Z."""
    letters = "".join(letter for letter in word if letter.isalnum())
    return letters.upper() if letters.isascii() else ""


def _is_meant(word: str, kind: NamedBy) -> bool:
    """Whether a word stands for an acronym: in capitals, or where it is no other word."""
    if sum(letter.isupper() for letter in word) >= 2:
        return len(word) > 2 or kind is NamedBy.ACRONYM
    lower = word.lower()
    return len(word) > 2 and not {lower, lower.removesuffix("s")} & _EVERYDAY_WORDS


def _is_common(word: str) -> bool:
    listed = common_words()
    return word in listed or word.removesuffix("s") in listed or f"{word}s" in listed
