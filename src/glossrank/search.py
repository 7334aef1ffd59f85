"""A question against a glossary, to ranked answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from glossrank.cross_encoder import CrossEncoder
from glossrank.glossary import Glossary, Term
from glossrank.spelling import Spelling
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


@dataclass(frozen=True)
class Answers(Sequence[Answer]):
    """A sequence of answers, best first, and whether they answer anything.

    Attributes:
        read_as: the question as the model read it: with its slips corrected.
        answered: how likely any of the glossary's best terms answers the question, whatever
            ``top_k`` was; None where the model has no calibration.
        none_of_these: whether that is below the model's threshold. False without a
            calibration: then nothing is known.
    """

    best: tuple[Answer, ...]
    read_as: str
    answered: float | None = None
    none_of_these: bool = False

    @overload
    def __getitem__(self, place: int) -> Answer: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Answer, ...]: ...
    def __getitem__(self, place: int | slice) -> Answer | tuple[Answer, ...]:
        return self.best[place]

    def __len__(self) -> int:
        return len(self.best)


def ask(
    question: str,
    *,
    glossary: Glossary,
    model: CrossEncoder,
    top_k: int | None = None,
    as_typed: bool = False,
) -> Answers:
    """Score every term of the glossary and return the best ``top_k`` (all by default).

    Order is by logit; equal logits are ordered by term id, so that it does not depend on
    the order of the glossary.

    Args:
        as_typed: leave slips in the question as they are; else they are corrected, with the
            glossary's words among the right ones.

    Raises:
        InputError: the question is empty or not valid Unicode.
    """
    require_text(question, name="the question")
    documents = [term.document for term in glossary.terms]
    read_as = question if as_typed else Spelling(documents).correct(question)
    pairs = [(read_as, document) for document in documents]
    logits = model.logits(pairs)
    scores = model.activation_fn(logits)
    calibration = model.calibration
    probabilities, answered, nothing = None, None, False
    if calibration is not None:
        probabilities = calibration.probability(logits)
        answered = float(calibration.answered(logits))
        nothing = answered < calibration.threshold
    ids = np.array([term.id for term in glossary.terms])
    order = np.lexsort((ids, -logits))[:top_k]
    best = tuple(
        Answer(
            place=place,
            term=glossary.terms[row],
            score=float(scores[row]),
            probability=None if probabilities is None else float(probabilities[row]),
        )
        for place, row in enumerate(order.tolist(), start=1)
    )
    return Answers(best, read_as, answered, nothing)
