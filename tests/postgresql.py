"""A PostgreSQL server for tests, from Debian's packages, on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    """A PostgreSQL server of its own.

    Args:
        programs: the folder of its programs.
        place: an empty folder for its data. Not pytest's: the server does not run as root, and
            only root may enter that one.
        port: where it listens.
    """

    def __init__(self, programs: Path, place: Path, port: int) -> None:
        self.port = port
        self._programs = programs
        self._place = place
        self._prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def make(self) -> None:
        """Its data folder."""
        secret = self._place / "password"
        secret.write_text(PASSWORD)
        if self._prefix:
            shutil.chown(self._place, "postgres")
            shutil.chown(secret, "postgres")
        self._do(
            "initdb", "-U", "owner", f"--pwfile={secret}", "--auth=scram-sha-256", "-E", "UTF8"
        )

    def start(self) -> None:
        """Wait until it answers."""
        settings = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        )
        self._do("pg_ctl", "-w", "-o", settings, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Wait until it has ended.

        Args:
            mode: "fast" ends transactions; "immediate" is as if the power went off.
        """
        self._do("pg_ctl", "-w", "-m", mode, "stop")

    def _do(self, program: str, *options: str) -> None:
        data = str(self._place / "data")
        command = [*self._prefix, str(self._programs / program), "-D", data, *options]
        # pg_ctl's server would hold a pipe open for ever.
        with (self._place / "output").open("ab") as output:
            done = subprocess.run(
                command, cwd=self._place, stdout=output, stderr=output, check=False
            )
        assert done.returncode == 0, (self._place / "output").read_text()

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


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster that has started.

    Args:
        folder: see :func:`programs`.
    """
    place = Path(tempfile.mkdtemp(prefix="glossrank-postgresql-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Cluster(folder, place, port)
    try:
        made.make()
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    folder = programs()
    if folder is None:
        missing = "PostgreSQL's server is not installed (Debian: apt install postgresql)"
        if os.environ.get("GLOSSRANK_NEEDS_POSTGRESQL") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with running_cluster(folder) as found:
        found.run(*filter(str.strip, CONTENT.split(";\n")))
        yield found
