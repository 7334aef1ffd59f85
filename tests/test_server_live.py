"""The server as a process: start, slow clients, many clients, SIGTERM, SIGKILL."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from glossrank.verdicts.models import ModelHistory
from glossrank.verdicts.store import VerdictStore
from tests.live_server import Server, running, until
from tests.postgresql import Cluster

BODY = {"query": "who owes us money?", "texts": ["Sums that customers owe.", "Import duties."]}
VERDICT = {"question": "who owes us?", "verdict": "none"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("live") / "data") as found:
        yield found


def test_many_clients_get_what_one_gets(server: Server) -> None:
    alone = server.call("/rerank", BODY)
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: server.call("/rerank", BODY), range(200)))
    assert {status for status, _ in answers} == {200}
    for _, ranks in answers:
        assert [rank["index"] for rank in ranks] == [rank["index"] for rank in alone[1]]
        for rank, expected in zip(ranks, alone[1], strict=True):
            assert rank["score"] == pytest.approx(expected["score"], abs=0.01)


def test_the_log_is_json_and_holds_no_question(server: Server) -> None:
    server.call("/v1/ask", {"question": "a very secret question"})

    def is_logged() -> bool:
        # After the answer, so not at once.
        lines = [line for line in server.log.read_text().splitlines() if line.startswith("{")]
        return any(json.loads(line).get("route") == "/v1/ask" for line in lines)

    until(is_logged, what="the request", log=server.log)
    assert "secret" not in server.log.read_text()


def test_questions_are_logged_if_somebody_wants_it(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--log-questions") as server:
        server.call("/v1/ask", {"question": "a very open question"})
        server.call("/rerank", {**BODY, "query": "another one"})
        text = server.log.read_text()
    entries = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    asked = [(one["route"], one["question"]) for one in entries if "question" in one]
    assert asked == [("/v1/ask", "a very open question"), ("/rerank", "another one")]


SLOW = (
    b"",
    b"POST /rerank HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\nX: ",
)


def test_clients_that_send_nothing_are_let_go(server: Server) -> None:
    address = "127.0.0.1", server.port
    with ExitStack() as stack:
        start = time.monotonic()
        for sent in SLOW:
            connection = stack.enter_context(socket.create_connection(address, timeout=30))
            connection.sendall(sent)
            stack.callback(wait_for_end, connection)
    # Closed, or answered with an error and closed; all of them at the same time.
    assert time.monotonic() - start < 20
    assert server.call("/rerank", BODY)[0] == 200


def wait_for_end(connection: socket.socket) -> None:
    while connection.recv(1000):
        pass


def test_a_body_that_does_not_end_is_answered(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", "/rerank")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"{")
    assert connection.getresponse().status == 408
    connection.close()


def test_a_body_of_50_mb_is_refused(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", "/rerank")
    connection.putheader("Content-Length", str(50_000_000))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert "at most" in json.loads(answer.read())["error"]
    connection.close()


def test_a_client_that_leaves_frees_its_work(server: Server) -> None:
    body = json.dumps({"query": "a", "texts": ["the weather was fine " * 200] * 2000}).encode()
    leaving = socket.create_connection(("127.0.0.1", server.port))
    head = f"POST /rerank HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    leaving.sendall(head.encode() + body)
    time.sleep(1)
    leaving.close()
    # 2,000 long texts take many seconds; this one does not wait for them.
    start = time.monotonic()
    assert server.call("/rerank", BODY)[0] == 200
    assert time.monotonic() - start < 5


def test_a_client_that_leaves_in_the_middle_of_an_upload_is_no_fault(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = b"PUT /v1/glossaries/shop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head + b"term,")
        time.sleep(0.2)
    until(lambda: '"status": 499' in server.log.read_text(), what="the end", log=server.log)
    assert "raceback" not in server.log.read_text()


def test_sigterm_answers_what_was_begun(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        body = {"query": "a", "texts": ["the weather was fine " * 50] * 300}
        answers: list[tuple[int, Any]] = []
        asking = threading.Thread(target=lambda: answers.append(server.call("/rerank", body)))
        asking.start()
        until(
            lambda: b"glossrank_requests_running 1.0" in metrics(server),
            what="work",
            log=server.log,
        )
        server.process.send_signal(signal.SIGTERM)
        asking.join()
        assert answers[0][0] == 200
        assert len(answers[0][1]) == 300
        assert server.process.wait(timeout=20) == 0


def metrics(server: Server) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        content: bytes = answer.read()
        return content


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_sigkill_loses_no_acknowledged_verdict(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """``benchmarks/faults.py`` does the same a hundred times."""
    options: list[str] = []
    url = f"sqlite:///{tmp_path / 'data' / 'verdicts.sqlite'}"
    if kind == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.run("DROP DATABASE IF EXISTS killed", "CREATE DATABASE killed")
        url = cluster.url(name="killed")
        options = ["--database", url]
    acknowledged: list[str] = []
    with running(tmp_path / "data", *options) as server:

        def judge(_: int) -> None:
            while server.process.poll() is None:
                try:
                    status, verdict = server.call("/v1/verdicts", VERDICT)
                except (OSError, http.client.HTTPException):
                    return
                if status == 201:
                    acknowledged.append(verdict["id"])

        with ThreadPoolExecutor(8) as pool:
            clients = [pool.submit(judge, at) for at in range(8)]
            until(lambda: len(acknowledged) > 50, what="verdicts", log=server.log)
            os.kill(server.process.pid, signal.SIGKILL)
            for client in clients:
                client.result()
    store = VerdictStore(url)
    assert {one.id for one in store.read()} >= set(acknowledged)
    store.close()


def test_another_model_is_taken_while_the_server_runs(tmp_path: Path, tiny_model: Path) -> None:
    with running(tmp_path / "data") as server:
        question = {"question": "who owes us money?"}
        before = server.call("/v1/ask", question)
        history = ModelHistory(tmp_path / "data" / "models")
        history.folder.mkdir(parents=True)
        (history.folder / "next").symlink_to(tiny_model)
        history.take_in(history.folder / "next")
        until(
            lambda: server.call("/info")[1]["model_id"] == "0001",
            what="the new model",
            log=server.log,
        )
        after = server.call("/v1/ask", question)
        assert after[1]["model"] == "0001"
        assert after[1]["answers"] != before[1]["answers"]
        history.take_back()
        until(
            lambda: server.call("/info")[1]["model_id"] == "finance-terms",
            what="the old one",
            log=server.log,
        )
        assert server.call("/v1/ask", question) == before
