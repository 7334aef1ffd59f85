"""What a search gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

from glossrank.glossary import Term
from glossrank.reasons import Reasons


@dataclass(frozen=True)
class Answer:
    """A term with its place (1 is best) and its score on the model's own scale.

    Attributes:
        probability: how likely the term answers the question, or None where the model has
            no calibration.
        logit: the model's raw output.
        named: how the question names the term (``acronym "DSO" in the question``), or None.
            Such a term comes up, if only at the end, and stands higher than its logit says.
        reasons: what carried the logit, where it was asked for.
    """

    place: int
    term: Term
    score: float
    probability: float | None = None
    logit: float = 0.0
    named: str | None = None
    reasons: Reasons | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain texts, numbers and lists."""
        found: dict[str, Any] = {
            "place": self.place,
            "id": self.term.id,
            "term": self.term.term,
            "definition": self.term.definition,
            "score": self.score,
            "logit": self.logit,
            "probability": self.probability,
            "named": self.named,
        }
        if self.reasons is not None:
            found["reasons"] = self.reasons.to_dict()
        return found


@dataclass(frozen=True)
class Answers(Sequence[Answer]):
    """A sequence of answers, best first, and whether they answer anything.

    Attributes:
        read_as: the question as the model read it: with its slips corrected.
        answered: how likely any of the glossary's best terms answers the question, whatever
            ``top_k`` was; None where the model has no calibration.
        none_of_these: whether that is below the model's threshold. False without a
            calibration: then nothing is known.
        ambiguous: the two first terms, where they are of one family and too close to call;
            else empty.
        scored: how many terms the model read.
    """

    best: tuple[Answer, ...]
    read_as: str
    answered: float | None = None
    none_of_these: bool = False
    ambiguous: tuple[Term, ...] = ()
    scored: int = 0

    @overload
    def __getitem__(self, place: int) -> Answer: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Answer, ...]: ...
    def __getitem__(self, place: int | slice) -> Answer | tuple[Answer, ...]:
        return self.best[place]

    def __len__(self) -> int:
        return len(self.best)

    def to_dict(self) -> dict[str, Any]:
        """Plain texts, numbers and lists."""
        return {
            "read_as": self.read_as,
            "answered": self.answered,
            "none_of_these": None if self.answered is None else self.none_of_these,
            "ambiguous": [term.id for term in self.ambiguous],
            "scored": self.scored,
            "answers": [answer.to_dict() for answer in self.best],
        }
