"""What is wrong with a glossary's text; no model is asked.

Each check yields a kind of :data:`glossrank.lint.KINDS`, the term, what was found and what to do.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from html.entities import html5

import numpy as np

from glossrank.glossary import Term
from glossrank.names import SMALL_WORDS
from glossrank.stems import content_stems
from glossrank.vectors import shipped_vectors

NEAR_OVERLAP = 0.8
"""Shared content words of all content words (Jaccard) at which two definitions are near duplicates."""
NEAR_COSINE = 0.9
_PLACEHOLDER = re.compile(
    r"(?:(?:tbd|tba|tbc|todo|fixme|pending)(?:\W.*)?|to do|#?n/?a|none|null|nil|unknown|undefined"
    r"|missing|xxx+|lorem ipsum.*|(?:to be|not(?: yet)?) (?:defined|determined|added|confirmed"
    r"|completed|written)(?: yet)?.*|(?:no|add|insert|enter) (?:a |the )?(?:definition|description).*"
    r"|definition(?: to follow)?|description|coming soon|placeholder.*|[\W_]+|test)[.!]?",
    re.IGNORECASE,
)
# "See X" always points; "same as X" may be a definition: "Same as revenue but net of tax".
_POINTER = re.compile(
    r"(?:please )?(see(?: also)?|refer to|cf\.?|same as|synonym (?:of|for)|another (?:name|word) for)"
    r"\s*:?\s+(?:the )?(?:definition of |entry (?:on |for ))?(.+)",
    re.IGNORECASE,
)
_SURE_POINTERS = ("see", "refer", "cf", "synonym", "another")
_LONGEST_REFERENCE = 8
_TAGS = (
    "a b i u p br hr em h1 h2 h3 h4 h5 h6 li ol ul td th tr div img pre sub sup code font span "
    "table tbody thead strong o:p"
)
_MARKUP = re.compile(
    r"</?(?:"
    + "|".join(_TAGS.split())
    + r")(?:\s[^<>]*)?/?>|<!--|\{\{|\}\}|\{%|\{#|\$\{|\[\[|\]\]|!\[|\]\(https?:",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(#\d{2,6}|#[xX][0-9a-fA-F]{2,5}|[A-Za-z][A-Za-z0-9]{1,30});")
_FOREIGN = re.compile(r"[^\x00-\x7f]{2,}")
_LOST = re.compile(r"\ufffd|_x000[0-9A-F]_")
_JOINERS = "\u200c\u200d"
# Line ends and marks of direction. A soft hyphen is a fault: the word is not found by its letters.
_MEANT = "\t\n\r\u200e\u200f\u061c"
# What turns a sentence round, though the rest of it is the same.
_TURNS = frozenset(
    {"not", "no", "never", "without", "with", "over", "under", "above", "below", "before", "after",
     "more", "less", "within", "outside", "from", "to", "up", "down", "in", "out", "by"}
)  # fmt: skip


def text_faults(terms: Sequence[Term]) -> Iterator[tuple[str, Term, str, str]]:
    """All faults of the text, check by check."""
    for term in terms:
        for kind, text, fix in _texts_of(term):
            yield kind, term, text, fix
    yield from _names(terms)
    yield from _references(terms)
    yield from _alike(terms)


def _texts_of(term: Term) -> Iterator[tuple[str, str, str]]:
    """Faults that one term shows alone."""
    definition = term.definition.strip()
    if _PLACEHOLDER.fullmatch(definition.strip("()[]<>") or definition):
        yield "placeholder", repr(definition), "Write the definition, or take the term out."
    elif _is_swapped(term):
        yield "swapped", f"{definition!r} for {term.term!r}", "Swap the two columns."
    elif _pointer(definition) is None:
        if _says_no_more(term):
            yield "circular", f"{definition!r} for {term.term!r}", "Say it in other words."
        # Scripts without spaces have no words to count.
        elif len(re.findall(r"[^\W_]+", definition)) < 3 and max(definition, default="") < "\u2e80":
            yield "short", repr(definition), "Say what it is in a sentence."
    texts = [("term", term.term), ("definition", definition), ("formula", term.formula)]
    texts += [("synonyms", synonym) for synonym in term.synonyms]
    for name, text in texts:
        tags = _markup(text)
        if tags:
            yield "markup", f"{tags!r} in the {name}", "Write plain text."
        broken = _broken_characters(text)
        if broken:
            yield (
                "broken-characters",
                f"{broken!a} in the {name}",
                "Write the character anew, and save the file as UTF-8.",
            )


def _markup(text: str) -> str:
    tags = _MARKUP.search(text)
    entities = [
        found[0]
        for found in _ENTITY.finditer(text)
        if found[1].startswith("#") or f"{found[1]};" in html5
    ]
    return tags[0] if tags else entities[0] if entities else ""


def _broken_characters(text: str) -> str:
    """UTF-8 that was read as Windows-1252, a lost character, or one that no eye sees."""
    lost = _LOST.search(text)
    if lost is not None:
        return lost[0]
    for run in _FOREIGN.findall(text):
        try:
            # Windows-1252 leaves five bytes open, which programs take as Latin-1.
            content = b"".join(
                c.encode("latin-1") if ord(c) < 256 else c.encode("cp1252") for c in run
            )
            content.decode("utf-8")
        except UnicodeError:
            continue
        return str(run)
    for at, char in enumerate(text):
        hidden = unicodedata.category(char) in ("Cc", "Cf", "Co") and char not in _MEANT
        # Persian words and emoji are made with joiners.
        near = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
        if hidden and not (
            near and not near.isascii() and (char in _JOINERS or char >= "\U000e0020")
        ):
            return char
    return ""


def _is_swapped(term: Term) -> bool:
    """A name that reads as a sentence, beside a definition that reads as a name.

    Of sound glossaries (finance-terms, FERC accounts, FIBO: 13,000 terms) it takes none; with
    the columns swapped it takes 96 to 100 % of finance-terms (benchmarks/LOG.md).
    """
    name = re.findall(r"[^\W_]+", term.term)
    definition = re.findall(r"[^\W_]+", term.definition)
    rest = [word for word in name[1:] if word.lower() not in SMALL_WORDS]
    lower = sum(word[0].islower() for word in rest)
    return (
        len(name) >= max(6, 1.5 * len(definition))
        and len(definition) <= 8
        and not term.definition.rstrip().endswith(".")
        and lower >= 0.6 * len(rest)
    )


def _says_no_more(term: Term) -> bool:
    """Whether all content words of the definition are in the name."""
    said = content_stems(term.definition)
    return bool(said) and said <= content_stems(term.term)


def _pointer(definition: str) -> tuple[str, bool] | None:
    """Where a definition that only points to another term points, and whether it surely does."""
    text = definition.strip().strip("()").rstrip(".").strip()
    match = _POINTER.fullmatch(text)
    if match is None or len(match[2].split()) > _LONGEST_REFERENCE:
        return None
    target = match[2].strip(" \"'\u2018\u2019\u201c\u201d")
    return target, match[1].lower().startswith(_SURE_POINTERS)


def _plain(text: str) -> str:
    """Words alone, to compare names as people say them."""
    return " ".join(re.findall(r"[^\W_]+", text.lower().replace("'", "")))


def _signed(text: str) -> str:
    """As :func:`_plain`, but signs that tell texts apart stay: % < > / + - and currencies."""
    bare = re.sub(r"(?<=\w)-(?=\w)", " ", text.lower())
    words = re.sub(r"[.,;:!?\"'\u2018\u2019\u201c\u201d()]", " ", bare).split()
    return " ".join(words).strip(" -")


def bare_name(term: Term) -> str:
    """The words of a name without what stands in brackets."""
    return _plain(re.sub(r"\s+\([^()]*\)", "", term.term)) or _plain(term.term)


def _names(terms: Sequence[Term]) -> Iterator[tuple[str, Term, str, str]]:
    names: dict[str, list[Term]] = defaultdict(list)
    signed: dict[str, list[Term]] = defaultdict(list)
    synonyms: dict[str, list[Term]] = defaultdict(list)
    for term in terms:
        names[_plain(term.term)].append(term)
        signed[_signed(term.term)].append(term)
        for synonym in term.synonyms:
            plain = _plain(synonym)
            if plain in (_plain(term.term), bare_name(term)):
                yield "own-name", term, repr(synonym), "Take the synonym out."
            elif plain:
                synonyms[plain].append(term)
        # "Earnings per Share (EPS)" is also called EPS.
        for inner in re.findall(r"\s\(([A-Z][A-Za-z&]*[A-Z])\)$", term.term):
            if _plain(inner) not in map(_plain, term.synonyms):
                synonyms[_plain(inner)].append(term)
    for some in signed.values():
        for term in some[1:]:
            yield (
                "same-name",
                term,
                f"{term.term!r} is also {some[0].id!r}",
                "Give each a name of its own, such as one with the context in brackets.",
            )
    for plain, owners in synonyms.items():
        for term in owners:
            rivals = [t for t in names.get(plain, ()) if t.id != term.id]
            rivals += [t for t in owners[: owners.index(term)] if t.id != term.id]
            if rivals:
                yield (
                    "shared-synonym",
                    term,
                    f"{plain!r} also means {rivals[0].term!r}",
                    "Keep it where it belongs.",
                )


def _references(terms: Sequence[Term]) -> Iterator[tuple[str, Term, str, str]]:
    by_name: dict[str, Term] = {}
    for term in terms:
        for name in (_plain(term.term), bare_name(term), *map(_plain, term.synonyms)):
            by_name.setdefault(name, term)
    leads: dict[str, Term] = {}
    for term in terms:
        pointer = _pointer(term.definition)
        if pointer is None:
            continue
        text, sees = pointer
        targets = by_name.get(_plain(text))
        several = [by_name.get(_plain(part)) for part in re.split(r",| and | or |;", text)]
        if targets is not None:
            leads[term.id] = targets
        elif sees and None in several:
            fix = "Add that term, or write a definition."
            yield "dead-reference", term, f"{text!r} is no term here", fix
    for term in terms:
        # A definition that only points is followed to its end, or back to itself.
        seen, at = {term.id}, leads.get(term.id)
        while at is not None and at.id not in seen:
            seen.add(at.id)
            at = leads.get(at.id)
        if at is not None and at.id == term.id:
            yield "circular", term, f"{term.definition!r} leads back here", "Define one of them."


def _alike(terms: Sequence[Term]) -> Iterator[tuple[str, Term, str, str]]:
    by_text: dict[str, Term] = {}
    distinct: list[Term] = []
    for term in terms:
        plain = _signed(term.definition)
        if (
            not plain
            or _PLACEHOLDER.fullmatch(term.definition.strip())
            or _pointer(term.definition)
        ):
            continue
        other = by_text.setdefault(plain, term)
        if other is term:
            distinct.append(term)
        else:
            yield (
                "same-definition",
                term,
                f"the definition of {other.term!r}",
                "Merge the two, one name as a synonym, or say what sets them apart.",
            )
    yield from _near(distinct)


def _near(terms: Sequence[Term]) -> Iterator[tuple[str, Term, str, str]]:
    """Each term once, with the nearest before it."""
    vectors = shipped_vectors().encode([term.definition for term in terms])
    words = [content_stems(term.definition) for term in terms]
    for start in range(0, len(terms), 512):
        cosines = vectors[start : start + 512] @ vectors[: start + 512].T
        for row, near in enumerate(cosines):
            second = start + row
            if len(words[second]) < 4:
                continue
            before = np.flatnonzero(near[:second] > NEAR_COSINE)
            overlap = [
                len(words[at] & words[second]) / len(words[at] | words[second])
                for at in before.tolist()
            ]
            pairs = [
                (share, int(at))
                for share, at in zip(overlap, before, strict=True)
                if share >= NEAR_OVERLAP and not _set_apart(terms[int(at)], terms[second])
            ]
            if pairs:
                yield (
                    "near-duplicate",
                    terms[second],
                    f"nearly the definition of {terms[max(pairs)[1]].term!r}",
                    "Say in both what sets them apart, or merge them.",
                )


def _set_apart(first: Term, second: Term) -> bool:
    """Whether the words that differ are the ones that count: figures, not and over, or the names'."""
    words = [set(_signed(term.definition).split()) for term in (first, second)]
    other = words[0] ^ words[1]
    if other & _TURNS or any(not char.isalpha() for word in other for char in word):
        return True
    said = content_stems(first.definition) ^ content_stems(second.definition)
    return bool(said & (content_stems(first.term) ^ content_stems(second.term)))
