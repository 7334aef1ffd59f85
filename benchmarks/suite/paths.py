"""Where the benchmark's files lie."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "benchmarks" / "peers"
RESULTS = ROOT / "benchmarks" / "results"
PEERS_BUILD = ROOT / "build" / "peers"
BENCH_BUILD = ROOT / "build" / "bench"
LARGE = ROOT / "datasets" / "finance-terms-large"
