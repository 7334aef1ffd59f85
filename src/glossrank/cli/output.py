"""What every command prints with, and options that several commands share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from glossrank.cross_encoder import CrossEncoder

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


def load_model(model: str) -> CrossEncoder:
    # OpenVINO takes a tenth of a second to import: not for --help or a bad file.
    from glossrank.cross_encoder import CrossEncoder

    return CrossEncoder(model)


def title(text: str) -> None:
    stdout().print(f"[bold]{escape(text)}[/]", soft_wrap=True, highlight=False)


def new_table(*columns: str) -> Table:
    table = Table()
    for name in columns:
        numeric = name in ("probability", "score", "MB", "min", "mean", "max", "")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=numeric)
    return table


def print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))


def stdout() -> Console:
    return Console()


def stderr() -> Console:
    return Console(stderr=True)
