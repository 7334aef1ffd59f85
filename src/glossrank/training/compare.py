"""BM25, the base and the trained model on one test file: the table of the model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glossrank.cross_encoder import CrossEncoder
from glossrank.errors import MissingExtraError
from glossrank.evaluation import ranking_measures
from glossrank.glossary import Glossary
from glossrank.judgments import JudgedQuestion
from glossrank.training.card import EvaluationTable

FloatArray = NDArray[np.float32]


def bm25_scores(questions: Sequence[str], documents: Sequence[str]) -> FloatArray:
    """``[questions, documents]`` BM25 scores (Lucene's variant, English stop words).

    Robertson et al. 1994; bm25s with its defaults k1 = 1.5, b = 0.75.

    Raises:
        MissingExtraError: bm25s is not installed.
    """
    try:
        import bm25s
    except ImportError as error:
        raise MissingExtraError(
            feature="the BM25 baseline", extra="train", missing="bm25s"
        ) from error
    corpus = bm25s.tokenize(list(documents), stopwords="en", return_ids=False, show_progress=False)
    if not any(corpus):
        # Nothing but stop words: bm25s cannot index that, and nothing could match.
        return np.zeros((len(questions), len(documents)), dtype=np.float32)
    index = bm25s.BM25()
    index.index(corpus, show_progress=False)
    tokens = bm25s.tokenize(list(questions), stopwords="en", return_ids=False, show_progress=False)
    rows = [
        index.get_scores(words) if words else np.zeros(len(documents), dtype=np.float32)
        for words in tokens
    ]
    return np.stack(rows).astype(np.float32)


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
