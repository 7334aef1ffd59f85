"""Many clients on loopback: `glossrank serve` beside a plain FastAPI + sentence-transformers server.

    python benchmarks/serve_load.py                      # 64 clients, 60 s, both servers
    python benchmarks/serve_load.py --seconds 600 --only glossrank     # whether memory is flat

Each client sends its next request once the one before is answered: a question of the shipped test
questions and 1 to 100 definitions, most of them few, always the same for both servers. Clients that
are told 429 wait as long as they are told. Servers take turns; nothing else should run. The last
line of stdout is the result as JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glossrank import Glossary
from glossrank.glossary import FINANCE_TERMS
from glossrank.judgments import read_questions
from glossrank.model_names import DEFAULT_MODEL, find_folder
from suite.machine import describe

ROOT = Path(__file__).parent
MOST_DOCUMENTS = 100
START_SECONDS = 120
SERVERS = {
    "glossrank": [],
    "glossrank fp32": ["--precision", "fp32"],
    "glossrank int8": ["--precision", "int8"],
    "sentence-transformers": [],
    "sentence-transformers bf16": ["bfloat16"],
}
"""Contenders, with what their command gets more."""


@dataclass
class Seen:
    """What clients saw: seconds and pairs of each answered request, and counts of the rest."""

    seconds: list[float] = field(default_factory=list)
    pairs: int = 0
    refused: int = 0
    errors: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


def command(server: str, port: int, folder: Path) -> list[str]:
    if server.startswith("glossrank"):
        serve = ["-m", "glossrank", "serve", "--port", str(port), "--data", str(folder)]
    else:
        script = ROOT / "peers" / "serve_sentence_transformers.py"
        serve = [str(script), str(find_folder(DEFAULT_MODEL)), str(port)]
    return [sys.executable, *serve, *SERVERS[server]]


def bodies(client: int, questions: list[str], documents: list[str]) -> Any:
    """The requests of a client, without end."""
    draw = random.Random(client)
    while True:
        count = round(math.exp(draw.uniform(0, math.log(MOST_DOCUMENTS))))
        texts = draw.sample(documents, count)
        yield count, json.dumps({"query": draw.choice(questions), "texts": texts}).encode()


def ask(port: int, requests: Any, end: float, seen: Seen, lock: threading.Lock) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    for count, body in requests:
        while True:
            start = time.monotonic()
            if start >= end:
                connection.close()
                return
            try:
                connection.request("POST", "/rerank", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                content = json.loads(answer.read())
            except (OSError, ValueError, http.client.HTTPException) as error:
                with lock:
                    seen.errors.append(repr(error))
                connection.close()
                # A server that is gone must not be asked a thousand times a second.
                time.sleep(0.1)
                continue
            taken = time.monotonic() - start
            with lock:
                if answer.status == 200 and len(content) == count:
                    seen.seconds.append(taken)
                    seen.pairs += count
                    break
                if answer.status == 429:
                    seen.refused += 1
                else:
                    seen.errors.append(f"{answer.status}: {str(content)[:200]}")
            time.sleep(float(answer.headers.get("Retry-After", 0)))


def rss(process: int) -> int:
    """Resident bytes."""
    fields = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096


def load(server: str, clients: int, seconds: float) -> dict[str, Any]:
    """One server under load, from its start to its end."""
    glossary = Glossary.load()
    questions = [q.question for q in read_questions(FINANCE_TERMS / "test.jsonl", glossary)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        process = subprocess.Popen(command(server, port, Path(folder)), stdout=log, stderr=log)
        try:
            wait_for(port, process)
            seen, lock = Seen(), threading.Lock()
            # Warm: shapes are prepared, caches filled.
            run(port, clients, 5, questions, glossary.documents, Seen(), lock)
            start = time.monotonic()
            watching = threading.Thread(
                target=watch, args=(process.pid, start + seconds, seen.memory), daemon=True
            )
            watching.start()
            run(port, clients, seconds, questions, glossary.documents, seen, lock)
            taken = time.monotonic() - start
            watching.join()
        finally:
            process.terminate()
            process.wait()
    return summary(seen, taken)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            if time.monotonic() > end or process.poll() is not None:
                raise
            time.sleep(0.2)


def run(
    port: int,
    clients: int,
    seconds: float,
    questions: list[str],
    documents: Any,
    seen: Seen,
    lock: threading.Lock,
) -> None:
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(
            target=ask, args=(port, bodies(at, questions, list(documents)), end, seen, lock)
        )
        for at in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def watch(process: int, end: float, memory: list[int]) -> None:
    while time.monotonic() < end:
        memory.append(rss(process))
        time.sleep(1)


def summary(seen: Seen, taken: float) -> dict[str, Any]:
    late = np.percentile(seen.seconds, [50, 95, 99]) if seen.seconds else [math.nan] * 3
    later = seen.memory[len(seen.memory) // 10 :] or [0]
    return {
        "requests": len(seen.seconds),
        "requests_per_second": len(seen.seconds) / taken,
        "pairs_per_second": seen.pairs / taken,
        "p50": late[0],
        "p95": late[1],
        "p99": late[2],
        "refused": seen.refused,
        "errors": seen.errors[:5],
        "error_count": len(seen.errors),
        "memory_mb": [min(later) / 2**20, max(later) / 2**20],
        "memory_mb_by_tenth": [
            round(float(np.median(tenth)) / 2**20)
            for tenth in np.array_split(seen.memory, 10)
            if len(tenth)
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=SERVERS, nargs="+")
    options = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(options.rounds):
        for server in options.only or SERVERS:
            one = load(server, options.clients, options.seconds)
            found.setdefault(server, []).append(one)
            print(f"{server}: {one}", file=sys.stderr, flush=True)
    print(f"{options.clients} clients, {options.seconds:g} s, {options.rounds} rounds\n")
    print("| server | requests/s | pairs/s | p50 | p95 | p99 | refused | errors | MB |")
    print("|:--|--:|--:|--:|--:|--:|--:|--:|--:|")
    for server, rounds in found.items():
        cells = [f"{np.median([r[name] for r in rounds]):.1f}" for name in ("requests_per_second", "pairs_per_second")]  # fmt: skip
        cells += [f"{np.median([r[name] for r in rounds]):.3f} s" for name in ("p50", "p95", "p99")]
        cells += [str(sum(r[name] for r in rounds)) for name in ("refused", "error_count")]
        cells.append(" to ".join(f"{value:.0f}" for value in rounds[-1]["memory_mb"]))
        print(f"| {server} | " + " | ".join(cells) + " |")
    print(json.dumps({"machine": describe(), "results": found}))


if __name__ == "__main__":
    main()
