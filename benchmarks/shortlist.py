"""What a shortlist loses: the ten first answers and nDCG@10 against scoring far more terms.

    python benchmarks/shortlist.py FILE.jsonl --questions QUESTIONS.jsonl [--pool 1000] [--count 100]

With ``--pool`` "all" is the best so many of the shortlist's own ranking, for glossaries of which every
term would take hours; the first ``--check`` questions are scored against every term, to see whether
any of the ten first answers lies outside of the pool.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from glossrank import CrossEncoder, Glossary
from glossrank.evaluation import per_question
from glossrank.judgments import read_questions
from glossrank.search import SHORTLIST_SIZE, SHORTLIST_TOKENS, Scored, Searcher

SIZES = (32, 48, 64, 96, 128)
"""Terms; beside them what ``ask`` takes, which counts tokens too."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("glossary")
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--pool", type=int, default=None, help="else every term")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--check", type=int, default=0)
    options = parser.parse_args()
    glossary = Glossary.load(options.glossary)
    questions = read_questions(options.questions, glossary)[: options.count]
    searcher = Searcher(
        glossary, CrossEncoder("finance-terms"), exhaustive=1, shortlist_tokens=None
    )
    row_of = {term.id: row for row, term in enumerate(searcher.terms)}
    shape = (len(questions), len(SIZES) + 1)
    kept, ndcg = np.zeros(shape), np.zeros(shape)
    whole = np.zeros(len(questions))
    inside: list[float] = []
    sizes: list[int] = []
    start = time.perf_counter()
    for number, question in enumerate(questions):
        everything = number < options.check or options.pool is None
        found = _score(searcher, question.question, None if everything else options.pool)
        order_by = searcher.order_by(found)
        relevant = {row_of[i] for i in question.relevant}
        whole[number] = _ndcg(order_by, found, relevant)
        top = set(found.rows[np.argsort(-order_by, kind="stable")[:10]].tolist())
        if everything and options.pool is not None:
            pool = searcher.shortlist_rows(found.read_as, options.pool)
            inside.append(len(top & set(pool.tolist())) / len(top))
        lists = [searcher.shortlist_rows(found.read_as, size) for size in SIZES]
        lists.append(
            searcher.shortlist_rows(found.read_as, SHORTLIST_SIZE, tokens=SHORTLIST_TOKENS)
        )
        sizes.append(len(lists[-1]))
        for column, rows in enumerate(lists):
            short = np.isin(found.rows, rows)
            below = np.where(short, order_by, order_by.min() - 1)
            ndcg[number, column] = _ndcg(below, found, relevant)
            some = set(found.rows[np.argsort(-below, kind="stable")[:10]].tolist())
            kept[number, column] = len(top & some) / len(top)
        if number % 10 == 9:
            print(number + 1, f"{time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    print(
        f"{options.glossary}: {len(questions)} questions, {len(glossary):,} terms, pool {options.pool}"
    )
    if inside:
        print(
            f"first ten of every term inside the pool: {np.mean(inside):.3f} ({len(inside)} questions)"
        )
    print("| terms scored | first ten kept | nDCG@10 | share |")
    print("|--:|--:|--:|--:|")
    print(f"| {options.pool or 'all'} | | {whole.mean():.3f} | |")
    for column, size in enumerate((*SIZES, f"as ask does: {np.mean(sizes):.1f}")):
        mean = ndcg[:, column].mean()
        print(f"| {size} | {kept[:, column].mean():.1%} | {mean:.3f} | {mean / whole.mean():.1%} |")


def _score(searcher: Searcher, question: str, pool: int | None) -> Scored:
    if pool is None:
        return searcher.score(question, exhaustive=True)
    searcher.shortlist_size = pool
    return searcher.score(question)


def _ndcg(order_by: np.ndarray, found: Scored, relevant: set[int]) -> float:
    columns = [column for column, row in enumerate(found.rows.tolist()) if row in relevant]
    # A right term that was not scored at all still counts as one that should be there.
    missing = len(relevant) - len(columns)
    padded = np.append(order_by, [order_by.min() - 2] * missing)
    columns += range(len(order_by), len(padded))
    return float(per_question(padded[None, :], [columns])["nDCG@10"][0])


if __name__ == "__main__":
    main()
