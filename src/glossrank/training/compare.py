"""BM25, the base and the trained model on one test file: the table of the model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glossrank.bm25 import bm25_scores
from glossrank.cross_encoder import CrossEncoder
from glossrank.evaluation import ranking_measures
from glossrank.glossary import Glossary
from glossrank.judgments import JudgedQuestion
from glossrank.training.card_parts import EvaluationTable

FloatArray = NDArray[np.float32]


def model_scores(
    model: CrossEncoder, questions: Sequence[str], documents: Sequence[str]
) -> FloatArray:
    """``[questions, documents]`` logits of a cross-encoder."""
    pairs = [(question, document) for question in questions for document in documents]
    return model.logits(pairs).reshape(len(questions), len(documents))


def compare_rankers(
    *,
    base: str | Path,
    trained: Path,
    glossary: Glossary,
    questions: Sequence[JudgedQuestion],
    name: str,
) -> EvaluationTable:
    """Rank every question against the whole glossary with BM25, the base and the model.

    Raises:
        MissingExtraError: the extra [train] is not installed.
    """
    texts = [question.question for question in questions]
    documents = [term.document for term in glossary.terms]
    column = {term.id: at for at, term in enumerate(glossary.terms)}
    relevant = [[column[term_id] for term_id in question.relevant] for question in questions]
    scores = {
        "BM25": bm25_scores(texts, documents),
        "base, not fine-tuned": model_scores(CrossEncoder(base), texts, documents),
        "this model": model_scores(CrossEncoder(trained), texts, documents),
    }
    return EvaluationTable(
        name=name,
        questions=len(questions),
        terms=len(glossary),
        rows={ranker: dict(ranking_measures(s, relevant)) for ranker, s in scores.items()},
    )
