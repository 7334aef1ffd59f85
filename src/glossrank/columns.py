"""Which column of a file is which field of a term.

People call the same thing "Metric Name", "KPI" or "term". A column is guessed by its name; a
guess that is not the field's own name is told, so that it can be confirmed or overruled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from glossrank.errors import InputError

# The field's own name first, then others, most telling first. Compared without case, spaces,
# hyphens and underscores.
_NAMES: dict[str, tuple[str, ...]] = {
    "term": (
        "term", "term name", "name of term", "business term", "glossary term", "metric",
        "metric name", "kpi", "kpi name", "measure", "measure name", "key figure", "account name",
        "account title", "label", "display name", "name", "title", "concept", "entry", "word",
        "account",
    ),
    "definition": (
        "definition", "business definition", "term definition", "metric definition",
        "kpi definition", "description", "business description", "long description", "meaning",
        "explanation", "what it means", "desc", "def", "details", "text",
    ),
    "id": (
        "id", "term id", "metric id", "kpi id", "identifier", "key", "code", "slug", "uid",
        "account number", "account code", "number", "no",
    ),
    "synonyms": (
        "synonyms", "synonym", "aliases", "alias", "aka", "also known as", "also called",
        "other names", "alternative names", "alternate names", "abbreviation", "abbreviations",
        "acronym", "acronyms", "short name",
    ),
    "formula": (
        "formula", "calculation", "calculation method", "how calculated", "how it is calculated",
        "expression", "expr", "computation", "calc",
    ),
    "owner": (
        "owner", "data owner", "business owner", "term owner", "steward", "data steward",
        "responsible", "contact",
    ),
    "tags": ("tags", "tag", "keywords", "labels"),
    "source": ("source", "reference", "origin", "source system", "link", "url"),
    "family": ("family", "group", "category", "domain", "topic", "area", "section", "subject area"),
    "split": ("split",),
}  # fmt: skip
NEEDED = ("term", "definition")


def guess_columns(
    header: Sequence[str], chosen: Mapping[str, str], *, file: str, line: int = 1
) -> tuple[dict[str, str], list[str]]:
    """Field to column, and a note for each column that was guessed by another name.

    Args:
        header: the columns of the file.
        chosen: fields whose column the user named.
        file: for messages.

    Raises:
        InputError: no column for the term or the definition, a chosen column that is not
            there, or an unknown field.
    """
    by_name: dict[str, str] = {}
    for name in header:
        by_name.setdefault(_plain(name), name)
    columns: dict[str, str] = {}
    for field, wanted in chosen.items():
        if field not in _NAMES:
            raise InputError(
                expected=f"one of the fields {', '.join(_NAMES)}",
                found=repr(field),
                fix="Write the field first: definition=Meaning.",
            )
        if wanted not in header:
            raise InputError(
                file=file,
                line=line,
                expected=f"a column {wanted!r} for {field}",
                found=", ".join(header) or "none",
                fix="Write the column as the file does.",
            )
        if wanted in columns.values():
            raise InputError(
                expected="each column for one field",
                found=f"{wanted!r} for two",
                fix="Choose another column for one of them.",
            )
        columns[field] = wanted
    for field, names in _NAMES.items():
        if field in columns:
            continue
        free = (by_name.get(_plain(name)) for name in names)
        found = next((name for name in free if name and name not in columns.values()), None)
        if found is not None:
            columns[field] = found
    missing = [field for field in NEEDED if field not in columns]
    if missing:
        raise InputError(
            file=file,
            line=line,
            expected=f"the columns {' and '.join(NEEDED)}, or others that mean the same",
            found=f"{', '.join(header) or 'none'} (missing: {', '.join(missing)})",
            fix="Rename a column, or say which one it is: --column "
            + " --column ".join(f"'{field}=YOUR COLUMN'" for field in missing),
        )
    guessed = [
        f"{field} = column {name!r}"
        for field, name in columns.items()
        if _plain(name) != field and chosen.get(field) != name
    ]
    return columns, guessed


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())
