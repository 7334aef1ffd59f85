"""What every command prints with, and options that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table

from glossrank.errors import InputError
from glossrank.glossary import Glossary
from glossrank.template import DEFAULT_TEMPLATE

if TYPE_CHECKING:
    from glossrank.cross_encoder import CrossEncoder
    from glossrank.search import Searcher

FOUND_SOMETHING = 1
USAGE_ERROR = 2
REFUSED = 3
INTERRUPTED = 130

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="Packaged name, model folder or hub id.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
AsTypedOption = Annotated[
    bool,
    typer.Option("--as-typed", help="Read questions letter by letter; else slips are corrected."),
]
GlossaryOption = Annotated[
    str | None,
    typer.Option(
        "--glossary",
        "-g",
        metavar="SOURCE",
        help="CSV, TSV, JSONL, JSON, YAML, Excel, Parquet, a dbt project or manifest, a database "
        "URL; else the shipped glossary.",
    ),
]
QueryOption = Annotated[
    str | None, typer.Option("--query", metavar="SQL", help="A database's query or table.")
]
SheetOption = Annotated[
    str | None, typer.Option("--sheet", metavar="NAME", help="Of an Excel file.")
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="FIELD=COLUMN",
        help="Which column is the term, definition, ...; can be repeated. Else guessed by name.",
    ),
]
FirstStageOption = Annotated[
    str | None,
    typer.Option(
        "--first-stage",
        metavar="MODEL",
        help="A model with indexed definitions scores every term first, several times faster: "
        "finance-terms-indexed.",
    ),
]
IndexOption = Annotated[
    Path | None,
    typer.Option("--index", metavar="FILE", help="For it: what `glossrank index` has written."),
]
TemplateOption = Annotated[
    str,
    typer.Option("--template", metavar="TEXT", help="What the model reads of a term."),
]


def load_glossary(
    source: str | Path | None,
    *,
    query: str | None = None,
    sheet: str | None = None,
    column: list[str] | None = None,
    template: str = DEFAULT_TEMPLATE,
) -> Glossary:
    """The glossary of a command's options; how it was read is told on stderr."""
    glossary = Glossary.load(
        source, columns=chosen_columns(column), query=query, sheet=sheet, template=template
    )
    print_notes(glossary.name, glossary.notes)
    return glossary


def chosen_columns(column: list[str] | None) -> dict[str, str]:
    """``["term=Metric"]`` as a dictionary."""
    chosen = {}
    for text in column or ():
        field, sign, name = text.partition("=")
        if not sign or not name.strip():
            raise InputError(
                expected="--column FIELD=COLUMN",
                found=repr(text),
                fix="Write for example --column 'term=Metric Name'.",
            )
        chosen[field.strip()] = name.strip()
    return chosen


def print_notes(name: str, notes: tuple[str, ...]) -> None:
    for note in notes:
        stderr().print(f"[dim]{escape(name)}: {escape(note)}[/]", soft_wrap=True, highlight=False)


def load_model(model: str) -> CrossEncoder:
    # OpenVINO takes a tenth of a second to import: not for --help or a bad file.
    from glossrank.cross_encoder import CrossEncoder

    return CrossEncoder(model)


def load_searcher(
    terms: Glossary, model: str, *, first_stage: str | None, index: Path | None
) -> Searcher:
    """The glossary prepared for the models of a command's options."""
    if index is not None and first_stage is None:
        from glossrank.document_index import read_index_file

        first_stage = read_index_file(index).model
    ranker = load_model(model)
    first = ranker if first_stage == model else first_stage
    return terms.searcher(ranker, first_stage=first, index=index)


def escape(text: str) -> str:
    """A text of the user's to be printed as it is: no markup, and no codes for the terminal."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
    return escape_markup(shown)


def title(text: str) -> None:
    stdout().print(f"[bold]{escape(text)}[/]", soft_wrap=True, highlight=False)


def new_table(*columns: str) -> Table:
    table = Table()
    for name in columns:
        numeric = name in ("probability", "score", "MB", "min", "mean", "max", "")
        # Folded, not cut: scripts without spaces and long addresses are one word to the table.
        table.add_column(
            name, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold"
        )
    return table


def print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))


def stdout() -> Console:
    return Console(emoji=False)


def stderr() -> Console:
    return Console(stderr=True, emoji=False)
