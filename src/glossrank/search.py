"""A question against a glossary, to ranked answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glossrank.calibration import Calibration
from glossrank.cross_encoder import CrossEncoder
from glossrank.glossary import Glossary, Term
from glossrank.tables import require_text


@dataclass(frozen=True)
class Answer:
    """A term with its place (1 is best) and its score on the model's own scale.

    Attributes:
        probability: how likely the term answers the question, or None where the model has
            no calibration.
    """

    place: int
    term: Term
    score: float
    probability: float | None = None


def ask(
    question: str, *, glossary: Glossary, model: CrossEncoder, top_k: int | None = None
) -> list[Answer]:
    """Score every term of the glossary and return the best ``top_k`` (all by default).

    Order is by logit; equal logits are ordered by term id, so that it does not depend on
    the order of the glossary.

    Raises:
        InputError: the question is empty or not valid Unicode.
    """
    require_text(question, name="the question")
    pairs = [(question, term.document) for term in glossary.terms]
    logits = model.logits(pairs)
    scores = model.activation_fn(logits)
    calibration = model.calibration
    probabilities = None if calibration is None else calibration.probability(logits)
    ids = np.array([term.id for term in glossary.terms])
    order = np.lexsort((ids, -logits))[:top_k]
    return [
        Answer(
            place=place,
            term=glossary.terms[row],
            score=float(scores[row]),
            probability=None if probabilities is None else float(probabilities[row]),
        )
        for place, row in enumerate(order.tolist(), start=1)
    ]


def none_of_these(answers: Sequence[Answer], calibration: Calibration | None) -> bool:
    """Whether even the first answer is too unlikely to be shown as one.

    False without a calibration: then nothing is known.
    """
    if calibration is None or not answers or answers[0].probability is None:
        return False
    return answers[0].probability < calibration.threshold
