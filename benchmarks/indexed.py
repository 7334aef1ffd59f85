"""Definitions computed ahead: what it gains and what it costs, beside the full model.

    python benchmarks/indexed.py
    python benchmarks/indexed.py build/other-indexed --every 1

Dev questions of finance-terms-large against its 576 terms: nDCG@10 as ``ask`` orders (logit, cosine
and names), alone and as the first stage of the full model, with the time of a search. Then times
for other glossaries. The ways take turns, question by question; medians. Nothing else should run.
The last line of stdout is the result as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glossrank import CrossEncoder, Glossary
from glossrank.evaluation import per_question
from glossrank.judgments import JudgedQuestion, part_of, read_questions
from glossrank.model_names import DEFAULT_MODEL, INDEXED_MODEL
from glossrank.search import Searcher
from suite.machine import describe

LARGE = Path(__file__).parent.parent / "datasets" / "finance-terms-large"
TIMED = 24


def searchers(glossary: Glossary, models: Sequence[str]) -> dict[str, Searcher]:
    """Every way of searching that is compared, the full model alone first."""
    full = CrossEncoder(DEFAULT_MODEL)
    ways = {f"{DEFAULT_MODEL} ({full.precision})": Searcher(glossary, full)}
    for name in models:
        indexed = CrossEncoder(name)
        ways[f"{Path(name).name}, then the best by {DEFAULT_MODEL}"] = Searcher(
            glossary, full, first_stage=indexed
        )
        ways[f"{Path(name).name} alone"] = Searcher(glossary, indexed)
    int8 = CrossEncoder(models[0], precision="int8")
    ways[f"{Path(models[0]).name} in int8, then the best by {DEFAULT_MODEL}"] = Searcher(
        glossary, full, first_stage=int8
    )
    return ways


def quality(
    ways: dict[str, Searcher], questions: Sequence[JudgedQuestion]
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """nDCG@10 of each way, and the seconds of each search."""
    scores: dict[str, list[Any]] = {name: [] for name in ways}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for question in questions:
        for name, searcher in ways.items():
            start = time.perf_counter()
            scored = searcher.score(question.question)
            seconds[name].append(time.perf_counter() - start)
            scores[name].append(searcher.order_by(scored))
    row = {term.id: at for at, term in enumerate(next(iter(ways.values())).terms)}
    right = [[row[term] for term in question.relevant] for question in questions]
    found = {
        name: float(per_question(np.array(s), right)["nDCG@10"].mean())
        for name, s in scores.items()
    }
    return found, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=[INDEXED_MODEL])
    parser.add_argument("--every", type=int, default=2, help="so many dev questions make one")
    options = parser.parse_args()
    large = Glossary.load(LARGE / "glossary.csv")
    questions = part_of(read_questions(LARGE / "dev.jsonl", large), every=options.every)
    glossaries = {
        "576 terms": large,
        "300 terms": Glossary("300 terms", large.terms[:300]),
        "256 shipped": Glossary.load(),
    }
    result: dict[str, Any] = {"machine": describe(), "questions": len(questions)}
    for title, glossary in glossaries.items():
        ways = searchers(glossary, options.models)
        for searcher in ways.values():
            searcher.prepare()
            searcher.search(questions[0].question)
        if glossary is large:
            found, seconds = quality(ways, questions)
            result["nDCG@10"] = found
        else:
            found = {}
            seconds = times_alone(ways, questions[:: max(1, len(questions) // TIMED)])
        base = statistics.median(next(iter(seconds.values())))
        print(f"\n{title}\n\n| | nDCG@10 | p50 | p95 | against the first |\n|:--|--:|--:|--:|--:|")
        for name, times in seconds.items():
            p50, p95 = statistics.median(times), float(np.quantile(times, 0.95))
            shown = f"{found[name]:.3f}" if found else ""
            print(
                f"| {name} | {shown} | {p50 * 1000:.0f} ms | {p95 * 1000:.0f} ms | {base / p50:.2f} |"
            )
            result.setdefault(title, {})[name] = {"p50": p50, "p95": p95}
    print(json.dumps(result))


def times_alone(
    ways: dict[str, Searcher], questions: Sequence[JudgedQuestion]
) -> dict[str, list[float]]:
    """The seconds of each search alone: the questions are about other terms."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for question in questions:
        for name, searcher in ways.items():
            start = time.perf_counter()
            searcher.score(question.question)
            seconds[name].append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
