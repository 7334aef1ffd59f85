"""Clients that are slow, leave, or do not speak HTTP; and SIGTERM."""

from __future__ import annotations

import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from fault_injection.outcomes import Outcomes
from fault_injection.process import RERANK, Answer, Neighbour, Server, serving

SLOW = 200
LONGEST_WAIT = 5.0
HEAD = b"POST /rerank HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WHOLE = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"\0" * 100_000,
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET\r\n\r\n",
    b"G" * 200_000,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % at for at in range(20_000)) + b"\r\n",
    HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://example.com/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
)


def connect(server: Server, timeout: float = 60) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=timeout)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except (ConnectionResetError, BrokenPipeError):
        pass
    return found


def add(server: Server, outcomes: Outcomes, fault: str, found: str, good: bool) -> None:
    trouble = server.trouble()
    outcomes.add(fault, f"{found} {trouble}".strip(), good and not trouble)


def slow_loris(server: Server, outcomes: Outcomes) -> None:
    """A byte of a header a second, on new connections and after a first request."""
    for after_one, kind in ((False, "new"), (True, "that have asked before")):
        connections = [connect(server) for _ in range(SLOW)]
        for connection in connections:
            if after_one:
                connection.sendall(WHOLE)
                connection.recv(65536)
            connection.sendall(HEAD + b"X: ")
        start = time.monotonic()
        open_ones = list(connections)
        with Neighbour(server) as neighbour:
            while open_ones and time.monotonic() - start < 40:
                open_ones = [one for one in open_ones if _takes(one, b"a")]
                time.sleep(1)
        seconds = time.monotonic() - start
        for connection in connections:
            connection.close()
        found = f"{neighbour}; {len(open_ones)} open after {seconds:.0f} s"
        good = not open_ones and neighbour.worst < LONGEST_WAIT and not neighbour.wrong
        add(server, outcomes, f"{SLOW} connections, {kind}, that send a header's byte a second", found, good)  # fmt: skip


def _takes(connection: socket.socket, piece: bytes) -> bool:
    try:
        connection.sendall(piece)
    except OSError:
        return False
    return True


def slow_reader(server: Server, outcomes: Outcomes) -> None:
    """Answers of 9 MB of which nothing is read."""
    rows = "".join(f"term {at},{'what it is called. ' * 240}\n" for at in range(2_000))
    stored = server.send("PUT", "/v1/glossaries/long", f"term,definition\n{rows}".encode())
    request = b"GET /v1/glossaries/long HTTP/1.1\r\nHost: localhost\r\n\r\n"
    connections = []
    for _ in range(3):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(request)
        connections.append(connection)
    start = time.monotonic()
    seen = 0
    with Neighbour(server) as neighbour:
        while (left := _unread(server, connections)) or seen < len(connections):
            seen = max(seen, left)
            if time.monotonic() > start + 120:
                break
            time.sleep(0.5)
    seconds = time.monotonic() - start
    for connection in connections:
        connection.close()
    found = f"{seen} answers were waiting, {left} after {seconds:.0f} s; {neighbour}"
    good = stored.status == 200 and seen == len(connections) and left == 0
    good = good and neighbour.worst < LONGEST_WAIT and not neighbour.wrong
    add(server, outcomes, "3 clients that never read an answer of 9 MB", found, good)


def _unread(server: Server, connections: list[socket.socket]) -> int:
    """Of how many of these the server still has something to send."""
    lines = Path(f"/proc/{server.process.pid}/net/tcp").read_text(encoding="ascii").splitlines()
    ports = {f"{connection.getsockname()[1]:04X}" for connection in connections}
    fields = [line.split() for line in lines[1:]]
    # A set: read while the table changes, a line can come twice.
    return len(
        {
            f[2]
            for f in fields
            # To one of their ports, established, with bytes in the queue.
            if f[2].rpartition(":")[2] in ports and f[3] == "01" and f[4][:8] != "00000000"
        }
    )


def leavers(server: Server, outcomes: Outcomes) -> None:
    """Clients that go in the middle of a body, or before their answer."""
    paths = (b"POST /rerank", b"POST /v1/ask", b"POST /v1/verdicts", b"POST /v1/lint", b"PUT /v1/glossaries/shop")  # fmt: skip
    for path in paths:
        for framing in (
            b"Content-Length: 1000\r\n\r\n{",
            b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        ):
            with connect(server) as connection:
                connection.sendall(path + b" HTTP/1.1\r\nHost: localhost\r\n" + framing)
                time.sleep(0.1)
    body = json.dumps(RERANK).encode()
    for _ in range(50):
        with connect(server) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    time.sleep(1)
    add(server, outcomes, "clients that leave in the middle of a body or before the answer", "goes on", True)  # fmt: skip


def garbage(server: Server, outcomes: Outcomes) -> None:
    """What is no HTTP, or not quite."""
    starts = []
    for content in GARBAGE:
        with connect(server, timeout=30) as connection:
            _takes(connection, content)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            starts.append(rest(connection)[9:12].decode() or "closed")
    found = f"{len(GARBAGE)} kinds: {', '.join(sorted(set(starts)))}"
    add(server, outcomes, "TLS, HTTP/2, NUL, endless lines, contradicting lengths, WebSocket, CONNECT", found, not any(s.startswith("5") for s in starts))  # fmt: skip


def pipelined(server: Server, outcomes: Outcomes) -> None:
    """All requests sent before the first answer is read; answers must come in their order."""
    requests = b""
    for count in (3, 1, 2) * 10:
        body = json.dumps({"query": "a", "texts": ["b"] * count}).encode()
        requests += HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    requests += WHOLE.replace(b"Host: localhost", b"Host: localhost\r\nConnection: close")
    with connect(server) as connection:
        connection.sendall(requests)
        answers = rest(connection).split(b"HTTP/1.1 ")[1:]
    counts = [answer.count(b'"index"') for answer in answers]
    good = counts == [3, 1, 2] * 10 + [0] and all(a.startswith(b"200") for a in answers)
    add(server, outcomes, "31 pipelined requests", f"{len(answers)} answers, {'in order' if good else counts}", good)  # fmt: skip


def terminated(folder: Path, outcomes: Outcomes) -> None:
    """SIGTERM while requests wait: those are answered, and the server ends with 0."""
    for count, idle in ((8, 0), (1, 50)):
        with serving(folder / "terminated", log=folder / "terminated.log") as server:
            answers, code, seconds = _terminate(server, count, idle)
            log = server.log.read_text()
        statuses = [answer.status for answer in answers]
        found = f"{statuses.count(200)} of {count} answered, exit code {code} after {seconds:.1f} s"
        good = statuses == [200] * count and code == 0 and "raceback" not in log
        fault = f"SIGTERM while {count} requests are at work, {idle} connections idle"
        outcomes.add(fault, found, good)


def _terminate(server: Server, count: int, idle: int) -> tuple[list[Answer], int, float]:
    body = {"query": "a", "texts": ["the weather was fine " * 50] * 10}
    waiting = [connect(server) for _ in range(idle)]
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(server.call, "/rerank", body) for _ in range(count)]
        while b"glossrank_requests_running %d.0" % count not in server.call("/metrics").content:
            time.sleep(0.01)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(timeout=60)
        seconds = time.monotonic() - start
        answers = [one.result() for one in asked]
    for connection in waiting:
        connection.close()
    return answers, code, seconds


ALL = (pipelined, garbage, leavers, slow_loris, slow_reader)
