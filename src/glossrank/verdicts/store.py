"""Verdicts in SQLite or PostgreSQL, through SQLAlchemy.

A verdict that :meth:`VerdictStore.add` has returned is on the disk: SQLite writes its log ahead and waits
for it (``synchronous=FULL``), PostgreSQL does so by itself. Tables are made and changed by
Alembic's migrations when a store is opened.

What :meth:`VerdictStore.delete` removes is overwritten in SQLite's files. PostgreSQL keeps it in its own until
it next vacuums the table.
"""

from __future__ import annotations

import logging
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import alembic.command
import alembic.config
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    NoSuchModuleError,
    SQLAlchemyError,
)

from glossrank.errors import InputError, OutputError
from glossrank.verdicts.schema import verdicts

logger = logging.getLogger("glossrank.verdicts")

VerdictKind = Literal["right", "wrong", "none"]

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 10
"""How long a writer waits for another one."""
_EMPTYING_SECONDS = 2
"""How long a deletion waits for others before it leaves SQLite's log as it is."""
_ANSWER_SECONDS = 15
"""In which PostgreSQL must have done a statement, or given a connection that is free again."""
_POSTGRESQL: dict[str, int] = {
    "connect_timeout": 5,
    # A machine that is gone sends nothing: found out after 25 s where a thread waits for an
    # answer, and where it waits for what it sent to be received.
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""libpq's own; those that the URL gives itself are left as they are."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What somebody said of the answers to a question.

    Attributes:
        glossary, fingerprint: name and contents of what was asked.
        model: the fingerprint of the model that answered.
        verdict: ``"right"`` and ``"wrong"`` are of ``term_id``; ``"none"`` says that nothing in
            the glossary answers.
        shown: the answers that were shown: id and probability of each, best first.
        person: who said so, if they gave a name.
    """

    glossary: str
    fingerprint: str
    model: str
    question: str
    verdict: VerdictKind
    term_id: str | None
    shown: Sequence[dict[str, Any]] = ()
    person: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: a term for ``"none"``, or none for another verdict.
        """
        if (self.verdict == "none") != (self.term_id is None):
            raise ValueError("a term_id belongs to every verdict but 'none', and to that not.")

    @property
    def said(self) -> tuple[str, str, str, str | None, str | None]:
        """What makes it the same verdict, whenever it was sent."""
        return self.glossary, self.question, self.verdict, self.term_id, self.person


@dataclass(frozen=True)
class Added:
    """
    Attributes:
        stored: what is stored under the id.
        new: it was not before.
    """

    stored: Verdict
    new: bool


class StoreError(OutputError):
    """The database of verdicts cannot be used.

    Its message has all of it; ``expected``, ``found`` and ``fix``, which a server tells its clients,
    have neither the database's name nor its own words: they say where it runs, and as whom.

    Args:
        said: the cause in the words of the database or its driver, if there are any.
    """

    def __init__(
        self, *, file: str, expected: str, found: str, fix: str, said: str | None = None
    ) -> None:
        self.said = said
        super().__init__(file=file, expected=expected, found=found, fix=fix)

    def _compose(self) -> str:
        message = super()._compose()
        return message if self.said is None else f"{message} The cause: {self.said}"


class VerdictStore:
    """Safe to use from several threads and processes.

    Args:
        url: SQLAlchemy's, such as ``sqlite:///verdicts.sqlite`` or
            ``postgresql://user:password@host/database``.

    Raises:
        InputError: the URL cannot be used.
        OutputError: the database cannot be reached or written.
    """

    def __init__(self, url: str) -> None:
        self._made = False
        self._engine = _engine(url)
        self.name = self._engine.url.render_as_string(hide_password=True)
        self._file = _file_of(self._engine.url)
        with self._talking() as connection:
            _migrate(connection)
        self._made = True

    def close(self) -> None:
        """End the connections."""
        self._engine.dispose()

    def add(self, verdict: Verdict) -> Added:
        """Store one; when this returns, it is kept.

        An id that is there already is not stored twice, so that a client can send a verdict again
        when it does not know whether it arrived.

        Raises:
            InputError: a text has a NUL character.
            OutputError: it could not be stored.
        """
        _refuse_nul(verdict.glossary, verdict.question, verdict.term_id, verdict.person)
        row = {column.name: getattr(verdict, column.name) for column in verdicts.c}
        row["shown"] = [dict(one) for one in verdict.shown]
        with self._talking() as connection:
            new = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            # Not looked up before: two clients may send one id at once.
            done = connection.execute(
                new(verdicts).values(row).on_conflict_do_nothing(),
                execution_options={"preserve_rowcount": True},
            )
            kept = sa.select(verdicts).where(verdicts.c.id == verdict.id)
            stored = _verdict(connection.execute(kept).mappings().one())
        return Added(stored, new=done.rowcount == 1)

    def read(
        self,
        *,
        glossary: str | None = None,
        person: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        shown_of: VerdictKind | None = None,
    ) -> list[Verdict]:
        """Verdicts, oldest first; with a limit, the newest of them.

        Args:
            since: only those of this time, which has a zone, or later.
            shown_of: leave ``shown``, most of what a verdict takes, empty in those of other kinds.

        Raises:
            InputError: a text has a NUL character.
            OutputError: the database cannot be reached.
        """
        _refuse_nul(glossary, person)
        chosen = sa.select(*_columns(shown_of))
        if glossary is not None:
            chosen = chosen.where(verdicts.c.glossary == glossary)
        if person is not None:
            chosen = chosen.where(verdicts.c.person == person)
        if since is not None:
            # SQLite keeps no zone; all are written in UTC.
            chosen = chosen.where(verdicts.c.created >= since.astimezone(timezone.utc))
        chosen = chosen.order_by(verdicts.c.created.desc(), verdicts.c.id).limit(limit)
        with self._talking() as connection:
            rows = connection.execute(chosen).mappings().all()
        return [_verdict(row) for row in reversed(rows)]

    def delete(self, *, person: str) -> int:
        """Remove all that a person said; how many that were.

        SQLite's files do not have it any more then, unless others kept its log busy, which is logged.

        Raises:
            InputError: a text has a NUL character.
            OutputError: the database cannot be reached.
        """
        _refuse_nul(person)
        with self._talking() as connection:
            done = connection.execute(sa.delete(verdicts).where(verdicts.c.person == person))
        if self._file is not None:
            _empty_log(self._file)
        return done.rowcount

    @contextmanager
    def _talking(self) -> Iterator[sa.Connection]:
        """A transaction; committed at the end of the block."""
        if self._made and self._file is not None and not self._file.exists():
            # SQLite would go on writing to a file that nobody finds again, or begin an empty one.
            raise StoreError(
                file=self.name,
                expected="the file that verdicts were kept in",
                found="none",
                fix="Put it back, or restart the server to begin a new one.",
            )
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise _unusable(self.name, error) from error


def _columns(shown_of: VerdictKind | None) -> list[sa.ColumnElement[Any]]:
    if shown_of is None:
        return list(verdicts.c)
    shown = sa.case((verdicts.c.verdict == shown_of, verdicts.c.shown), else_=sa.null())
    return [*(c for c in verdicts.c if c.name != "shown"), shown.label("shown")]


def _empty_log(file: Path) -> None:
    """SQLite's log has pages as they were before a deletion; move the present ones into the file."""
    try:
        # By a connection of its own, which waits for less long; and not one that makes the file.
        with closing(
            sqlite3.connect(
                f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=_EMPTYING_SECONDS
            )
        ) as connection:
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            trouble = "others use it" if busy else None
    except sqlite3.Error as error:
        trouble = str(error)
    if trouble is not None:
        # The deletion itself is done, and kept.
        logger.warning(
            "SQLite's log may have texts of deleted verdicts until the server ends or others "
            "are deleted: %s",
            trouble,
        )


def _refuse_nul(*texts: str | None) -> None:
    if any("\0" in (text or "") for text in texts):
        raise InputError(
            expected="texts without NUL, which databases do not keep",
            found="one with it",
            fix="Remove the character.",
        )


def _verdict(row: sa.RowMapping) -> Verdict:
    values = dict(row)
    if values["created"].tzinfo is None:
        # SQLite keeps no zone; all are written in UTC.
        values["created"] = values["created"].replace(tzinfo=timezone.utc)
    values["shown"] = values["shown"] or []
    return Verdict(**values)


def _engine(url: str) -> sa.Engine:
    try:
        address = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InputError(
            expected="a database URL such as sqlite:///verdicts.sqlite",
            found=url.partition("@")[2] or url.partition("?")[0],
            fix="Correct it.",
        ) from error
    if address.drivername in ("postgresql", "postgres"):
        address = address.set(drivername="postgresql+psycopg")
    in_sqlite = address.get_backend_name() == "sqlite"
    file = _file_of(address)
    try:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(
            address,
            # A connection that the server has closed meanwhile is made anew.
            pool_pre_ping=True,
            **({"connect_args": {"timeout": _BUSY_SECONDS}} if in_sqlite else _waiting(address)),
        )
    except OSError as error:
        raise OutputError(
            file=address.database,
            expected="a folder to keep verdicts in",
            found=str(error.strerror or error),
            fix="Give another one with --data, or a --database.",
        ) from error
    except (NoSuchModuleError, ArgumentError, ImportError) as error:
        raise InputError(
            expected="sqlite or postgresql, with its driver installed",
            found=f"{address.drivername}: {str(error).splitlines()[0]}",
            fix="Install glossrank[serve], which brings both.",
        ) from error
    if in_sqlite:
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    if file is not None:
        _follow_file(engine, file)
    return engine


def _waiting(address: sa.URL) -> dict[str, Any]:
    """Options of an engine for PostgreSQL, so that a database that hangs does not keep threads."""
    given = {name: value for name, value in _POSTGRESQL.items() if name not in address.query}
    own = address.query.get("options", "")
    # The URL's own options come last: of two the last one counts.
    words = [f"-c statement_timeout={_ANSWER_SECONDS}s", *([own] if isinstance(own, str) else own)]
    return {
        "connect_args": {**given, "options": " ".join(filter(None, words))},
        "pool_timeout": _ANSWER_SECONDS,
    }


def _file_of(address: sa.URL) -> Path | None:
    """Where SQLite keeps a database, if it is in a file that is named by its path."""
    name = address.database
    if address.get_backend_name() != "sqlite" or not name or name == ":memory:":
        return None
    return None if name.startswith("file:") else Path(name)


def _follow_file(engine: sa.Engine, file: Path) -> None:
    """Make connections anew whose file was replaced by another one of its name."""

    def identity() -> tuple[int, int] | None:
        try:
            found = file.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def remember(_: Any, record: Any) -> None:
        record.info["file"] = identity()

    def compare(_: Any, record: Any, __: Any) -> None:
        if record.info["file"] != identity():
            raise DisconnectionError(f"{file} is another file than before")

    sa.event.listen(engine, "connect", remember)
    sa.event.listen(engine, "checkout", compare)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # Python's module begins transactions by rules of its own; _begin_sqlite does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    # What is deleted is overwritten, not only marked as free.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # At once, not at the first change: else two writers that have read wait for each other.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Servers that start side by side: one migrates, the others wait, however long that takes.
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7032011)"))
    config = alembic.config.Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "head")


def _unusable(name: str, error: SQLAlchemyError) -> StoreError:
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    kind = "a database that answers" if isinstance(error, DBAPIError) else "a usable database"
    return StoreError(
        file=name,
        said=said[0] if said else type(error).__name__,
        expected=f"{kind} for verdicts",
        found="one that does not do what was asked",
        fix="Check that it runs, has room, and that this user may write to it.",
    )
