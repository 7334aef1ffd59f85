"""Where question and definition meet: nDCG@10 against pairs a second, join layer by join layer.

    python scripts/score_groups.py finance-terms build/groups-three.jsonl build/own-groups.jsonl
    python benchmarks/join_layers.py build/own-groups.jsonl --mixed build/groups-three.jsonl

Trains a model of each kind for a few steps (scripts/train_indexed.py; one that is there is used
again), lets all rank the best terms of the shortlist for dev questions, and measures pairs a
second against indexed definitions. For models whose definitions read the question too (PreTTR)
there is no graph; their speed is the full model's times the share of its matrix products that
are left, which leaves out attention. Nothing else should run. Writes a plot and, as the last
line of stdout, the result as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossrank import CrossEncoder, Glossary
from glossrank.evaluation import per_question
from glossrank.first_stage import FirstStage
from glossrank.judgments import JudgedQuestion, part_of, read_questions
from glossrank.model_names import DEFAULT_MODEL, INDEXED_MODEL
from glossrank.search import Searcher
from suite.machine import describe

ROOT = Path(__file__).parent.parent
LARGE = ROOT / "datasets" / "finance-terms-large"
KINDS = (("one-way", 1), ("one-way", 2), ("one-way", 3), ("one-way", 4), ("both-ways", 3), ("both-ways", 4))  # fmt: skip
RANKED = 96
TIMED = 12
LAYERS = 6
# Products of a row with a matrix of 384 x 384: four of attention, eight of the feed-forward.
FULL_PRODUCTS = 12 * (LAYERS - 1) + 2

Score = Callable[[str, Sequence[str]], NDArray[np.float32]]


def train(kind: str, layer: int, folder: Path, options: argparse.Namespace) -> None:
    """One of the models, unless it is there."""
    if folder.exists():
        return
    command = [
        sys.executable, str(ROOT / "scripts" / "train_indexed.py"), str(options.groups),
        "--mixed", str(options.mixed), "--output", str(folder), "--steps", str(options.steps),
        "--join-layer", str(layer), *(["--both-ways"] if kind == "both-ways" else []),
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=sys.stderr)


def by_torch(folder: Path, layer: int) -> Score:
    """Logits of a model that reads both ways, which only the training code can run."""
    import torch

    sys.path.insert(0, str(ROOT / "scripts"))
    from glossrank.training.recipe import ListwiseRecipe
    from train_indexed import IndexedStudent

    student = IndexedStudent(folder, ListwiseRecipe(), 1, join_layer=layer, both_ways=True)

    def score(question: str, documents: Sequence[str]) -> NDArray[np.float32]:
        with torch.no_grad():
            found = student.logits([(question, document) for document in documents])
        return np.asarray(found.numpy(), dtype=np.float32)

    return score


def by_glossrank(model: CrossEncoder) -> Score:
    return lambda question, documents: model.logits([(question, d) for d in documents])


def quality(
    score: Score,
    documents: Sequence[str],
    questions: Sequence[JudgedQuestion],
    shortlists: Sequence[NDArray[np.int64]],
    right: Sequence[Sequence[int]],
) -> float:
    """nDCG@10 of the shortlists as the logit alone orders them; what is not on one is lost."""
    rows = np.full((len(questions), len(documents)), -np.inf, dtype=np.float32)
    for number, (question, shortlist) in enumerate(zip(questions, shortlists, strict=True)):
        chosen = [documents[row] for row in shortlist.tolist()]
        rows[number, shortlist] = score(question.question, chosen)
    return float(np.mean(per_question(rows, right)["nDCG@10"]))


def rate(ask: Callable[[str], object], count: int, questions: Sequence[JudgedQuestion]) -> float:
    """Pairs a second, the median over questions."""
    ask(questions[0].question)
    seconds = []
    for question in questions[:TIMED]:
        start = time.perf_counter()
        ask(question.question)
        seconds.append(time.perf_counter() - start)
    return count / statistics.median(seconds)


def both_ways_products(layer: int) -> int:
    """For a row, where what the lower layers and the join's projections give is stored."""
    return 9 + 12 * (LAYERS - 2 - layer) + 2


def measured(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    glossary = Glossary.load(LARGE / "glossary.csv")
    questions = part_of(read_questions(LARGE / "dev.jsonl", glossary), every=options.every)
    full = CrossEncoder(DEFAULT_MODEL)
    searcher = Searcher(glossary, full)
    documents = list(searcher.documents)
    shortlists = [np.sort(searcher.shortlist.rows(q.question, size=RANKED)) for q in questions]
    place = {term.id: at for at, term in enumerate(searcher.terms)}
    right = [[place[term] for term in question.relevant] for question in questions]
    judged = (documents, questions, shortlists, right)
    points = {
        "full model": {
            "ndcg": quality(by_glossrank(full), *judged),
            "rate": rate(lambda q: by_glossrank(full)(q, documents), len(documents), questions),
            "measured": True,
        }
    }
    folders = {f"{k}, join {n}": (k, n, options.folder / f"{k}-{n}") for k, n in KINDS}
    for name, (kind, layer, folder) in folders.items():
        train(kind, layer, folder, options)
        if kind == "both-ways":
            share = FULL_PRODUCTS / both_ways_products(layer)
            points[name] = {
                "ndcg": quality(by_torch(folder, layer), *judged),
                "rate": points["full model"]["rate"] * share,
                "measured": False,
            }
        else:
            points[name] = indexed_point(folder, judged)
        print(f"{name}: {points[name]}", file=sys.stderr, flush=True)
    points[f"{INDEXED_MODEL}, as shipped"] = indexed_point(Path(INDEXED_MODEL), judged)
    return points


def indexed_point(folder: Path, judged: tuple[Any, ...]) -> dict[str, Any]:
    documents, questions = judged[:2]
    model = CrossEncoder(folder)
    stage = FirstStage(model, documents)
    return {
        "ndcg": quality(by_glossrank(model), *judged),
        "rate": rate(stage.logits, len(documents), questions),
        "measured": True,
    }


def draw(points: dict[str, dict[str, Any]], file: Path, *, steps: int) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    best = max(point["ndcg"] for point in points.values())
    # What has learnt nothing would press the others together.
    low = {name for name, point in points.items() if point["ndcg"] < best / 2}
    for name, point in points.items():
        if name in low:
            continue
        colour = "#d1495b" if name.startswith("both") else "#0b6e99"
        face = colour if point["measured"] else "none"
        axes.scatter(point["rate"], point["ndcg"], edgecolor=colour, facecolor=face, zorder=3)
        axes.annotate(
            name, (point["rate"], point["ndcg"]), xytext=(5, 5), textcoords="offset points", fontsize=8
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("pairs a second (hollow: counted in matrix products, not measured)", fontsize=9)
    axes.set_ylabel(f"nDCG@10 of the shortlist's best {RANKED}, logit alone", fontsize=9)
    below = f"; below the plot: {' and '.join(sorted(low))}" if low else ""
    axes.set_title(f"Join layers, each trained for {steps} steps{below}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.18, y=0.12)
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", type=Path, help="scored by finance-terms itself")
    parser.add_argument("--mixed", type=Path, required=True, help="the same, scored by others")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--every", type=int, default=2, help="so many dev questions make one")
    parser.add_argument("--folder", type=Path, default=Path("build/join-layers"))
    parser.add_argument("--plot", type=Path, default=Path("build/join-layers.svg"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    points = measured(options)
    draw(points, options.plot, steps=options.steps)
    print("| | nDCG@10 | pairs/s | |\n|:--|--:|--:|:--|")
    for name, point in points.items():
        how = "" if point["measured"] else "counted"
        print(f"| {name} | {point['ndcg']:.3f} | {point['rate']:.0f} | {how} |")
    print(json.dumps({"machine": describe(), "steps": options.steps, "points": points}))


if __name__ == "__main__":
    main()
