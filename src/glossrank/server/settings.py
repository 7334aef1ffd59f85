"""What a server is told at its start. Every default and limit is here, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from glossrank.engines.engine import AnyPrecision
from glossrank.errors import InputError
from glossrank.model_names import DEFAULT_MODEL


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """
    Attributes:
        host, port: where it listens; another host than the own machine's should have tokens.
        model, precision: of every request.
        glossaries: name to source, see ``Glossary.load``; the first is the page's.
        data: the folder of uploaded glossaries and, unless ``database`` is given, of the verdicts.
        database: an SQLAlchemy URL for verdicts.
        tokens: what a client may authorise itself with; empty for no authorisation.
        origins: web origins that browsers may call from; none by default.
        allowed_hosts: names that clients may call it by beside those of the own machine; by default
            any where it listens at another address than the own machine's.
        log_questions: whether the log holds what was asked; it does not by default.
        most_requests: that are worked on or wait; more are answered with 429.
        most_body_bytes, most_documents, most_text_characters: of a request; more is answered
            with 413 or 422.
        most_terms, most_glossaries: of an uploaded glossary, and of all; more is answered with 422.
        most_uploads: that are read or wait; more are answered with 429.
        body_seconds: in which a request's body must have arrived, else 408.
        request_seconds: in which it must be answered, else 503.
        database_seconds: in which the database must have answered, else 503.
        drain_seconds: that running requests get after SIGTERM.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    model: str = DEFAULT_MODEL
    precision: AnyPrecision = "auto"
    glossaries: dict[str, str | None] = field(default_factory=lambda: {"finance-terms": None})
    data: Path = Path("glossrank-data")
    database: str | None = None
    tokens: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    log_questions: bool = False
    most_requests: int = 256
    most_body_bytes: int = 10_000_000
    most_documents: int = 10_000
    most_text_characters: int = 1_000_000
    most_terms: int = 20_000
    most_glossaries: int = 100
    most_uploads: int = 16
    body_seconds: float = 10.0
    request_seconds: float = 120.0
    database_seconds: float = 15.0
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what no server can run with.

        Raises:
            InputError: the first of them.
        """
        for name in (
            "most_requests", "most_body_bytes", "most_documents", "most_text_characters", "most_terms",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise InputError(
                    expected=f"{name} of at least 1",
                    found=str(getattr(self, name)),
                    fix="Correct the number.",
                )
        for token in self.tokens:
            if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
                raise InputError(
                    expected=f"tokens of at least {_SHORTEST_TOKEN} printable ASCII characters",
                    found=f"one of {len(token)} characters",
                    fix="Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
                )

    @property
    def database_url(self) -> str:
        """Where verdicts are kept."""
        return self.database or f"sqlite:///{(self.data / 'verdicts.sqlite').absolute()}"

    @property
    def is_local(self) -> bool:
        """Whether only the own machine can reach it."""
        return self.host in _LOCAL

    @property
    def names(self) -> tuple[str, ...]:
        """What clients may call it by; empty for anything."""
        if self.allowed_hosts or self.is_local:
            return (*_LOCAL, self.host, *self.allowed_hosts)
        return ()


_LOCAL = ("localhost", "127.0.0.1", "::1")
_SHORTEST_TOKEN = 16
