"""The command that serves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glossrank.cli.evaluating import PrecisionChoice, PrecisionOption
from glossrank.cli.output import ModelOption, escape, stderr
from glossrank.errors import InputError, MissingExtraError
from glossrank.glossary import SHIPPED_NAME
from glossrank.model_names import DEFAULT_MODEL
from glossrank.tables import decode

DataOption = Annotated[
    Path, typer.Option("--data", help="Folder of uploaded glossaries, verdicts and models.")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database", metavar="URL", help="Where verdicts are kept instead: postgresql://..."
    ),
]


def require_serve(feature: str) -> None:
    """
    Raises:
        MissingExtraError: glossrank[serve] is not installed.
    """
    try:
        import alembic  # noqa: F401
        import fastapi  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            feature=feature, extra="serve", missing=error.name or "fastapi"
        ) from error


def serve_command(
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    model: ModelOption = DEFAULT_MODEL,
    precision: PrecisionOption = PrecisionChoice.AUTO,
    glossary: Annotated[
        list[str] | None,
        typer.Option(
            "--glossary",
            "-g",
            metavar="NAME=SOURCE",
            help="A glossary to ask, by the name it gets; may be given several times. Else the shipped one.",
        ),
    ] = None,
    data: DataOption = Path("glossrank-data"),
    database: DatabaseOption = None,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Tokens that clients must send one of, a line each."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A web origin that browsers may call from."),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name that clients call the server by."),
    ] = None,
    log_questions: Annotated[
        bool, typer.Option("--log-questions", help="Also log what was asked.")
    ] = False,
) -> None:
    """Serve a page for people and rerank APIs for programs."""
    require_serve("the server")
    from glossrank.server.run import serve
    from glossrank.server.settings import ServerSettings

    settings = ServerSettings(
        host=host,
        port=port,
        model=model,
        precision=precision.value,
        glossaries=named_sources(glossary),
        data=data,
        database=database,
        tokens=() if token_file is None else read_tokens(token_file),
        origins=tuple(origin or ()),
        allowed_hosts=tuple(allowed_host or ()),
        log_questions=log_questions,
    )
    if not settings.is_local and not settings.tokens:
        stderr().print(
            f"Anybody who reaches {escape(host)} can ask, upload and judge: see --token-file.",
            highlight=False,
        )
    stderr().print(f"Loading ... then http://{escape(host)}:{port}", highlight=False)
    serve(settings)


def named_sources(options: list[str] | None) -> dict[str, str | None]:
    """``["bank=terms.csv"]`` as a dictionary; the shipped glossary where there is none.

    Raises:
        InputError: an option without a name.
    """
    if not options:
        return {SHIPPED_NAME: None}
    sources: dict[str, str | None] = {}
    for option in options:
        name, sign, source = option.partition("=")
        if not sign or not source:
            raise InputError(
                expected="--glossary NAME=SOURCE",
                found=repr(option),
                fix="Write for example --glossary bank=terms.csv",
            )
        sources[name.strip()] = source
    return sources


def read_tokens(file: Path) -> tuple[str, ...]:
    """The lines of a file that are not empty.

    Raises:
        InputError: it cannot be read or holds none.
    """
    try:
        text = decode(file.read_bytes(), file=file)
    except OSError as error:
        raise InputError(
            file=file, expected="a file that can be read", found=str(error.strerror),
            fix="Check the path and its permissions.",
        ) from error  # fmt: skip
    tokens = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not tokens:
        raise InputError(
            file=file, expected="a token in each line", found="none",
            fix="Write some, or leave out --token-file.",
        )  # fmt: skip
    return tokens
