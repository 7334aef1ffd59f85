"""A database table or query, through SQLAlchemy; it is read and never changed."""

from __future__ import annotations

import re
import sqlite3
from typing import Any
from urllib.parse import quote

from glossrank.errors import InputError, MissingExtraError
from glossrank.readers.records import Records
from glossrank.tables import Row

# SQLITE_ATTACH of SQLite's authorizer, which Python's module names from 3.11 on.
_ATTACH = 24
_FIX = "Check the URL, the query and the database's permissions."


def read_database(url: str, *, query: str | None) -> Records:
    """The rows of a query.

    Args:
        url: SQLAlchemy's: ``sqlite:///terms.db``, ``postgresql+psycopg://user:password@host/db``.
        query: SQL, or the bare name of a table.

    Raises:
        InputError: no query, an unusable URL, or what the database answered.
        MissingExtraError: SQLAlchemy or the database's driver is not installed.
    """
    try:
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
    except ImportError as error:
        raise MissingExtraError(
            feature="reading databases", extra="sql", missing="sqlalchemy"
        ) from error
    try:
        address = sqlalchemy.make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        shown = re.sub(r"//.*@", "//...@", url.partition("?")[0])
        raise _refused(shown, "a database URL", str(error)) from error
    # Options may hold a password too.
    name = address.set(query={}).render_as_string(hide_password=True)
    if "@" in (address.host or ""):
        raise _refused(
            f"{address.drivername}://...",
            "one @ in the URL",
            "more",
            "Write %40 for it in a password.",
        )
    if query is None or not query.strip():
        raise _refused(name, "a query, with --query", "none", "Give SQL or a table's name.")
    # PostgreSQL's plain name means the old driver; the one that the extra brings is psycopg 3.
    if address.drivername in ("postgresql", "postgres"):
        address = address.set(drivername="postgresql+psycopg")
    sqlite = address.get_backend_name() == "sqlite"
    if sqlite and address.database and address.database != ":memory:":
        # Else a wrong path would make an empty file.
        address = address.set(database=f"file:{quote(address.database)}").update_query_dict(
            {"mode": "ro", "uri": "true"}
        )
    # A prepared statement is one statement: COMMIT cannot end the read-only transaction.
    arguments = {"prepare_threshold": 0} if address.drivername == "postgresql+psycopg" else {}
    try:
        engine = sqlalchemy.create_engine(
            address, poolclass=sqlalchemy.pool.NullPool, connect_args=arguments
        )
    except NoSuchModuleError as error:
        raise _refused(name, "a kind of database that SQLAlchemy knows", str(error)) from error
    except (ArgumentError, ValueError, TypeError) as error:
        raise _refused(name, "a database URL", str(error).splitlines()[0]) from error
    except ImportError as error:
        raise _refused(
            name,
            "the database's driver",
            str(error),
            "Install it; SQLAlchemy's page on the database names the package.",
        ) from error
    if engine.dialect.is_async:
        raise _refused(name, "a driver without asyncio", engine.dialect.driver)
    if sqlite:
        sqlalchemy.event.listen(engine, "connect", _forbid_other_files)
    try:
        return Records(name, tuple(_rows(sqlalchemy, engine, query)), unit="row")
    except (SQLAlchemyError, UnicodeEncodeError) as error:
        # The last line but those with SQLAlchemy's own remarks.
        said = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise _refused(
            name, "a query that the database answers", said[0] if said else ""
        ) from error


def _forbid_other_files(connection: Any, _: Any) -> None:
    """Refuse ATTACH and VACUUM INTO, which would make files beside a read-only one."""
    connection.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_DENY if action == _ATTACH else sqlite3.SQLITE_OK
    )


def _rows(sqlalchemy: Any, engine: Any, query: str) -> list[Row]:
    options = {"postgresql_readonly": True} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**options) as connection:
        if re.fullmatch(r"[\w.\"]+", query.strip()):
            query = f"SELECT * FROM {query}"
        # A colon in SQL is no parameter here; the transaction is never committed.
        result = connection.execute(sqlalchemy.text(query.replace(":", "\\:")))
        if not result.returns_rows:
            raise _refused(
                engine.url.render_as_string(hide_password=True),
                "a query that returns rows",
                f"{query[:80]!r}",
                "Write a SELECT; nothing was changed.",
            )
        return [
            Row(number, dict(row)) for number, row in enumerate(result.mappings().all(), start=1)
        ]


def _refused(name: str, expected: str, found: str, fix: str = _FIX) -> InputError:
    return InputError(expected=f"{expected} ({name})", found=found, fix=fix)
