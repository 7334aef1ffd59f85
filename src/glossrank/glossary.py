"""``Term`` and ``Glossary``: what is searched. Knows files, knows nothing of models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from glossrank.errors import InputError
from glossrank.tables import Row, cell_text, read_rows

FINANCE_TERMS = Path(__file__).parent / "data" / "finance-terms"
COLUMNS = ("term", "definition")


@dataclass(frozen=True)
class Term:
    """One entry of a glossary.

    Attributes:
        id: stable name within the glossary.
        term: what it is called.
        definition: what it means, without "X can be defined as".
        family: the group of terms it belongs to, or "".
        split: "train", "dev" or "test" in a data set made for training, else "". Terms of
            "dev" and "test" come into no training pair.
    """

    id: str
    term: str
    definition: str
    family: str = ""
    split: str = ""

    @property
    def document(self) -> str:
        """The text that the model reads, in the form of the model card's training data."""
        return f"{self.term} can be defined as {self.definition}"


@dataclass(frozen=True)
class Glossary:
    """Terms with distinct ids, in file order."""

    name: str
    terms: tuple[Term, ...]

    def __len__(self) -> int:
        return len(self.terms)

    @classmethod
    def load(cls, path: Path | None = None) -> Glossary:
        """Read a glossary from CSV, TSV, JSONL or JSON; without a path, the shipped one.

        The columns ``term`` and ``definition`` are needed; ``id`` (else made from the
        term), ``family`` and ``split`` are used where they are there.

        Raises:
            InputError: the first thing that is wrong, with its line.
        """
        file = FINANCE_TERMS / "glossary.csv" if path is None else path
        terms: dict[str, Term] = {}
        lines: dict[str, int] = {}
        for row in read_rows(file, columns=COLUMNS):
            if isinstance(row, InputError):
                raise row
            term = _term(file, row)
            if term.id in terms:
                raise InputError(
                    file=file,
                    line=row.line,
                    expected="every term and id once",
                    found=f"{term.id!r} again, first on line {lines[term.id]}",
                    fix="Remove one, or give them different ids.",
                )
            terms[term.id] = term
            lines[term.id] = row.line
        if not terms:
            raise InputError(
                file=file,
                expected="at least one term",
                found="a header and nothing else",
                fix="Fill the file.",
            )
        return cls(name=str(path or "finance-terms"), terms=tuple(terms.values()))


def slug(term: str) -> str:
    """An id made from a term: lower case, words joined by hyphens, a bracket left out."""
    bare = re.sub(r"\s*\([^)]*\)", "", term) or term
    return re.sub(r"[\W_]+", "-", bare.lower().replace("'", "")).strip("-") or term


def _term(file: Path, row: Row) -> Term:
    texts = {}
    for name in COLUMNS:
        text = cell_text(file, row, name)
        if isinstance(text, InputError):
            raise text
        texts[name] = text.strip()
    return Term(
        id=str(row.values.get("id") or "").strip() or slug(texts["term"]),
        term=texts["term"],
        definition=texts["definition"],
        family=str(row.values.get("family") or ""),
        split=str(row.values.get("split") or ""),
    )
