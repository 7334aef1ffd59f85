"""What is wrong with a glossary: checks of its text, and of what a model makes of it.

A finding says which entry, where, what and what to do. Checks of the text need no model; two
checks ask it: whether a term is found by its own name or definition, and whether anything of it is
cut at the model's token limit.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from glossrank.glossary import Glossary, Term, TermsRead
from glossrank.search import Searcher
from glossrank.stems import content_stems
from glossrank.template import Template
from glossrank.vectors import shipped_vectors

KINDS = {
    "broken-row": "a row that cannot be read",
    "clashing-id": "an id that two entries have",
    "same-name": "one name with two definitions",
    "same-definition": "two terms with the same definition",
    "near-duplicate": "two definitions that say nearly the same in the same words",
    "shared-synonym": "a synonym that is another term's name or synonym",
    "own-name": "a synonym that repeats the term's own name",
    "placeholder": "a definition that is yet to be written",
    "short": "a definition of fewer than three words",
    "circular": "a definition that says no more than its name, or refers back to itself",
    "dead-reference": "a 'see ...' to a term that is not there",
    "swapped": "a name that reads like the definition, and a definition like the name",
    "markup": "tags, entities or template code in the text",
    "broken-characters": "characters that a wrong encoding left, or invisible ones",
    "cut": "a definition that the model does not read to its end",
    "unreachable": "a term that the model finds neither by its name nor by its definition",
}
QUESTION_TOKENS = 64
"""Room for a question beside the definition: the longest of finance-terms-large has 50."""
NEAR_OVERLAP = 0.8
"""Shared content words of all content words (Jaccard) at which two definitions are near duplicates."""
NEAR_COSINE = 0.9
RIVALS = 10
"""Nearest terms that a term must beat to be reachable."""
_PLACEHOLDER = re.compile(
    r"(?:tbd|tba|tbc|todo|to do|fixme|n/?a|none|null|nil|unknown|undefined|missing|xxx+|lorem ipsum.*"
    r"|to be (?:defined|determined|added|confirmed|completed|written).*|(?:no|add|insert|enter) "
    r"(?:a |the )?(?:definition|description).*|definition|description|coming soon|placeholder.*|[\W_]+|test)[.!]?",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"(?:\(?(?:please )?(?:see|refer to|cf\.?|same as|synonym (?:of|for)|another (?:name|word) for)\s+)"
    r"(?:the )?(?:definition of |entry (?:on |for )|also )?[\"'\u2018\u201c]?([^\"'\u2019\u201d().;]+)[\"'\u2019\u201d]?\)?\.?",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|&(?:[a-z]{2,8}|#\d{2,5});|\{\{|\}\}|\{%|\$\{|\[\[|\]\]|!\[|\]\(https?:",
    re.IGNORECASE,
)
# UTF-8 read as Windows-1252, a lost character, and what no eye sees.
_MOJIBAKE = re.compile(
    r"\u00e2\u20ac|\u00c3[\u0080-\u00bf\u0192\u201a\u2122]|\u00c2[\u00a0-\u00bf]|\ufffd|_x000[0-9A-F]_"
)


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        kind: a key of :data:`KINDS`.
        id: of the term; "" for a row that is none.
        file: where it is.
        line: of the file, or None where it has no lines.
        text: what was found, for people.
        fix: what to do, a full sentence.
    """

    kind: str
    id: str
    file: str
    line: int | None
    text: str
    fix: str


def lint(read: TermsRead, searcher: Searcher | None) -> list[Finding]:
    """All findings, by line.

    Args:
        searcher: of the glossary's terms; None leaves out the checks that need a model.
    """
    found = list(_rows(read))
    faults = [(kind, term, text, fix) for term in read.terms for kind, text, fix in _texts_of(term)]
    checks: list[Iterable[tuple[str, Term, str, str]]] = [
        faults,
        _names(read.terms),
        _references(read.terms),
        _alike(read.terms),
    ]
    if searcher is not None:
        checks += [_cut(searcher), _unreachable(searcher)]
    for kind, term, text, fix in chain.from_iterable(checks):
        line = read.lines.get(term.id) or None
        found.append(Finding(kind, term.id, read.files.get(term.id, read.name), line, text, fix))
    order = list(KINDS)
    return sorted(found, key=lambda f: (f.file, f.line or 0, f.id, order.index(f.kind)))


def _rows(read: TermsRead) -> Iterator[Finding]:
    for problem in read.problems:
        clash = problem.expected == "every id once"
        kind = "clashing-id" if clash else "broken-row"
        text = f"expected {problem.expected}, found {problem.found}"
        yield Finding(kind, "", str(problem.file or read.name), problem.line, text, problem.fix)


def _texts_of(term: Term) -> Iterator[tuple[str, str, str]]:
    """Faults that one term shows alone."""
    definition = term.definition.strip()
    words = re.findall(r"[^\W_]+", definition)
    if _PLACEHOLDER.fullmatch(definition):
        yield "placeholder", repr(definition), "Write the definition, or take the term out."
    elif _says_no_more(term):
        yield "circular", f"{definition!r} for {term.term!r}", "Say it in other words."
    elif len(words) < 3 and not _REFERENCE.fullmatch(definition):
        yield "short", repr(definition), "Say what it is in a sentence."
    if len(term.term) > 80 and len(definition) < len(term.term) / 2:
        yield "swapped", f"a name of {len(term.term)} characters", "Swap the two columns."
    for name in ("term", "definition", "formula"):
        text = getattr(term, name)
        tags = _MARKUP.search(text)
        if tags:
            yield "markup", f"{tags[0]!r} in the {name}", "Write plain text."
        broken = _MOJIBAKE.search(text) or next(
            (
                c
                for c in text
                if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn") and c not in "\t\n\r"
            ),
            None,
        )
        if broken:
            shown = broken if isinstance(broken, str) else broken[0]
            yield (
                "broken-characters",
                f"{shown!a} in the {name}",
                "Write the character anew, and save the file as UTF-8.",
            )


def _says_no_more(term: Term) -> bool:
    """Whether all content words of the definition are in the name."""
    said = content_stems(term.definition)
    return bool(said) and said <= content_stems(term.term)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.lower().replace("'", "")))


def _bare(term: Term) -> str:
    return _plain(re.sub(r"\s*\([^()]*\)", "", term.term)) or _plain(term.term)


def _names(terms: Sequence[Term]) -> Iterator[tuple[str, Term, str, str]]:
    names: dict[str, list[Term]] = defaultdict(list)
    synonyms: dict[str, list[Term]] = defaultdict(list)
    for term in terms:
        names[_plain(term.term)].append(term)
        for synonym in term.synonyms:
            plain = _plain(synonym)
            if plain in (_plain(term.term), _bare(term)):
                yield "own-name", term, repr(synonym), "Take the synonym out."
            else:
                synonyms[plain].append(term)
        # "Earnings per Share (EPS)" is also called EPS.
        for inner in re.findall(r"\(([A-Z][A-Za-z&]*[A-Z])\)", term.term):
            if _plain(inner) not in map(_plain, term.synonyms):
                synonyms[_plain(inner)].append(term)
    for some in names.values():
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
        for name in (term.term, re.sub(r"\s*\([^()]*\)", "", term.term), *term.synonyms):
            by_name.setdefault(_plain(name), term)
    leads: dict[str, Term] = {}
    for term in terms:
        match = _REFERENCE.fullmatch(term.definition.strip())
        if match is None:
            continue
        target = by_name.get(_plain(match[1]))
        if target is None:
            fix = "Add that term, or write a definition."
            yield "dead-reference", term, f"{match[1].strip()!r} is no term here", fix
        else:
            leads[term.id] = target
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
        plain = _plain(term.definition)
        other = by_text.setdefault(plain, term)
        if other is term:
            distinct.append(term)
        elif plain and not _PLACEHOLDER.fullmatch(term.definition.strip()):
            yield (
                "same-definition",
                term,
                f"the definition of {other.term!r}",
                "Merge the two, one name as a synonym, or say what sets them apart.",
            )
    yield from _near(distinct)


def _near(terms: Sequence[Term]) -> Iterator[tuple[str, Term, str, str]]:
    vectors = shipped_vectors().encode([term.definition for term in terms])
    words = [content_stems(term.definition) for term in terms]
    for start in range(0, len(terms), 512):
        near = vectors[start : start + 512] @ vectors.T > NEAR_COSINE
        for row, column in zip(*np.nonzero(near), strict=True):
            first, second = int(column), start + int(row)
            if first >= second or len(words[second]) < 4:
                continue
            either, both = words[first] | words[second], words[first] & words[second]
            # Figures tell apart what is otherwise worded alike: 30 days and 90 days.
            figures = any(char.isdigit() for word in either - both for char in word)
            if len(both) / len(either) >= NEAR_OVERLAP and not figures:
                yield (
                    "near-duplicate",
                    terms[second],
                    f"nearly the definition of {terms[first].term!r}",
                    "Say in both what sets them apart, or merge them.",
                )


def _cut(searcher: Searcher) -> Iterator[tuple[str, Term, str, str]]:
    room = searcher.model.max_seq_length - QUESTION_TOKENS
    every = searcher.token_ids(range(len(searcher.terms)))
    for term, ids in zip(searcher.terms, every, strict=True):
        if len(ids) > room:
            yield (
                "cut",
                term,
                f"{len(ids)} tokens, of which beside a question {room} are read",
                "Put what matters first, or shorten it.",
            )


def _unreachable(searcher: Searcher) -> Iterator[tuple[str, Term, str, str]]:
    """Asks for each term by its name and by its definition, against its nearest terms."""
    if len(searcher.terms) < 2:
        return
    nearest = searcher.shortlist
    ids = searcher.token_ids(range(len(searcher.terms)))
    for row, term in enumerate(searcher.terms):
        winners = []
        for question in (_bare(term), term.definition):
            rivals = nearest.rows(question, size=RIVALS + 1)
            rows = [row, *(int(other) for other in rivals if other != row)]
            query = searcher.model.tokenize([question])[0]
            logits = searcher.model.logits_of_ids([(query, ids[at]) for at in rows])
            winners.append(rows[int(np.argmax(logits))])
        if row not in winners:
            other = searcher.terms[winners[0]].term
            yield (
                "unreachable",
                term,
                f"asked for it by name or by definition, the model prefers {other!r}",
                "Say in the definition what sets it apart from that term.",
            )


def glossary_of(read: TermsRead, *, template: str) -> Glossary | None:
    """The terms that could be read, as a glossary; None where there are none."""
    Template(template)
    return Glossary(read.name, read.terms, template) if read.terms else None
