"""Speed beside sentence-transformers, same weights, same pairs, one run.

    make bench

Three workloads: 12 questions against 100 definitions (pairs a second), one question against
100 definitions (median seconds), and loading the model in a fresh process up to its first
score (median seconds). The contenders take turns, round by round, so that a drift of the
machine meets all of them; medians are shown. Before any figure the rankings are compared
with sentence-transformers' own in fp32. The last line of stdout is the result as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import sentence_transformers
import torch
from numpy.typing import NDArray

from glossrank import CrossEncoder, Glossary
from glossrank.engines.openvino import cpu_has_bf16
from glossrank.glossary import FINANCE_TERMS
from glossrank.judgments import read_questions
from glossrank.model_names import DEFAULT_MODEL, PACKAGED_MODELS

QUESTIONS, DOCUMENTS = 12, 100
Scorer = Callable[[list[tuple[str, str]]], NDArray[np.float32]]

_LOAD = {
    "sentence-transformers, torch fp32 (its default)": (
        "from sentence_transformers import CrossEncoder; "
        "CrossEncoder({path!r}, device='cpu').predict([('a', 'b')])"
    ),
    "glossrank fp32": (
        "from glossrank import CrossEncoder; CrossEncoder({path!r}, precision='fp32').predict([('a', 'b')])"
    ),
    "glossrank bf16": (
        "from glossrank import CrossEncoder; CrossEncoder({path!r}, precision='bf16').predict([('a', 'b')])"
    ),
}


def processor() -> str:
    """The CPU's name and what matters of its features."""
    name = platform.processor() or platform.machine()
    flags: list[str] = []
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.split(":")[1].strip()
        if line.startswith("flags"):
            flags = line.split()
    features = [
        f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16") if f in flags
    ]
    return f"{name}, {os.cpu_count()} cores, {' '.join(features)}"


def contenders(path: Path) -> dict[str, Scorer]:
    """Every way of scoring that is compared, the default of the field first."""

    def theirs(dtype: torch.dtype) -> Scorer:
        model = sentence_transformers.CrossEncoder(
            str(path), device="cpu", model_kwargs={"dtype": dtype}
        )
        return lambda pairs: np.asarray(model.predict(pairs, show_progress_bar=False))

    return {
        "sentence-transformers, torch fp32 (its default)": theirs(torch.float32),
        "sentence-transformers, torch bf16": theirs(torch.bfloat16),
        "glossrank fp32": CrossEncoder(path, precision="fp32").predict,
        "glossrank bf16": CrossEncoder(path, precision="bf16").predict,
    }


def timed(scorer: Scorer, pairs: list[tuple[str, str]]) -> float:
    start = time.perf_counter()
    scorer(pairs)
    return time.perf_counter() - start


def agreement(scores: NDArray[np.float32], exact: NDArray[np.float32]) -> tuple[float, float]:
    """Share of questions with the same top 10 in the same order; largest difference."""
    tops = [np.argsort(-s, axis=1, kind="stable")[:, :10] for s in (scores, exact)]
    return float((tops[0] == tops[1]).all(axis=1).mean()), float(np.abs(scores - exact).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=PACKAGED_MODELS / DEFAULT_MODEL)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    glossary = Glossary.load()
    questions = [
        q.question for q in read_questions(FINANCE_TERMS / "test.jsonl", glossary)[:QUESTIONS]
    ]
    documents = [term.document for term in glossary.terms][:DOCUMENTS]
    many = [(q, d) for q in questions for d in documents]
    one = many[:DOCUMENTS]
    scorers = contenders(options.model)
    exact = None
    result: dict[str, dict[str, float]] = {}
    for name, scorer in scorers.items():
        scores = np.asarray(scorer(many), dtype=np.float32).reshape(QUESTIONS, DOCUMENTS)
        exact = scores if exact is None else exact
        same, difference = agreement(scores, exact)
        result[name] = {"same_top_10": same, "largest_difference": difference}
        if "fp32" in name and difference > 1e-4:
            raise SystemExit(f"{name} differs by {difference} from the fp32 reference")
    seconds: dict[str, dict[str, list[float]]] = {
        name: {"many": [], "one": [], "load": []} for name in scorers
    }
    for number in range(options.rounds):
        for name, scorer in scorers.items():
            seconds[name]["many"].append(timed(scorer, many))
            seconds[name]["one"].append(timed(scorer, one))
            if name in _LOAD and number < 5:
                command = _LOAD[name].format(path=str(options.model))
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", command], check=True, capture_output=True)
                seconds[name]["load"].append(time.perf_counter() - start)
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    first = next(iter(scorers))
    base = statistics.median(seconds[first]["many"])
    machine = f"{processor()}; bf16 in hardware: {'yes' if cpu_has_bf16() else 'no'}"
    libraries = ", ".join(
        f"{p} {version(p)}" for p in ("sentence-transformers", "torch", "openvino")
    )
    print(f"{machine}\n{libraries}, {options.rounds} rounds, medians\n")
    print(
        "| | pairs/s (range) | against the default | one question, 100 definitions | process start to first score | same top 10 | largest difference |"
    )
    print("|:--|--:|--:|--:|--:|--:|--:|")
    for name, runs in seconds.items():
        row = result[name]
        rates = sorted(len(many) / s for s in runs["many"])
        row["pairs_per_second"] = statistics.median(rates)
        row["speedup"] = base / statistics.median(runs["many"])
        row["one_question_seconds"] = statistics.median(runs["one"])
        load = f"{statistics.median(runs['load']):.2f} s" if runs["load"] else ""
        if runs["load"]:
            row["load_seconds"] = statistics.median(runs["load"])
        print(
            f"| {name} | {row['pairs_per_second']:.0f} ({rates[0]:.0f} to {rates[-1]:.0f}) "
            f"| {row['speedup']:.2f}x | {row['one_question_seconds'] * 1000:.0f} ms | {load} "
            f"| {row['same_top_10']:.1%} | {row['largest_difference']:.1e} |"
        )
    print(json.dumps({"machine": machine, "libraries": libraries, "result": result}))


if __name__ == "__main__":
    main()
