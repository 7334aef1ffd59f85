"""A server in a process of its own, for tests."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START = 60.0


class Server:
    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def call(self, path: str, body: Any = None, *, timeout: float = 60) -> tuple[int, Any]:
        """Status and JSON."""
        # Not urllib's: that leaves a socket open where the server is killed while it writes.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            content = None if body is None else json.dumps(body).encode()
            method = "GET" if body is None else "POST"
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            found = answer.read()
            return answer.status, json.loads(found) if found else None
        finally:
            connection.close()


@contextmanager
def running(data: Path, *options: str) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = data.parent / f"{data.name}.log"
    command = [sys.executable, "-m", "glossrank", "serve", "--port", str(port), "--data", str(data)]
    with log.open("ab") as output:
        process = subprocess.Popen([*command, *options], stdout=output, stderr=output)
    server = Server(process, port, log)
    try:
        until(lambda: healthy(server), what="the server to start", log=log)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def healthy(server: Server) -> bool:
    assert server.process.poll() is None, server.log.read_text()
    try:
        return server.call("/health")[0] == 200
    except OSError:
        return False


def until(true: Callable[[], bool], *, what: str, log: Path) -> None:
    end = time.monotonic() + START
    while not true():
        assert time.monotonic() < end, f"waited for {what}: {log.read_text()}"
        time.sleep(0.05)
