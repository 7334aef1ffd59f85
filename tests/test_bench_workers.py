from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from suite.failures import PeerError  # noqa: E402
from suite.paths import PEERS  # noqa: E402
from suite.workers import Worker  # noqa: E402

GROUPS = [["q", ["a", "bbb"]], ["r", ["cc"]]]
RUNNERS = {"PYTHONPATH": str(ROOT / "tests")}


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    started = start("bench_runners", tmp_path)
    yield started
    started.stop()


def start(runner: str, folder: Path) -> Worker:
    command = [sys.executable, str(PEERS / "start.py"), runner]
    return Worker(command, log=folder / "log", env=dict(os.environ) | RUNNERS)


def load(worker: Worker, **options: Any) -> dict[str, Any]:
    return worker.ask("load", model="nowhere", options=options)


@pytest.fixture
def groups(tmp_path: Path) -> str:
    file = tmp_path / "groups.json"
    file.write_text(json.dumps(GROUPS))
    return str(file)


def test_scores_come_back_in_order(worker: Worker, groups: str, tmp_path: Path) -> None:
    reply = load(worker)
    assert reply["versions"] == {"numpy": np.__version__, "no-such-package": "not installed"}
    file = tmp_path / "scores.npy"
    assert worker.ask("score", groups=groups, scores=str(file))["seconds"] >= 0
    scores = np.load(file)
    assert scores.dtype == np.float32
    assert scores.tolist() == [-1, -3, -2]
    assert "libraries print" in (tmp_path / "log").read_text()


def test_latency_is_one_call_a_group(worker: Worker, groups: str) -> None:
    load(worker)
    assert len(worker.ask("latency", groups=groups)["seconds"]) == 2


def test_a_file_is_scored_in_chunks(worker: Worker, tmp_path: Path) -> None:
    texts = [("q" * (1 + row // 4), "x" * row) for row in range(10)]
    columns = {"question": [q for q, _ in texts], "document": [d for _, d in texts]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "pairs.parquet")
    load(worker, sleep=0.5)
    seen = []
    reply = worker.ask(
        "stream",
        every_second=lambda: seen.append(worker.rss()),
        parquet=str(tmp_path / "pairs.parquet"),
        rows=4,
        scores=str(tmp_path / "scores.npy"),
    )
    assert [rows for rows, _ in reply["chunks"]] == [4, 4, 2]
    assert np.load(tmp_path / "scores.npy").tolist() == [-row for row in range(10)]
    assert seen
    assert min(seen) > 1e6


def test_memory_and_cpu_time_are_the_processes_own(worker: Worker) -> None:
    load(worker)
    memory = worker.ask("memory")
    assert 1e6 < memory["rss"] <= memory["peak"]
    assert worker.cpu_seconds() > 0
    worker.stop()
    assert worker.rss() == 0


def test_a_request_that_fails_leaves_the_worker_alive(worker: Worker, groups: str) -> None:
    with pytest.raises(PeerError, match=r"^RuntimeError: nothing is loaded$"):
        worker.ask("score", groups=groups, scores="")
    with pytest.raises(PeerError, match=r"^OSError: no weights$"):
        load(worker, load="no weights")
    load(worker, raises_at=3)
    with pytest.raises(PeerError, match=r"^ValueError: no such shape; and more$"):
        worker.ask("latency", groups=write_group(groups, 3))
    load(worker)
    assert worker.ask("latency", groups=groups)["seconds"]


def write_group(beside: str, documents: int) -> str:
    file = Path(beside).with_name("one.json")
    file.write_text(json.dumps([["q", ["d"] * documents]]))
    return str(file)


def test_a_worker_that_dies_tells_how(worker: Worker, groups: str) -> None:
    load(worker, dies_at=2)
    with pytest.raises(PeerError, match=r"ended \(exit status 3\): out of something$"):
        worker.ask("latency", groups=groups)
    with pytest.raises(PeerError, match="ended"):
        worker.ask("memory")


def test_a_runner_that_cannot_be_imported_says_so(tmp_path: Path) -> None:
    started = start("no_such_runner", tmp_path)
    try:
        with pytest.raises(
            PeerError, match="ModuleNotFoundError: No module named 'no_such_runner'"
        ):
            load(started)
    finally:
        started.stop()


def test_a_request_does_not_take_for_ever(worker: Worker, groups: str) -> None:
    load(worker, sleep=60)
    with pytest.raises(PeerError, match="no answer to 'latency' in 0 s"):
        worker.ask("latency", groups=groups, limit=0.2)
