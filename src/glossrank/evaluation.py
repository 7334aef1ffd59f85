"""Scores and labels to figures. Takes arrays, never models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from glossrank.errors import MissingExtraError

MEASURES = ("nDCG@10", "RR@10", "P@1")
"""ir_measures' names; RR@10 is the reciprocal rank whose mean is MRR@10."""


def ranking_measures(
    scores: NDArray[np.floating], relevant: Sequence[Sequence[int]]
) -> Mapping[str, float]:
    """Means over all questions of nDCG@10, MRR@10 (as ``RR@10``) and P@1, by ir_measures.

    Relevance is binary. Equal scores keep column order, as a stable sort shows them.

    Args:
        scores: ``[questions, documents]``, higher is better, finite.
        relevant: for each question the columns that answer it, at least one.

    Raises:
        MissingExtraError: ir_measures is not installed.
        ValueError: the two do not have the same number of questions.
    """
    try:
        import ir_measures
    except ImportError as error:
        raise MissingExtraError(
            feature="evaluation", extra="train", missing="ir_measures"
        ) from error
    if len(scores) != len(relevant):
        raise ValueError(f"{len(scores)} rows of scores, but {len(relevant)} of relevant columns.")
    # Ranks, not scores, go to the measures: trec_eval would break ties by document name.
    places = (-scores).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    run = [
        ir_measures.ScoredDoc(str(q), str(d), float(-place))
        for q, row in enumerate(places)
        for d, place in enumerate(row.tolist())
    ]
    qrels = [
        ir_measures.Qrel(str(q), str(d), 1) for q, columns in enumerate(relevant) for d in columns
    ]
    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    values = ir_measures.calc_aggregate(measures, qrels, run)
    return {name: float(values[m]) for name, m in zip(MEASURES, measures, strict=True)}
