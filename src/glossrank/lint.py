"""What is wrong with a glossary: its text, and what a model makes of it.

A finding says which entry, where, what and what to do. Checks of the text (:mod:`glossrank.lint_text`)
need no model; two checks ask it: whether a term is found by its own name or definition, and whether anything of it is
cut at the model's token limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from glossrank.errors import ClashError
from glossrank.glossary import Glossary, Term, TermsRead
from glossrank.lint_text import bare_name, text_faults
from glossrank.template import Template

if TYPE_CHECKING:
    from glossrank.search import Searcher

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
"""Room for a question beside the definition: the longest of finance-terms-large has 35."""
RIVALS = 10
"""Nearest terms that a term must beat to be reachable."""


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
    checks = [text_faults(read.terms)]
    if searcher is not None:
        checks += [_cut(searcher), _unreachable(searcher)]
    for kind, term, text, fix in chain.from_iterable(checks):
        line = read.lines.get(term.id) or None
        found.append(Finding(kind, term.id, read.files.get(term.id, read.name), line, text, fix))
    order = list(KINDS)
    return sorted(found, key=lambda f: (f.file, f.line or 0, f.id, order.index(f.kind)))


def _rows(read: TermsRead) -> Iterator[Finding]:
    for problem in read.problems:
        kind = "clashing-id" if isinstance(problem, ClashError) else "broken-row"
        text = f"expected {problem.expected}, found {problem.found}"
        yield Finding(kind, "", str(problem.file or read.name), problem.line, text, problem.fix)


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
    """Asks the model alone for each term by its name and by its definition, against its nearest."""
    if len(searcher.terms) < 2:
        return
    nearest = searcher.shortlist
    ids = searcher.token_ids(range(len(searcher.terms)))
    for row, term in enumerate(searcher.terms):
        winners = []
        for question in (bare_name(term), term.definition):
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
