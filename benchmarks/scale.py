"""Glossaries from hundreds to a hundred thousand terms: load, index, memory, time of a question.

    python benchmarks/scale.py shipped FILE.jsonl ...

Each glossary is measured in a process of its own, one after the other; nothing else should run.
The questions are those of ``benchmarks/questions`` where a file has the glossary's name, else the
shipped test questions.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

QUESTIONS = Path(__file__).parent / "questions"
COUNT = 100
SHIPPED = "shipped"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("glossaries", nargs="+", help="'shipped' or a file")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.glossaries[0], options.precision)))
        return
    rows = []
    for glossary in options.glossaries:
        command = [sys.executable, __file__, glossary, "--one", "--precision", options.precision]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], file=sys.stderr)
    print("| glossary | terms | read | load s | ready s | peak MB | p50 s | p95 s |")
    print("|:--|--:|--:|--:|--:|--:|--:|--:|")
    for row in rows:
        print(
            f"| {row['glossary']} | {row['terms']:,} | {row['scored']} | {row['load']:.2f} "
            f"| {row['ready']:.2f} | {row['peak']:.0f} | {row['p50']:.3f} | {row['p95']:.3f} |"
        )


def measure(source: str, precision: str) -> dict[str, Any]:
    # Here, so that the parent that starts the others loads no engine.
    from glossrank import CrossEncoder, Glossary
    from glossrank.glossary import FINANCE_TERMS

    start = time.perf_counter()
    glossary = Glossary.load(None if source == SHIPPED else source)
    loaded = time.perf_counter()
    searcher = glossary.searcher(CrossEncoder("finance-terms", precision=precision))  # type: ignore[arg-type]
    searcher.prepare()
    ready = time.perf_counter()
    name = Path(source).stem
    file = QUESTIONS / f"{name}.jsonl"
    if not file.is_file():
        file = FINANCE_TERMS / "test.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()[:COUNT]
    questions = [json.loads(line)["question"] for line in lines]
    for question in questions[:3]:
        searcher.search(question)
    times, scored = [], []
    for question in questions:
        before = time.perf_counter()
        scored.append(searcher.search(question).scored)
        times.append(time.perf_counter() - before)
    return {
        "glossary": name,
        "terms": len(glossary),
        "scored": round(sum(scored) / len(scored)),
        "load": loaded - start,
        "ready": ready - loaded,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "p50": median(times),
        "p95": quantiles(times, n=20)[-1],
        "precision": searcher.model.precision,
        "cpus": os.cpu_count(),
    }


if __name__ == "__main__":
    main()
