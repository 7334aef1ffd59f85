"""What the listwise recipe learns from: questions, candidates, and which candidate answers.

Built from judged questions with glossaries, or from labelled pairs. The texts of a
candidate come in several wordings, so that no turn of phrase becomes a crutch.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glossrank.errors import InputError
from glossrank.glossary import Glossary, Term
from glossrank.judgments import JudgedQuestion, LabelledPair
from glossrank.tables import read_rows

# How a term and a definition become a document, with the share of each form. The first is
# the model card's and the one that `glossrank ask` uses.
FORMS = (
    ("{term} can be defined as {text}", 0.55),
    ("{term}: {text}", 0.2),
    ("{term} - {text}", 0.1),
    ("{text}", 0.15),
)
# Any logit is far below; an integer too large for a float, and NaN, are not.
_LARGEST_SCORE = 1e30
RELEVANT = 0.5
"""A pair with this label or a higher one is a right answer."""


@dataclass(frozen=True)
class Candidate:
    """Something to be ranked: texts that all mean the same, and the name they belong to.

    Attributes:
        name: the term, or "" where a text is a whole document already.
        family: the group of neighbouring terms, or "".
    """

    id: str
    name: str
    texts: tuple[str, ...]
    family: str = ""

    def document(self, rng: random.Random) -> str:
        """One wording in one form, drawn at random."""
        text = rng.choice(self.texts)
        if not self.name:
            return text
        form = rng.choices([f for f, _ in FORMS], [share for _, share in FORMS])[0]
        return form.format(term=self.name, text=text)


@dataclass(frozen=True)
class Example:
    """A question and the rows of the candidates that answer it (none: nothing does).

    Attributes:
        wrong: rows that somebody labelled as wrong answers.
        typo: whether a person's slip is in it already.
    """

    question: str
    right: tuple[int, ...]
    wrong: tuple[int, ...] = ()
    typo: bool = False


@dataclass(frozen=True)
class TrainingSet:
    """Examples over one list of candidates."""

    candidates: tuple[Candidate, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class TeacherGroup:
    """A query, documents, and the logit that a teacher gave each; keeps general relevance."""

    query: str
    documents: tuple[str, ...]
    scores: tuple[float, ...]


def from_pairs(pairs: Sequence[LabelledPair]) -> TrainingSet:
    """Examples of a pairs file: its documents are the candidates.

    Documents of the form "X can be defined as Y" with the same X are wordings of one
    candidate, as are texts that differ in blanks and case only. A question without a right
    document gives no example: that nobody listed its answer does not mean that it has none.
    """
    texts: dict[str, dict[str, None]] = {}
    for pair in pairs:
        texts.setdefault(_identity(pair.document), {})[pair.document] = None
    rows = {key: row for row, key in enumerate(texts)}
    right: dict[str, list[int]] = {pair.question: [] for pair in pairs}
    wrong: dict[str, list[int]] = {pair.question: [] for pair in pairs}
    for pair in pairs:
        target = right if pair.label >= RELEVANT else wrong
        target[pair.question].append(rows[_identity(pair.document)])
    return TrainingSet(
        candidates=tuple(
            Candidate(id=str(rows[key]), name="", texts=tuple(same)) for key, same in texts.items()
        ),
        examples=tuple(
            Example(
                question,
                tuple(dict.fromkeys(found)),
                tuple(row for row in dict.fromkeys(wrong[question]) if row not in found),
            )
            for question, found in right.items()
            if found
        ),
    )


def _identity(document: str) -> str:
    """What two documents have in common that are wordings of one thing."""
    name, form, _ = document.partition(" can be defined as ")
    return " ".join((name if form else document).lower().split())


def from_questions(
    questions: Sequence[JudgedQuestion], glossaries: Sequence[Glossary]
) -> TrainingSet:
    """Examples of judged questions; each glossary gives one wording of its terms.

    Terms whose split is "dev" or "test" in any glossary are left out, also as wrong answers.

    Raises:
        InputError: a question needs a term that was left out or is in no glossary.
    """
    held_out = {term.id for g in glossaries for term in g.terms if term.split not in ("", "train")}
    texts: dict[str, list[str]] = {}
    first: dict[str, Term] = {}
    for glossary in glossaries:
        for term in glossary.terms:
            if term.id not in held_out:
                first.setdefault(term.id, term)
                texts.setdefault(term.id, []).append(term.definition)
    rows = {term_id: row for row, term_id in enumerate(texts)}
    examples = []
    for question in questions:
        strangers = [term_id for term_id in question.relevant if term_id not in rows]
        if strangers:
            raise InputError(
                expected="questions about terms of the glossaries that may be trained on",
                found=f"{strangers[0]!r} in {question.question!r}",
                fix="Give the glossary that has it, or leave the question out (split dev or test).",
            )
        right = tuple(rows[term_id] for term_id in question.relevant)
        examples.append(Example(question.question, right, (), question.typo))
    return TrainingSet(
        candidates=tuple(
            Candidate(term_id, first[term_id].term, tuple(wordings), first[term_id].family)
            for term_id, wordings in texts.items()
        ),
        examples=tuple(examples),
    )


def read_teacher_groups(path: Path) -> list[TeacherGroup]:
    """Teacher-scored groups: JSONL with ``query``, ``documents`` and ``scores``.

    Raises:
        InputError: a row is broken; all groups must have as many documents as scores.
    """
    groups = []
    for row in read_rows(path, columns=("query", "documents", "scores")):
        if isinstance(row, InputError):
            raise row
        query, documents, scores = (row.values[c] for c in ("query", "documents", "scores"))
        good = (
            isinstance(documents, list)
            and isinstance(scores, list)
            and len(documents) == len(scores) > 1
            and all(_is_text(text) for text in (query, *documents))
            and all(_is_number(score) for score in scores)
        )
        if not good:
            raise InputError(
                file=path,
                line=row.line,
                expected="a query, two or more documents, and a finite number for each of them",
                found=repr(row.values)[:80],
                fix="Write the file with scripts/score_groups.py.",
            )
        groups.append(TeacherGroup(str(query), tuple(documents), tuple(float(s) for s in scores)))
    return groups


def _is_text(value: object) -> bool:
    # Half of a surrogate pair is a string that no tokenizer takes.
    return isinstance(value, str) and value.encode("utf-8", "ignore").decode() == value


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _LARGEST_SCORE
