"""Which questions get another first answer when the glossary or the model changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from glossrank.answers import Answers
from glossrank.glossary import Glossary
from glossrank.search import Searcher

NONE_OF_THESE = "none of these"


@dataclass(frozen=True)
class ChangedTerms:
    """Ids of terms that one glossary has and the other has not, or has in other words."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True)
class ChangedAnswer:
    """A question with another first answer.

    Attributes:
        old, new: the first answer's id, or "none of these".
        old_term, new_term: its name.
        verdict: "better" or "worse" where the right answer is known, else "".
    """

    question: str
    old: str
    new: str
    old_term: str
    new_term: str
    verdict: str = ""


@dataclass(frozen=True)
class Difference:
    """What changed between two glossaries or models, on a set of questions."""

    terms: ChangedTerms
    questions: int
    answers: tuple[ChangedAnswer, ...]

    @property
    def worse(self) -> int:
        """Questions whose first answer was right and is not any more."""
        return sum(answer.verdict == "worse" for answer in self.answers)

    def to_dict(self) -> dict[str, Any]:
        """Plain texts, numbers and lists."""
        return asdict(self) | {"worse": self.worse}


def changed_terms(old: Glossary, new: Glossary) -> ChangedTerms:
    """Terms by id; a template that differs changes every term."""
    before, after = (_documents(glossary) for glossary in (old, new))
    return ChangedTerms(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(i for i in before.keys() & after.keys() if before[i] != after[i])),
    )


def difference(
    old: Searcher,
    new: Searcher,
    questions: Sequence[str],
    *,
    relevant: Sequence[Sequence[str]] | None = None,
    as_typed: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> Difference:
    """Ask both every question.

    Args:
        relevant: ids of the right answers to each question, where they are known; none where
            nothing answers.
        advance: called after each question.
    """
    changed = []
    for number, question in enumerate(questions):
        before = old.search(question, 1, as_typed=as_typed)
        after = new.search(question, 1, as_typed=as_typed)
        advance()
        (old_id, old_name), (new_id, new_name) = _first(before), _first(after)
        if old_id == new_id:
            continue
        verdict = ""
        if relevant is not None:
            right = relevant[number] or (NONE_OF_THESE,)
            was, is_now = old_id in right, new_id in right
            verdict = "" if was == is_now else "better" if is_now else "worse"
        changed.append(ChangedAnswer(question, old_id, new_id, old_name, new_name, verdict))
    return Difference(changed_terms(old.glossary, new.glossary), len(questions), tuple(changed))


def _first(answers: Answers) -> tuple[str, str]:
    if answers.none_of_these:
        return NONE_OF_THESE, NONE_OF_THESE
    return answers[0].term.id, answers[0].term.term


def _documents(glossary: Glossary) -> dict[str, tuple[str, str]]:
    return {
        term.id: (document, term.term)
        for term, document in zip(glossary.terms, glossary.documents, strict=True)
    }
