"""Scores and labels to figures. Takes arrays, never models."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossrank.calibration import (
    SHOWN_ANSWERS,
    Calibration,
    auroc,
    expected_calibration_error,
    reliability,
)
from glossrank.errors import MissingExtraError
from glossrank.glossary import Glossary
from glossrank.judgments import JudgedQuestion
from glossrank.stems import content_stems

MEASURES = ("nDCG@10", "RR@10", "P@1")
"""ir_measures' names; RR@10 is the reciprocal rank whose mean is MRR@10."""
QUESTION_MEASURES = (*MEASURES, "R@5", "R@10", "R@20")
"""What :func:`per_question` gives; higher is better in all of them."""
DEFAULT_RESAMPLES = 10_000
DEFAULT_SEED = 0
LONG_QUESTION = 80
"""Characters above which a question counts as long."""

# 95 %.
_PERCENTILES = (2.5, 97.5)
# How many numbers a bootstrap holds at once; 16 MB.
_DRAWS_AT_ONCE = 2_000_000

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """A mean over questions and its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """New minus old over the same questions, its 95% interval and two-sided p-value."""

    difference: float
    low: float
    high: float
    p_value: float

    @property
    def verdict(self) -> str:
        """What the interval shows, for measures of which more is better."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no difference shown"


@dataclass(frozen=True)
class NoneFigures:
    """How well a model tells questions with an answer from those that nothing answers.

    A figure is None where what it needs is missing: questions that nothing answers
    (``auroc``, ``false_answer_rate``), or a calibration (all but ``auroc``).

    Attributes:
        answerable, unanswerable: numbers of questions.
        threshold: probability that an answer is right, from which answers are shown.
        auroc: chance that an answerable question scores above an unanswerable one: by that
            probability, or by the first logit where there is no calibration.
        false_answer_rate: share of the unanswerable questions that get an answer.
        wrongly_withheld_rate: share of the answerable questions whose first answer is right
            and withheld.
        right_overall: share of all questions handled rightly: the right first answer shown,
            or nothing shown where nothing fits.
        calibration_error: expected calibration error of the first answers of all questions;
            no answer to an unanswerable question is right.
        calibration_error_shown: the same over the first ten answers of every question.
        bins: for each bin of the first: mean probability, share that was right, count.
    """

    answerable: int
    unanswerable: int
    threshold: float | None
    auroc: float | None
    false_answer_rate: float | None
    wrongly_withheld_rate: float | None
    right_overall: float | None
    calibration_error: float | None
    calibration_error_shown: float | None
    bins: tuple[tuple[float, float, int], ...]


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
    ir_measures = _ir_measures()
    run, qrels = _run_and_qrels(ir_measures, scores, relevant)
    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    values = ir_measures.calc_aggregate(measures, qrels, run)
    return {name: float(values[m]) for name, m in zip(MEASURES, measures, strict=True)}


def per_question(
    scores: FloatArray, relevant: Sequence[Sequence[int]]
) -> Mapping[str, NDArray[np.float64]]:
    """The values of ``QUESTION_MEASURES`` by ir_measures, ``[questions]`` each, in order.

    Args:
        scores, relevant: as in :func:`ranking_measures`.

    Raises:
        MissingExtraError: ir_measures is not installed.
        ValueError: a question has no relevant column (trec_eval would drop it from every
            mean; see :func:`none_figures`), or the two differ in length.
    """
    ir_measures = _ir_measures()
    for number, columns in enumerate(relevant):
        if not columns:
            raise ValueError(f"question {number} has no relevant column.")
    run, qrels = _run_and_qrels(ir_measures, scores, relevant)
    measures = {ir_measures.parse_measure(name): name for name in QUESTION_MEASURES}
    values = {name: np.full(len(scores), np.nan) for name in QUESTION_MEASURES}
    for found in ir_measures.iter_calc(list(measures), qrels, run):
        values[measures[found.measure]][int(found.query_id)] = found.value
    lost = [name for name, column in values.items() if np.isnan(column).any()]
    if lost:
        raise ValueError(f"ir_measures gave no {', '.join(lost)} for some questions.")
    return values


def bootstrap_interval(
    values: FloatArray, *, seed: int = DEFAULT_SEED, resamples: int = DEFAULT_RESAMPLES
) -> Interval:
    """The mean and its percentile bootstrap 95% interval (Efron and Tibshirani 1993, ch. 13).

    Args:
        values: ``[questions]``, at least one.

    Raises:
        ValueError: there is no value.
    """
    low, high = np.percentile(
        _resampled_means(values, seed=seed, resamples=resamples), _PERCENTILES
    )
    return Interval(float(np.mean(values)), float(low), float(high))


def paired_bootstrap(
    new: FloatArray,
    old: FloatArray,
    *,
    seed: int = DEFAULT_SEED,
    resamples: int = DEFAULT_RESAMPLES,
) -> PairedDifference:
    """Mean difference of two rankers over the same questions, by the percentile bootstrap.

    The p-value is twice the smaller share of resampled differences on one side of 0, so that
    it agrees with the interval; 1 is added to both counts, since no finite number of
    resamples shows a p-value of 0 (Davison and Hinkley 1997, section 4.4).

    Args:
        new, old: ``[questions]`` each, in the same order, at least one.

    Raises:
        ValueError: they differ in length, or are empty.
    """
    if len(new) != len(old):
        raise ValueError(f"{len(new)} new values, but {len(old)} old ones.")
    differences = np.asarray(new, dtype=np.float64) - np.asarray(old, dtype=np.float64)
    # Rounded, because a sum that is 0 on paper may miss it by the last bit.
    means = _resampled_means(differences, seed=seed, resamples=resamples).round(12)
    low, high = np.percentile(means, _PERCENTILES)
    fewest = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return PairedDifference(
        difference=float(differences.mean()),
        low=float(low),
        high=float(high),
        p_value=min(1.0, 2 * (fewest + 1) / (resamples + 1)),
    )


def slices(
    questions: Sequence[JudgedQuestion],
    glossary: Glossary,
    trained_terms: Collection[str] | None = None,
) -> dict[str, BoolArray]:
    """Kinds of questions that are worth a figure of their own, as masks ``[questions]``.

    - "typo", "no typo": as the file says.
    - "no shared word", "shared word": whether a content word of the question is in the name
      of a relevant term. Words are compared by a crude stem.
    - "confusable": the name of a relevant term shares a content word with the name of
      another term of its own family.
    - "unseen term", "seen term": whether no relevant term is in ``trained_terms``; only if
      they are given.
    - "long question": more than ``LONG_QUESTION`` characters.

    A slice without a question is left out.

    Args:
        questions: each with at least one relevant term, all of them in the glossary.
        trained_terms: ids of the terms that a model was trained on.

    Raises:
        ValueError: a question has no relevant term.
    """
    words = {term.id: content_stems(term.term) for term in glossary.terms}
    confusable = _confusable_terms(glossary, words)
    typo, shared, similar, seen, long = (np.zeros(len(questions), dtype=bool) for _ in range(5))
    for number, question in enumerate(questions):
        if not question.relevant:
            raise ValueError(f"question {number} has no relevant term.")
        names = frozenset().union(*(words[term_id] for term_id in question.relevant))
        typo[number] = question.typo
        shared[number] = bool(content_stems(question.question) & names)
        similar[number] = not confusable.isdisjoint(question.relevant)
        seen[number] = any(term_id in (trained_terms or ()) for term_id in question.relevant)
        long[number] = len(question.question) > LONG_QUESTION
    masks = {
        "typo": typo,
        "no typo": ~typo,
        "no shared word": ~shared,
        "shared word": shared,
        "confusable": similar,
    }
    if trained_terms is not None:
        masks |= {"unseen term": ~seen, "seen term": seen}
    masks["long question"] = long
    return {name: mask for name, mask in masks.items() if mask.any()}


def none_figures(
    answerable: FloatArray,
    relevant: Sequence[Sequence[int]],
    unanswerable: FloatArray,
    *,
    calibration: Calibration | None,
) -> NoneFigures:
    """Figures over all questions, those that nothing answers included.

    Args:
        answerable: logits ``[questions, documents]``; ``relevant`` are the columns that
            answer each.
        unanswerable: logits ``[questions, documents]`` of those that nothing answers; may
            have no row.
        calibration: None where the model has none, or its scores are no logits.

    Raises:
        ValueError: scores and relevant columns differ in length, or there is no question.
    """
    if len(answerable) != len(relevant):
        raise ValueError(f"{len(answerable)} rows, but {len(relevant)} of relevant columns.")
    if not len(answerable) + len(unanswerable):
        raise ValueError("there is no question.")
    rows = np.concatenate([answerable, unanswerable]) if len(unanswerable) else answerable
    logits, right = shown_answers(rows, [*relevant, *[()] * len(unanswerable)])
    first_logits, first_right = logits[:, 0], right[:, 0]
    nothing = np.arange(len(logits)) >= len(answerable)
    signal = first_logits if calibration is None else calibration.answered(logits)
    ordered = None
    if nothing.any() and not nothing.all():
        ordered = auroc(signal[~nothing], signal[nothing])
    if calibration is None:
        return NoneFigures(
            answerable=len(answerable),
            unanswerable=len(unanswerable),
            threshold=None,
            auroc=ordered,
            false_answer_rate=None,
            wrongly_withheld_rate=None,
            right_overall=None,
            calibration_error=None,
            calibration_error_shown=None,
            bins=(),
        )
    probabilities = calibration.probability(logits)
    first = probabilities[:, 0]
    shown = signal >= calibration.threshold
    return NoneFigures(
        answerable=len(answerable),
        unanswerable=len(unanswerable),
        threshold=calibration.threshold,
        auroc=ordered,
        false_answer_rate=float(shown[nothing].mean()) if nothing.any() else None,
        wrongly_withheld_rate=(
            float((first_right & ~shown)[~nothing].mean()) if not nothing.all() else None
        ),
        right_overall=float(np.where(nothing, ~shown, shown & first_right).mean()),
        calibration_error=expected_calibration_error(first, first_right),
        calibration_error_shown=expected_calibration_error(probabilities.ravel(), right.ravel()),
        bins=tuple(reliability(first, first_right)),
    )


@dataclass(frozen=True)
class ShortlistFigures:
    """What is lost where only shortlisted terms are scored.

    Attributes:
        size: terms that are scored, on average.
        recall: share of the right terms that are among them.
        overlap: share of the ten first answers of all terms that are still among the ten first.
        ndcg, exhaustive_ndcg: nDCG@10 with and without the shortlist.
    """

    size: float
    recall: float
    overlap: float
    ndcg: float
    exhaustive_ndcg: float


def shortlist_figures(
    scores: FloatArray, relevant: Sequence[Sequence[int]], kept: BoolArray
) -> ShortlistFigures:
    """The same scores with and without the terms that a shortlist leaves out.

    Args:
        scores: ``[questions, terms]``, higher is better.
        relevant: columns that answer each question, at least one each.
        kept: ``[questions, terms]``, whether a term is on the shortlist.
    """
    tops = (-scores).argsort(axis=1, kind="stable")[:, :SHOWN_ANSWERS]
    # Every term of the ten that is on the shortlist is among its ten too.
    overlap = np.take_along_axis(kept, tops, axis=1).mean()
    recall = [float(kept[row, list(columns)].mean()) for row, columns in enumerate(relevant)]
    # A term that is not scored is nowhere, also where fewer than ten are: its places count for
    # terms that answer nothing.
    width = np.full((len(scores), SHOWN_ANSWERS), scores.min() - 1)
    shortlisted = np.concatenate([np.where(kept, scores, scores.min() - 2), width], axis=1)
    return ShortlistFigures(
        size=float(kept.sum(axis=1).mean()),
        recall=float(np.mean(recall)),
        overlap=float(overlap),
        ndcg=float(per_question(shortlisted, relevant)["nDCG@10"].mean()),
        exhaustive_ndcg=float(per_question(scores, relevant)["nDCG@10"].mean()),
    )


def shown_answers(
    scores: FloatArray, relevant: Sequence[Sequence[int]]
) -> tuple[FloatArray, BoolArray]:
    """Scores of each question's first ten answers, best first, and whether each is right.

    Args:
        scores: ``[questions, documents]``, higher is better.
        relevant: the columns that answer each question; none where nothing does.

    Returns:
        Two arrays ``[questions, min(documents, SHOWN_ANSWERS)]``.
    """
    order = (-scores).argsort(axis=1, kind="stable")[:, :SHOWN_ANSWERS]
    right = np.zeros(scores.shape, dtype=bool)
    for number, columns in enumerate(relevant):
        right[number, list(columns)] = True
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(right, order, axis=1)


def _ir_measures() -> Any:
    try:
        import ir_measures
    except ImportError as error:
        raise MissingExtraError(
            feature="evaluation", extra="train", missing="ir_measures"
        ) from error
    return ir_measures


def _run_and_qrels(
    ir_measures: Any, scores: FloatArray, relevant: Sequence[Sequence[int]]
) -> tuple[list[Any], list[Any]]:
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
    return run, qrels


def _resampled_means(values: FloatArray, *, seed: int, resamples: int) -> NDArray[np.float64]:
    """``[resamples]`` means of as many draws with replacement as there are values."""
    if not len(values):
        raise ValueError("at least one value is needed.")
    # A measure takes few different values. How often each is drawn is multinomial, which
    # is the same as drawing questions, and many times faster.
    levels, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    random = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // len(levels))
    return np.concatenate(
        [
            random.multinomial(
                len(values), counts / len(values), size=min(at_once, resamples - start)
            )
            @ levels
            for start in range(0, resamples, at_once)
        ]
    ) / len(values)


def _confusable_terms(glossary: Glossary, words: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Ids of the terms that share a word with another one of their family."""
    families = defaultdict(list)
    for term in glossary.terms:
        if term.family:
            families[term.family].append(term.id)
    found: set[str] = set()
    for family in families.values():
        uses = Counter(word for term_id in family for word in words[term_id])
        found.update(i for i in family if any(uses[word] > 1 for word in words[i]))
    return frozenset(found)
