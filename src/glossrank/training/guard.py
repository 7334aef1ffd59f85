"""Does training on these data help at all? Asked before a model is saved as anyone's default.

A few hundred pairs often make a reranker worse, and nobody notices. The guard trains on a
part of the data and compares with the base on the rest, several times over: on questions
about terms that no training pair names, and on new questions about trained terms. A paired
bootstrap over their terms says how sure the difference is.

A file whose labels are wrong may not show the damage on its own held-out part, whose labels
are wrong as well. So the trained model must also still rank the shipped finance questions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glossrank.cross_encoder import CrossEncoder
from glossrank.evaluation import PairedDifference, paired_bootstrap, per_question, shown_answers
from glossrank.glossary import FINANCE_TERMS, Glossary
from glossrank.judgments import read_questions
from glossrank.training.examples import TrainingSet
from glossrank.training.mining import plain_document

MEASURE = "nDCG@10"
HELD_OUT_TERMS = 0.2
HELD_OUT_QUESTIONS = 0.2
MOST_CANDIDATES = 100
"""Candidates that a held-out question is ranked against; more would only cost time."""
MOST_QUESTIONS = 150
"""Held-out questions of each kind that a seed's models rank."""
FEWEST_QUESTIONS, FEWEST_TERMS = 10, 5
"""With fewer held-out questions, or questions about fewer terms, nothing is claimed."""
REFERENCE_QUESTIONS = 60
REFERENCE_CANDIDATES = 60
REFERENCE_TOLERANCE = 0.05
"""How much nDCG@10 on the shipped questions may be lost where the own data show no gain."""
REFERENCE_LIMIT = 0.2
"""How much may be lost where they show one: labels that are all wrong also learn themselves."""

BETTER, SAME, WORSE = "better", "no difference shown", "worse"


@dataclass(frozen=True)
class Fold:
    """One division of a training set; rows are those of its examples and candidates.

    Attributes:
        kept: examples to train on.
        hidden: candidates that no training pair may have.
        new_terms: held-out examples whose right answers are hidden.
        new_questions: held-out examples whose right answers others train on.
    """

    kept: tuple[int, ...]
    hidden: frozenset[int]
    new_terms: tuple[int, ...]
    new_questions: tuple[int, ...]


@dataclass(frozen=True)
class GuardResult:
    """What the guard found. ``own`` and its parts are over held-out questions of the data.

    Attributes:
        questions: different held-out questions that have an answer.
        own, new_terms, new_questions: nDCG@10 of trained minus base, mean over terms with an
            interval over terms; None where there were too few.
        base, trained: mean nDCG@10 over the held-out questions.
        reference: the same difference on the shipped finance questions.
        shown_logits, shown_right: ``[held-out questions, answers]``, for calibration: the
            logits of the trained model's first answers and whether each is right.
        asked, unanswerable: how many different questions these are, and how many of them
            nothing answers.
    """

    verdict: str
    seeds: int
    questions: int
    base: float
    trained: float
    own: PairedDifference | None
    new_terms: PairedDifference | None
    new_questions: PairedDifference | None
    reference: PairedDifference
    shown_logits: NDArray[np.float32]
    shown_right: NDArray[np.bool_]
    asked: int
    unanswerable: int

    def lines(self) -> list[str]:
        """The figures in words, one finding a line, for the terminal and the model card."""
        found = []
        if self.own is None:
            found.append(f"held-out questions: too few ({self.questions}), or of too few terms")
        else:
            found.append(
                f"held-out questions ({self.questions}, {self.seeds} seeds): {MEASURE} "
                f"{self.base:.3f} -> {self.trained:.3f}, {_interval(self.own)}"
            )
        for name, part in (
            ("terms never trained on", self.new_terms),
            ("new questions about trained terms", self.new_questions),
        ):
            if part is not None:
                found.append(f"of these, {name}: {_interval(part)}")
        found.append(f"shipped finance questions: {_interval(self.reference)}")
        return found


def _interval(difference: PairedDifference) -> str:
    d = difference
    return f"difference {d.difference:+.3f} (95% {d.low:+.3f} to {d.high:+.3f})"


def make_fold(data: TrainingSet, *, seed: int) -> Fold:
    """Divide by term and by question: a fifth of the terms, then a fifth of the questions.

    A question is only held out as a new question if each of its right answers keeps
    another question to be trained by.
    """
    rng = random.Random(f"guard {seed}")
    terms = sorted({row for example in data.examples for row in example.right})
    rng.shuffle(terms)
    hidden = frozenset(terms[: max(1, round(len(terms) * HELD_OUT_TERMS))])
    new_terms: list[int] = []
    rest: list[int] = []
    for at, example in enumerate(data.examples):
        (new_terms if hidden.intersection(example.right) else rest).append(at)
    uses: dict[int, int] = {}
    for at in rest:
        for row in data.examples[at].right:
            uses[row] = uses.get(row, 0) + 1
    wanted = round(len(rest) * HELD_OUT_QUESTIONS)
    new_questions: list[int] = []
    for at in rng.sample(rest, len(rest)):
        right = data.examples[at].right
        if len(new_questions) < wanted and all(uses[row] > 1 for row in right):
            new_questions.append(at)
            for row in right:
                uses[row] -= 1
    out = set(new_questions)
    return Fold(
        kept=tuple(at for at in rest if at not in out),
        hidden=hidden,
        new_terms=tuple(new_terms),
        new_questions=tuple(sorted(out)),
    )


def kept_part(data: TrainingSet, fold: Fold) -> TrainingSet:
    """The training set of a fold: its examples, and the candidates that are not hidden."""
    rows = [row for row in range(len(data.candidates)) if row not in fold.hidden]
    place = {row: at for at, row in enumerate(rows)}
    examples = []
    for at in fold.kept:
        example = data.examples[at]
        right = tuple(place[row] for row in example.right)
        wrong = tuple(place[row] for row in example.wrong if row in place)
        examples.append(type(example)(example.question, right, wrong, example.typo))
    return TrainingSet(tuple(data.candidates[row] for row in rows), tuple(examples))


def check(
    data: TrainingSet,
    *,
    base: str | Path,
    fit: Callable[[Fold, int], Path],
    seeds: Sequence[int],
    on_question: Callable[[], None] = lambda: None,
) -> GuardResult:
    """Train on each seed's fold, compare with the base on the rest, and give the verdict.

    Args:
        fit: trains on a fold with a seed and returns the folder of the model.
        seeds: at least one. The shipped questions are ranked with the first one's model.
        on_question: called before each held-out question is ranked; may raise to stop.
    """
    before = CrossEncoder(base)
    values: dict[tuple[int, bool], list[tuple[float, float]]] = {}
    logits: list[NDArray[np.floating]] = []
    rights: list[NDArray[np.bool_]] = []
    asked: set[int] = set()
    reference: PairedDifference | None = None
    for seed in seeds:
        fold = make_fold(data, seed=seed)
        after = CrossEncoder(fit(fold, seed))
        rng = random.Random(f"guard {seed} questions")
        for kind, rows in ((True, fold.new_terms), (False, fold.new_questions)):
            for at in sorted(rng.sample(rows, min(len(rows), MOST_QUESTIONS))):
                on_question()
                old, new, shown, good = _compare(data, at, before, after, seed=seed)
                logits.append(shown)
                rights.append(good)
                asked.add(at)
                if data.examples[at].right:
                    values.setdefault((at, kind), []).append((old, new))
        reference = reference or _reference(before, after)
    assert reference is not None, "no seeds"
    terms = {at: data.examples[at].right[0] for at, _ in values}
    everything = _by_term(values, terms, (True, False))
    own = _difference(everything)
    means = np.array([row for rows in everything.values() for row in rows]).reshape(-1, 2)
    return GuardResult(
        verdict=_verdict(own, reference),
        seeds=len(seeds),
        questions=len(terms),
        base=float(means[:, 0].mean()) if len(means) else 0.0,
        trained=float(means[:, 1].mean()) if len(means) else 0.0,
        own=own,
        new_terms=_difference(_by_term(values, terms, (True,))),
        new_questions=_difference(_by_term(values, terms, (False,))),
        reference=reference,
        shown_logits=np.array(logits, dtype=np.float32),
        shown_right=np.array(rights, dtype=bool),
        asked=len(asked),
        unanswerable=sum(not data.examples[at].right for at in asked),
    )


def _by_term(
    values: dict[tuple[int, bool], list[tuple[float, float]]],
    terms: dict[int, int],
    kinds: Sequence[bool],
) -> dict[int, list[NDArray[np.float64]]]:
    """For each term its questions' (base, trained), means over the seeds that held them out."""
    grouped: dict[int, list[NDArray[np.float64]]] = {}
    for (at, kind), pairs in values.items():
        if kind in kinds:
            grouped.setdefault(terms[at], []).append(np.mean(pairs, axis=0))
    return grouped


def _verdict(own: PairedDifference | None, reference: PairedDifference) -> str:
    if own is not None and own.high < 0:
        return WORSE
    better = own is not None and own.low > 0
    tolerance = REFERENCE_LIMIT if better else REFERENCE_TOLERANCE
    if reference.high < 0 and reference.difference < -tolerance:
        return WORSE
    return BETTER if better else SAME


def _difference(grouped: dict[int, list[NDArray[np.float64]]]) -> PairedDifference | None:
    """Trained minus base, over terms: questions about one term stand or fall together."""
    if len(grouped) < FEWEST_TERMS or sum(map(len, grouped.values())) < FEWEST_QUESTIONS:
        return None
    table = np.array([np.mean(rows, axis=0) for rows in grouped.values()])
    return paired_bootstrap(table[:, 1], table[:, 0])


def _compare(
    data: TrainingSet, at: int, before: CrossEncoder, after: CrossEncoder, *, seed: int
) -> tuple[float, float, NDArray[np.floating], NDArray[np.bool_]]:
    """nDCG@10 of both models on one example; the trained one's shown logits, and which are right."""
    example = data.examples[at]
    rng = random.Random(f"guard {seed} {at}")
    chosen = [*example.right, *example.wrong]
    others = [row for row in range(len(data.candidates)) if row not in set(chosen)]
    chosen += rng.sample(others, min(len(others), max(0, MOST_CANDIDATES - len(chosen))))
    # Shuffled, so that equal scores do not favour the right answer.
    rng.shuffle(chosen)
    right = [place for place, row in enumerate(chosen) if row in example.right]
    pairs = [(example.question, plain_document(data.candidates[row])) for row in chosen]
    old, new = before.logits(pairs), after.logits(pairs)
    logits, good = shown_answers(new[np.newaxis], [right])
    if not right:
        return 0.0, 0.0, logits[0], good[0]
    measured = per_question(np.stack([old, new]), [right, right])[MEASURE]
    return float(measured[0]), float(measured[1]), logits[0], good[0]


def _reference(before: CrossEncoder, after: CrossEncoder) -> PairedDifference:
    """Trained minus base on shipped questions, each against a part of the shipped glossary."""
    glossary = Glossary.load()
    rng = random.Random("guard reference")
    questions = read_questions(FINANCE_TERMS / "test.jsonl", glossary)
    questions = rng.sample(questions, REFERENCE_QUESTIONS)
    documents = {term.id: term.document for term in glossary.terms}
    scores: list[list[NDArray[np.float32]]] = [[], []]
    relevant = []
    for question in questions:
        others = [i for i in documents if i not in question.relevant]
        ids = [*question.relevant, *rng.sample(others, REFERENCE_CANDIDATES)]
        ids = rng.sample(ids[:REFERENCE_CANDIDATES], REFERENCE_CANDIDATES)
        relevant.append([place for place, i in enumerate(ids) if i in question.relevant])
        pairs = [(question.question, documents[i]) for i in ids]
        scores[0].append(before.logits(pairs))
        scores[1].append(after.logits(pairs))
    old, new = (per_question(np.stack(rows), relevant)[MEASURE] for rows in scores)
    return paired_bootstrap(new, old)
