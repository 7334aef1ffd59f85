"""An evaluation as one object: figures, what went wrong, a JSON document.

Takes score arrays, never models; ``report_page.py`` makes an HTML page of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossrank.calibration import SHOWN_ANSWERS, Calibration
from glossrank.evaluation import (
    Interval,
    NoneFigures,
    PairedDifference,
    ShortlistFigures,
    bootstrap_interval,
    none_figures,
    paired_bootstrap,
    per_question,
    shortlist_figures,
    slices,
)
from glossrank.glossary import Glossary
from glossrank.judgments import JudgedQuestion

MOST_WORST = 25
MOST_CONFUSIONS = 20
_HISTOGRAM_BINS = 30

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class SliceFigures:
    """A kind of question: how many there are, and the measures over them."""

    questions: int
    measures: Mapping[str, Interval]


@dataclass(frozen=True)
class Comparison:
    """Another model on the same answerable questions; differences are this minus the other."""

    model: str
    measures: Mapping[str, Interval]
    differences: Mapping[str, PairedDifference]


@dataclass(frozen=True)
class RankedTerm:
    """A term with its place (1 is best) and score for one question."""

    id: str
    term: str
    place: int
    score: float


@dataclass(frozen=True)
class WorstQuestion:
    """A question with a wrong first answer: what was wanted, and what won instead."""

    question: str
    ndcg: float
    wanted: tuple[RankedTerm, ...]
    won: RankedTerm


@dataclass(frozen=True)
class Confusion:
    """How often a term came first where another one was wanted; both by name."""

    wanted: str
    won: str
    count: int


@dataclass(frozen=True)
class ScoreHistogram:
    """Counts of scores in bins of equal width, between ``edges`` ``[bins + 1]``.

    ``right`` is the best right term of a question, ``wrong`` its best wrong one,
    ``unanswerable`` the first answer where nothing fits.
    """

    edges: tuple[float, ...]
    right: tuple[int, ...]
    wrong: tuple[int, ...]
    unanswerable: tuple[int, ...]


@dataclass(frozen=True)
class EvaluationReport:
    """What ``glossrank evaluate`` found.

    Attributes:
        file, unanswerable_file: where the questions came from.
        terms: of the glossary.
        answerable, unanswerable: numbers of questions.
        score_name: "logit", "logit and cosine" where both count, or "score" for another ranker.
        as_typed: whether the ranker read the questions with their slips; else corrected.
        measures: over the answerable questions, with 95% intervals.
        slices: the same for the kinds of :func:`glossrank.evaluation.slices`.
        shortlist: what ``ask`` loses on a glossary that it shortlists; else None.
        none: over all questions; its probability parts are None without a calibration.
        worst: lowest nDCG@10 first, then the widest lead of the wrong answer.
        confusions: most frequent first; a question wants its first relevant term.
    """

    model: str
    glossary: str
    file: str
    unanswerable_file: str | None
    terms: int
    answerable: int
    unanswerable: int
    score_name: str
    as_typed: bool
    measures: Mapping[str, Interval]
    slices: Mapping[str, SliceFigures]
    comparison: Comparison | None
    shortlist: ShortlistFigures | None
    none: NoneFigures
    scores: ScoreHistogram
    worst: tuple[WorstQuestion, ...]
    confusions: tuple[Confusion, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, texts and finite numbers."""
        document: dict[str, Any] = _plain(asdict(self))
        document["none"]["bins"] = [
            {"probability": stated, "right": found, "count": count}
            for stated, found, count in self.none.bins
        ]
        if self.comparison is not None:
            for name, difference in self.comparison.differences.items():
                document["comparison"]["differences"][name]["verdict"] = difference.verdict
        return document


def make_report(
    scores: FloatArray,
    questions: Sequence[JudgedQuestion],
    *,
    glossary: Glossary,
    model: str,
    file: str,
    unanswerable_file: str | None = None,
    score_name: str = "logit",
    calibration: Calibration | None = None,
    against: tuple[str, FloatArray] | None = None,
    trained_terms: frozenset[str] | None = None,
    as_typed: bool = False,
    shortlisted: BoolArray | None = None,
) -> EvaluationReport:
    """All figures of one model on one set of questions.

    Args:
        scores: ``[questions, terms]``, columns in the order of the glossary, finite.
        questions: those without relevant terms count for ``none`` alone.
        calibration: of the model, if it has one.
        against: another model's name and scores ``[answerable questions, terms]``.
        trained_terms: ids of terms that the model was trained on.
        as_typed: whether the scores are of questions with their slips; else corrected.
        shortlisted: ``[answerable questions, terms]``, which terms a shortlist keeps.

    Raises:
        MissingExtraError: ir_measures is not installed.
        ValueError: no question is answerable, or arrays do not fit.
    """
    if scores.shape != (len(questions), len(glossary)):
        raise ValueError(f"{scores.shape} scores, not {len(questions)} x {len(glossary)}.")
    rows = [number for number, question in enumerate(questions) if question.relevant]
    if not rows:
        raise ValueError("no question is answerable.")
    answerable = [questions[number] for number in rows]
    column = {term.id: at for at, term in enumerate(glossary.terms)}
    relevant = [[column[term_id] for term_id in question.relevant] for question in answerable]
    ranked = scores[rows]
    nothing = np.delete(scores, rows, axis=0)
    values = per_question(ranked, relevant)
    worst, confusions = _mistakes(ranked, relevant, answerable, values["nDCG@10"], glossary)
    return EvaluationReport(
        model=model,
        glossary=glossary.name,
        file=file,
        unanswerable_file=unanswerable_file,
        terms=len(glossary),
        answerable=len(rows),
        unanswerable=len(nothing),
        score_name=score_name,
        as_typed=as_typed,
        measures=_intervals(values),
        slices={
            name: SliceFigures(
                int(mask.sum()), _intervals({m: column[mask] for m, column in values.items()})
            )
            for name, mask in slices(answerable, glossary, trained_terms).items()
        },
        comparison=None if against is None else _comparison(values, relevant, *against),
        shortlist=None if shortlisted is None else shortlist_figures(ranked, relevant, shortlisted),
        none=none_figures(ranked, relevant, nothing, calibration=calibration),
        scores=_histogram(ranked, relevant, nothing),
        worst=worst,
        confusions=confusions,
    )


def none_rows(none: NoneFigures) -> list[tuple[str, str]]:
    """The figures that there are, in words; for a table with two columns."""
    figures = (
        ("AUROC, answerable against unanswerable", none.auroc, ".3f"),
        ("unanswerable questions that get an answer", none.false_answer_rate, ".1%"),
        ("right first answers withheld, of answerable", none.wrongly_withheld_rate, ".1%"),
        ("handled rightly, of all questions", none.right_overall, ".1%"),
        ("calibration error, first answers", none.calibration_error, ".3f"),
        (f"calibration error, first {SHOWN_ANSWERS} answers", none.calibration_error_shown, ".3f"),
        ("threshold", none.threshold, ".4f"),
    )
    return [(label, f"{value:{form}}") for label, value, form in figures if value is not None]


def shortlist_rows(found: ShortlistFigures) -> list[tuple[str, str]]:
    """The figures in words; for a table with two columns."""
    return [
        ("terms scored, on average", f"{found.size:.1f}"),
        ("right terms among them", f"{found.recall:.1%}"),
        ("first ten answers kept", f"{found.overlap:.1%}"),
        ("nDCG@10", f"{found.ndcg:.3f}"),
        ("nDCG@10 where every term is scored", f"{found.exhaustive_ndcg:.3f}"),
    ]


def _intervals(values: Mapping[str, NDArray[np.float64]]) -> dict[str, Interval]:
    return {name: bootstrap_interval(column) for name, column in values.items()}


def _comparison(
    values: Mapping[str, NDArray[np.float64]],
    relevant: Sequence[Sequence[int]],
    model: str,
    scores: FloatArray,
) -> Comparison:
    others = per_question(scores, relevant)
    return Comparison(
        model=model,
        measures=_intervals(others),
        differences={name: paired_bootstrap(values[name], others[name]) for name in values},
    )


def _mistakes(
    scores: FloatArray,
    relevant: Sequence[Sequence[int]],
    questions: Sequence[JudgedQuestion],
    ndcg: NDArray[np.float64],
    glossary: Glossary,
) -> tuple[tuple[WorstQuestion, ...], tuple[Confusion, ...]]:
    order = (-scores).argsort(axis=1, kind="stable")
    places = order.argsort(axis=1, kind="stable") + 1
    terms = glossary.terms
    pairs: Counter[tuple[str, str]] = Counter()
    found: list[WorstQuestion] = []
    for number, (question, columns) in enumerate(zip(questions, relevant, strict=True)):
        first = int(order[number, 0])
        if first in columns:
            continue

        def ranked(at: int, row: int = number) -> RankedTerm:
            term = terms[at]
            return RankedTerm(term.id, term.term, int(places[row, at]), float(scores[row, at]))

        pairs[terms[columns[0]].term, terms[first].term] += 1
        found.append(
            WorstQuestion(
                question=question.question,
                ndcg=float(ndcg[number]),
                wanted=tuple(ranked(at) for at in columns),
                won=ranked(first),
            )
        )
    found.sort(key=lambda worst: (worst.ndcg, max(w.score for w in worst.wanted) - worst.won.score))
    confusions = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_CONFUSIONS]
    return (
        tuple(found[:MOST_WORST]),
        tuple(Confusion(wanted, won, count) for (wanted, won), count in confusions),
    )


def _histogram(
    scores: FloatArray, relevant: Sequence[Sequence[int]], nothing: FloatArray
) -> ScoreHistogram:
    right = np.zeros(scores.shape, dtype=bool)
    for number, columns in enumerate(relevant):
        right[number, list(columns)] = True
    groups = {
        "right": np.where(right, scores, -np.inf).max(axis=1),
        # A glossary may have no wrong term for a question.
        "wrong": np.where(right, -np.inf, scores).max(axis=1)[~right.all(axis=1)],
        "unanswerable": nothing.max(axis=1) if len(nothing) else np.empty(0),
    }
    edges = np.histogram_bin_edges(
        np.concatenate(list(groups.values())).astype(np.float64), bins=_HISTOGRAM_BINS
    )
    counts = {name: np.histogram(group, bins=edges)[0] for name, group in groups.items()}
    return ScoreHistogram(
        edges=tuple(edges.tolist()), **{name: tuple(c.tolist()) for name, c in counts.items()}
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
