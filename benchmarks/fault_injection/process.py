"""The server as a process, and requests that an ordinary client would not send."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 60.0
LONGEST_FOUND = 160
QUESTION = "How quick are we getting paid by customers?"
RERANK = {"query": QUESTION, "texts": ["Import duties are taxes.", "Days until customers pay."]}
VERDICT = {"question": "who owes us?", "verdict": "none"}


@dataclass(frozen=True)
class Answer:
    """
    Attributes:
        status: 0 where the connection ended without an answer.
        content: what came, or why nothing did.
    """

    status: int
    content: bytes
    seconds: float = 0.0
    retry_after: str | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    def __str__(self) -> str:
        text = self.content.decode("utf-8", "replace")
        return f"{self.status} {text[:LONGEST_FOUND]}"


class Server:
    """A process that may be killed, and its log."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self._read = log.stat().st_size

    def send(
        self,
        method: str,
        path: str,
        content: bytes | Iterable[bytes] = b"",
        *,
        timeout: float = 150,
        **headers: str,
    ) -> Answer:
        """Send all of a body, as most clients do, then read; chunked if it comes in pieces.

        Args:
            headers: underscores stand for hyphens.
        """
        whole = isinstance(content, bytes)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        extra = {"Content-Length": str(len(content))} if isinstance(content, bytes) else {}
        start = time.monotonic()
        try:
            head = {"Host": "localhost", "Content-Type": "application/json", **extra, **names}
            if not whole and "Content-Length" not in head:
                head["Transfer-Encoding"] = "chunked"
            lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in head.items())]
            first = ("\r\n".join(lines) + "\r\n\r\n").encode()
            pieces = [content] if isinstance(content, bytes) else content
            chunked = "Transfer-Encoding" in head
            answer = exchange(self.port, framed(first, pieces, chunked=chunked), timeout)
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, repr(error).encode(), time.monotonic() - start)
        return answer

    def call(self, path: str, body: Any = None, **options: Any) -> Answer:
        """GET, or POST of JSON."""
        if body is None:
            return self.send("GET", path, **options)
        return self.send("POST", path, json.dumps(body).encode(), **options)

    def trouble(self) -> str:
        """What a server that goes on well would not show; "" if there is nothing.

        A tracebacks or a 500 in the log since the last call, a wrong answer, or a dead process.
        """
        if self.process.poll() is not None:
            return f"the server ended with {self.process.returncode}"
        answer = self.call("/rerank", RERANK, timeout=30)
        if answer.status != 200 or answer.json[0]["index"] != 1:
            return f"a normal request was answered with {answer}"
        asked = self.call("/v1/ask", {"question": QUESTION}, timeout=30)
        if asked.status != 200 or asked.json["answers"][0]["id"] != "days-sales-outstanding":
            return f"a question was answered with {asked}"
        with self.log.open("rb") as log:
            log.seek(self._read)
            new = log.read().decode()
        self._read += len(new.encode())
        bad = [line for line in new.splitlines() if "raceback" in line or '"status": 500' in line]
        return f"{len(bad)} such lines in the log: {bad[0][:4000]}" if bad else ""

    def peak_memory(self, *, anew: bool = False) -> int:
        """The most resident MB since it was last asked ``anew``."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        if anew:
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")
            return self.peak_memory()
        return int(line.split()[1]) // 1024


def framed(first: bytes, pieces: Iterable[bytes], *, chunked: bool) -> Iterator[bytes]:
    yield first
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
    if chunked:
        yield b"0\r\n\r\n"


def exchange(port: int, pieces: Iterable[bytes], timeout: float) -> Answer:
    """Send bytes for as long as they are taken, then read an answer."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # It may have answered all the same.
        found = http.client.HTTPResponse(connection)
        found.begin()
        content = found.read()
        return Answer(
            found.status, content, time.monotonic() - start, found.getheader("Retry-After")
        )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def launch(
    data: Path, *options: str, log: Path, prefix: tuple[str, ...] = (), **environment: str
) -> Server:
    """A process that may not answer yet."""
    port = free_port()
    command = [
        *prefix, sys.executable, "-m", "glossrank", "serve", "--port", str(port),
        "--data", str(data), *options,
    ]  # fmt: skip
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **environment}
        )
    return Server(process, port, log)


def wait(server: Server) -> None:
    """Until it answers.

    Raises:
        RuntimeError: it does not.
    """
    end = time.monotonic() + START_SECONDS
    while server.call("/health", timeout=5).status != 200:
        if server.process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the server does not start: {server.log.read_text()[-2000:]}")
        time.sleep(0.05)


@contextmanager
def serving(
    data: Path, *options: str, log: Path, prefix: tuple[str, ...] = (), **environment: str
) -> Iterator[Server]:
    """A server that answers; killed at the end if it has not ended."""
    server = launch(data, *options, log=log, prefix=prefix, **environment)
    try:
        wait(server)
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()


class Neighbour:
    """A normal client that asks all the time, and the longest that it waited."""

    def __init__(self, server: Server) -> None:
        self.worst = 0.0
        self.wrong: list[str] = []
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Neighbour:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._end.is_set():
            start = time.monotonic()
            answer = self._server.call("/rerank", RERANK, timeout=60)
            self.worst = max(self.worst, time.monotonic() - start)
            if answer.status != 200:
                self.wrong.append(str(answer))
            self._end.wait(0.1)

    def __str__(self) -> str:
        wrong = f", {len(self.wrong)} not answered ({self.wrong[0]})" if self.wrong else ""
        return f"others waited at most {self.worst:.1f} s{wrong}"
