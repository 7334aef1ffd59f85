"""A PostgreSQL server for tests, from Debian's packages, on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

PASSWORD = "Geh31m!"
CONTENT = """
CREATE TABLE terms (code integer, "Metric Name" text, definition text, aka text, remark text);
INSERT INTO terms VALUES (101, 'Cash', 'Money: 50% of it.', 'coins; notes', NULL);
INSERT INTO terms VALUES (102, 'Debt', 'Owed::always.', NULL, 'x');
CREATE TABLE no_terms (term text, definition text);
"""


class Cluster:
    """A PostgreSQL server of the tests' own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, *, user: str = "owner", password: str = PASSWORD, name: str = "postgres") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{name}"

    def run(self, *statements: str) -> list[tuple[object, ...]]:
        """The rows of the last statement."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def programs() -> Path | None:
    """The folder of the newest PostgreSQL server, as Debian installs it."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    folder = programs()
    if folder is None:
        missing = "PostgreSQL's server is not installed (Debian: apt install postgresql)"
        if os.environ.get("GLOSSRANK_NEEDS_POSTGRESQL") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    # Not pytest's folder: the server does not run as root, and only root may enter that one.
    place = Path(tempfile.mkdtemp(prefix="glossrank-postgresql-"))
    data = place / "data"
    secret = place / "password"
    secret.write_text(PASSWORD)
    prefix: list[str] = []
    if os.geteuid() == 0:
        prefix = ["runuser", "-u", "postgres", "--"]
        shutil.chown(place, "postgres")
        shutil.chown(secret, "postgres")

    def run(program: str, *options: str) -> None:
        command = [*prefix, str(folder / program), "-D", str(data), *options]
        # pg_ctl's server would hold a pipe open for ever.
        with (place / "output").open("ab") as output:
            done = subprocess.run(command, cwd=place, stdout=output, stderr=output, check=False)
        assert done.returncode == 0, (place / "output").read_text()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        run("initdb", "-U", "owner", f"--pwfile={secret}", "--auth=scram-sha-256", "-E", "UTF8")
        settings = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        )
        run("pg_ctl", "-w", "-o", settings, "start")
        try:
            found = Cluster(port)
            found.run(*filter(str.strip, CONTENT.split(";\n")))
            yield found
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)
