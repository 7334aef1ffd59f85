"""``Term`` and ``Glossary``: what is searched. Knows files, knows nothing of models."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossrank.columns import NEEDED, guess_columns
from glossrank.errors import ClashError, InputError
from glossrank.readers import read_records
from glossrank.readers.records import Records
from glossrank.tables import Row, cell_text
from glossrank.template import DEFAULT_TEMPLATE, Template

if TYPE_CHECKING:
    from glossrank.answers import Answers
    from glossrank.cross_encoder import CrossEncoder
    from glossrank.search import Searcher

FINANCE_TERMS = Path(__file__).parent / "data" / "finance-terms"
SHIPPED_NAME = "finance-terms"
"""Names the glossary of the package; a file of that name is ./finance-terms."""
DEFAULT_TOP_K = 5
# Of a generated id that would be another term's too: hexadecimal digits of its definition's hash.
_HASH_LENGTH = 6


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
        synonyms: other names and acronyms.
        formula: how it is computed, or "".
        owner: who answers for the definition, or "".
        tags: words to sort by; the model reads them only if the template says so.
        source: where the definition is from, or "".
    """

    id: str
    term: str
    definition: str
    family: str = ""
    split: str = ""
    synonyms: tuple[str, ...] = ()
    formula: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    source: str = ""

    @property
    def document(self) -> str:
        """The text that the model reads, by the default template."""
        return self.render(Template(DEFAULT_TEMPLATE))

    def render(self, template: Template) -> str:
        """The text that the model reads, by a template."""
        return template.render(
            {
                "id": self.id,
                "term": self.term,
                "definition": self.definition,
                "synonyms": ", ".join(self.synonyms),
                "formula": self.formula.rstrip("."),
                "family": self.family,
                "owner": self.owner,
                "tags": ", ".join(self.tags),
                "source": self.source,
            }
        )


@dataclass(frozen=True)
class TermsRead:
    """What a source holds, the broken parts too.

    Attributes:
        name: of the source, fit to be shown.
        terms: in the source's order, ids distinct.
        lines: id to the line or row of the source; 0 where it has none.
        files: id to its file, where a source is of several.
        problems: one error for each row that could not be used.
        notes: which columns were guessed, what was left out and why.
    """

    name: str
    terms: tuple[Term, ...]
    lines: Mapping[str, int]
    files: Mapping[str, str]
    problems: tuple[InputError, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Glossary:
    """Terms with distinct ids, in their source's order.

    Attributes:
        name: where they are from.
        template: what the model reads of a term, see :mod:`glossrank.template`.
        notes: what to know about how the source was read; not part of the content.
    """

    name: str
    terms: tuple[Term, ...]
    template: str = DEFAULT_TEMPLATE
    notes: tuple[str, ...] = field(default=(), compare=False)
    _searchers: dict[Any, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False, hash=False
    )
    _lock: Any = field(
        default_factory=threading.Lock, init=False, repr=False, compare=False, hash=False
    )

    def __reduce__(self) -> tuple[Any, ...]:
        # What a search has prepared stays behind: engines cannot be copied.
        return Glossary, (self.name, self.terms, self.template, self.notes)

    def __len__(self) -> int:
        return len(self.terms)

    @classmethod
    def load(
        cls,
        source: str | Path | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        query: str | None = None,
        sheet: str | None = None,
        template: str = DEFAULT_TEMPLATE,
    ) -> Glossary:
        """Read a glossary; without a source, the shipped one.

        Args:
            source: a CSV, TSV, JSONL, JSON, YAML, Excel or Parquet file, a dbt project's folder
                or manifest, or a database URL.
            columns: field to column, where the guess by name is wrong or fails.
            query: the SQL or table of a database.
            sheet: of an Excel file.
            template: what the model reads of a term.

        Raises:
            InputError: the first thing that is wrong, with its line.
            MissingExtraError: the packages for this kind of source are not installed.
        """
        Template(template)
        found = read_terms(source, columns=columns, query=query, sheet=sheet)
        if found.problems:
            raise found.problems[0]
        return cls(name=found.name, terms=found.terms, template=template, notes=found.notes)

    @cached_property
    def documents(self) -> tuple[str, ...]:
        """The text that the model reads of each term, in the order of :attr:`terms`."""
        template = Template(self.template)
        return tuple(term.render(template) for term in self.terms)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the contents and the template, 64 hexadecimal digits.

        Two glossaries with the same terms have the same one, whatever their order, file or
        name.
        """
        terms = sorted((asdict(term) for term in self.terms), key=lambda term: str(term["id"]))
        content = json.dumps([self.template, terms], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    def searcher(
        self,
        model: str | CrossEncoder | None = None,
        *,
        first_stage: str | CrossEncoder | None = None,
        index: Path | None = None,
    ) -> Searcher:
        """The glossary prepared for a model: definitions tokenised, names and shortlist indexed.

        Made once for each model and first stage, and kept.

        Args:
            model: a loaded one, or a packaged name, folder or hub id; else the shipped one.
            first_stage, index: see :class:`~glossrank.search.Searcher`.
        """
        # Here, because a glossary can be read, compared and checked without an engine.
        from glossrank.search import Searcher

        models = (m if m is None or isinstance(m, str) else id(m) for m in (model, first_stage))
        key = (*models, index)
        # Threads that ask at once shall not all prepare it.
        with self._lock:
            if key not in self._searchers:
                self._searchers[key] = Searcher(self, model, first_stage=first_stage, index=index)
            searcher: Searcher = self._searchers[key]
        return searcher

    def search(
        self,
        question: str,
        top_k: int = DEFAULT_TOP_K,
        *,
        model: str | CrossEncoder | None = None,
        as_typed: bool = False,
        explain: bool = False,
    ) -> Answers:
        """The best ``top_k`` terms for a question; see :meth:`glossrank.search.Searcher.search`."""
        return self.searcher(model).search(question, top_k, as_typed=as_typed, explain=explain)

    def search_many(
        self,
        questions: Sequence[str],
        top_k: int = DEFAULT_TOP_K,
        *,
        model: str | CrossEncoder | None = None,
        as_typed: bool = False,
        show_progress_bar: bool = False,
    ) -> Iterator[Answers]:
        """Answers to each question, in order; see :mod:`glossrank.many` for files of them."""
        return self.searcher(model).search_many(
            questions, top_k, as_typed=as_typed, show_progress_bar=show_progress_bar
        )


def read_terms(
    source: str | Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    query: str | None = None,
    sheet: str | None = None,
    most: int | None = None,
) -> TermsRead:
    """All terms of a source and all that is wrong in it.

    Args:
        most: rows that a file may have.

    Raises:
        InputError: the source as a whole cannot be used.
        MissingExtraError: the packages for this kind of source are not installed.
    """
    shipped = source is None or source == SHIPPED_NAME
    file = FINANCE_TERMS / "glossary.csv" if shipped else source
    records = read_records(str(file), query=query, sheet=sheet, columns=columns, most=most)
    header = list(
        dict.fromkeys(name for row in records.rows if isinstance(row, Row) for name in row.values)
    )
    if not records.rows:
        raise InputError(
            file=records.name,
            expected="at least one term",
            found="none",
            fix="Fill it.",
        )
    good = [row for row in records.rows if isinstance(row, Row)]
    problems = [row for row in records.rows if isinstance(row, InputError)]
    notes = list(records.notes)
    entries: list[_Entry] = []
    if good:
        chosen, guessed = guess_columns(
            header, columns or {}, file=records.name, line=records.header
        )
        notes += guessed
        for row in good:
            term = _term(row.file or records.name, row, chosen)
            if isinstance(term, InputError):
                problems.append(term)
            else:
                entries.append(_Entry(row, term, bool(_cell(row, chosen, "id"))))
    kept, clashes, repeated = _distinct(records, entries)
    problems += clashes
    problems.sort(key=lambda problem: problem.line or 0)
    return TermsRead(
        name=SHIPPED_NAME if shipped else records.name,
        terms=tuple(entry.term for entry in kept),
        lines={entry.term.id: entry.row.line for entry in kept},
        files={entry.term.id: entry.row.file for entry in kept if entry.row.file is not None},
        problems=tuple(problems),
        notes=(*notes, *repeated),
    )


def split_list(value: str) -> tuple[str, ...]:
    """Parts of a cell: separated by semicolons, bars or line ends, else by commas."""
    parts = re.split(r"[;|\n]" if re.search(r"[;|\n]", value) else ",", value)
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def slug(term: str) -> str:
    """An id made from a term: lower case, words joined by hyphens, a bracket left out."""
    bare = re.sub(r"\([^()]*\)", "", term) or term
    return re.sub(r"[\W_]+", "-", bare.lower().replace("'", "")).strip("-") or term


def _cell(row: Row, columns: Mapping[str, str], name: str) -> str:
    """A field as text; "" where there is no such column or cell."""
    value = row.values.get(columns.get(name, ""))
    # A float that is not itself is how tables say "nothing".
    if value is None or value != value or isinstance(value, dict | list):
        return ""
    # Tables without a column of their own for whole numbers keep them as floats.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _list(row: Row, columns: Mapping[str, str], name: str) -> tuple[str, ...]:
    value = row.values.get(columns.get(name, ""))
    if isinstance(value, list):
        texts = (
            str(part).strip()
            for part in value
            if part is not None and not isinstance(part, dict | list | tuple)
        )
        return tuple(dict.fromkeys(text for text in texts if text))
    return split_list(_cell(row, columns, name))


def _term(file: str, row: Row, columns: Mapping[str, str]) -> Term | InputError:
    values = dict(row.values)
    for name in NEEDED:
        column = columns[name]
        # An account may be called 101.
        if name == "term" and type(values.get(column)) is int:
            values[column] = str(values[column])
        text = cell_text(file, Row(row.line, {column: None, **values}), column)
        if isinstance(text, InputError):
            return text
        values[column] = text.strip()
    term = str(values[columns["term"]])
    return Term(
        id=_cell(row, columns, "id") or slug(term),
        term=term,
        definition=str(values[columns["definition"]]),
        family=_cell(row, columns, "family"),
        split=_cell(row, columns, "split"),
        synonyms=_list(row, columns, "synonyms"),
        formula=_cell(row, columns, "formula"),
        owner=_cell(row, columns, "owner"),
        tags=_list(row, columns, "tags"),
        source=_cell(row, columns, "source"),
    )


@dataclass(frozen=True)
class _Entry:
    """A term with its row, and whether its id is the row's own."""

    row: Row
    term: Term
    own_id: bool


def _distinct(
    records: Records, entries: Sequence[_Entry]
) -> tuple[list[_Entry], list[InputError], list[str]]:
    """Entries with ids of their own, errors for ids given twice, and notes.

    An id that the source gives must be given once. One that was made from the name and would be
    another term's too gets a hash of the definition, in all of its terms, so that no id depends
    on the order. A row that says the same as another is left out.
    """
    given = {entry.term.id: entry for entry in entries if entry.own_id}
    made = {(e.term.id, e.term.term, e.term.definition) for e in entries if not e.own_id}
    bare = Counter(term_id for term_id, _, _ in made)
    kept: dict[str, _Entry] = {}
    problems: list[InputError] = []
    repeated: list[str] = []
    renamed: list[str] = []

    def place(entry: _Entry) -> str:
        file = "" if entry.row.file is None else f"{entry.row.file}, "
        return f"{file}{records.unit} {entry.row.line}"

    for entry in entries:
        term = entry.term
        twin = None if entry.own_id else given.get(term.id)
        if twin is not None and twin.term == term:
            repeated.append(f"{place(entry)} repeats {place(twin)} ({term.term!r})")
            continue
        hashed = not entry.own_id and (bare[term.id] > 1 or term.id in given)
        if hashed:
            digest = hashlib.sha256(f"{term.term}\n{term.definition}".encode()).hexdigest()
            term = replace(term, id=f"{term.id}-{digest[:_HASH_LENGTH]}")
        first = kept.get(term.id)
        if first is None:
            kept[term.id] = replace(entry, term=term)
            renamed += [term.id] if hashed else []
        elif first.term == term and not entry.own_id:
            repeated.append(f"{place(entry)} repeats {place(first)} ({term.term!r})")
        else:
            problems.append(
                ClashError(
                    file=entry.row.file or records.name,
                    line=entry.row.line,
                    expected="every id once",
                    found=f"{term.id!r} again, first on {place(first)}",
                    fix="Remove one, or give them different ids.",
                )
            )
    return list(kept.values()), problems, _notes(repeated, renamed)


def _notes(repeated: Sequence[str], renamed: Sequence[str]) -> list[str]:
    notes = []
    if repeated:
        notes.append(f"left out: {_some(repeated)}")
    if renamed:
        notes.append(
            f"same name, other definition: {len(renamed)} ids with a hash ({_some(renamed)})"
        )
    return notes


def _some(texts: Iterable[str]) -> str:
    listed = list(texts)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
