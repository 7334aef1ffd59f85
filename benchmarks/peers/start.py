"""The worker process of one contender: requests on stdin, replies on stdout, a JSON object a line.

    PYTHON start.py RUNNER

RUNNER is a module of this folder with ``PACKAGES``, whose versions are reported, and
``load(model, options)``, which gives a function from groups to logits: groups are
``[(query, [document, ...]), ...]``, logits fp32 ``[pairs]`` before any activation, group by group.

    load     {"model": folder, "options": {...}}             {"seconds", "versions"}
    score    {"groups": file, "scores": file}                {"seconds"}
    latency  {"groups": file}                                {"seconds": [one a group]}
    stream   {"parquet": file, "rows": n, "scores": file}    {"chunks": [[rows, seconds], ...]}
    memory   {}                                              {"rss", "peak"}, bytes
    quit     {}

Every reply has ``ok``; a request that fails is answered with ``reason``, and the worker lives
on. Files of groups are JSON, of scores ``.npy``; reading and writing them is not timed. Between
requests the process waits on stdin, so an idle contender uses no CPU.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Groups = list[tuple[str, list[str]]]
Scorer = Callable[[Groups], Any]
Load = Callable[[str, dict[str, Any]], Scorer]
STATUS = Path("/proc/self/status")


class Worker:
    """What one process keeps between requests: the loaded contender."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._score: Scorer | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request.

        Raises:
            Exception: whatever the contender raises.
        """
        kind = request["do"]
        if kind == "load":
            return self._load(request)
        if kind == "memory":
            return memory()
        if self._score is None:
            raise RuntimeError("nothing is loaded")
        if kind == "score":
            seconds, scores = timed(self._score, read_groups(request["groups"]))
            save(request["scores"], scores)
            return {"seconds": seconds}
        if kind == "latency":
            groups = read_groups(request["groups"])
            return {"seconds": [timed(self._score, [group])[0] for group in groups]}
        if kind == "stream":
            return self._stream(self._score, request)
        raise ValueError(f"no request {kind!r}")

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        start = time.perf_counter()
        self._score = self._runner.load(request["model"], request["options"])
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "versions": versions(self._runner.PACKAGES)}

    def _stream(self, score: Scorer, request: dict[str, Any]) -> dict[str, Any]:
        chunks, parts = [], []
        for groups in parquet_groups(request["parquet"], request["rows"]):
            seconds, scores = timed(score, groups)
            chunks.append([len(scores), seconds])
            parts.extend(scores)
        save(request["scores"], parts)
        return {"chunks": chunks}


def timed(score: Scorer, groups: Groups) -> tuple[float, Any]:
    """Seconds, and the logits of all pairs."""
    start = time.perf_counter()
    scores = score(groups)
    return time.perf_counter() - start, scores


def read_groups(file: str) -> Groups:
    content = json.loads(Path(file).read_text(encoding="utf-8"))
    return [(query, documents) for query, documents in content]


def parquet_groups(file: str, rows: int) -> Iterator[Groups]:
    """Chunks of the columns ``question`` and ``document``; equal neighbouring questions are a group."""
    from pyarrow.parquet import ParquetFile

    for batch in ParquetFile(file).iter_batches(rows, columns=["question", "document"]):
        groups: Groups = []
        for question, document in zip(*(column.to_pylist() for column in batch), strict=True):
            if not groups or groups[-1][0] != question:
                groups.append((question, []))
            groups[-1][1].append(document)
        yield groups


def save(file: str, scores: Any) -> None:
    # Here, since a contender's process should hold nothing at its start that it would not.
    import numpy as np

    np.save(file, np.asarray(scores, dtype=np.float32).reshape(-1))


def memory() -> dict[str, Any]:
    """Bytes of this process in memory, now and at most so far, as the kernel counts them."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text(encoding="utf-8").splitlines())
    return {
        "rss": int(lines["VmRSS"].split()[0]) * 1024,
        "peak": int(lines["VmHWM"].split()[0]) * 1024,
    }


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def main(runner_name: str) -> None:
    # Libraries print; what they print must not stand between the replies.
    replies = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    worker: Worker | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "quit":
            break
        try:
            # Loaded with the first request, so that a failing import is a reply like any other.
            worker = worker or Worker(importlib.import_module(runner_name))
            reply = {"ok": True, **worker.answer(request)}
        except Exception as error:
            traceback.print_exc()
            reply = {"ok": False, "reason": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
