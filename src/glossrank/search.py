"""A question against a glossary, to ranked answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glossrank.answers import Answer, Answers
from glossrank.cross_encoder import CrossEncoder
from glossrank.encoding import IntArray
from glossrank.errors import InputError
from glossrank.first_stage import RESCORED, FirstStage
from glossrank.fusion import load_fusion
from glossrank.glossary import DEFAULT_TOP_K, Glossary, Term
from glossrank.model_names import DEFAULT_MODEL
from glossrank.names import Named, NamedBy, NameIndex
from glossrank.progress import progress
from glossrank.reasons import explain_answers
from glossrank.shortlist import Shortlist
from glossrank.spelling import Spelling
from glossrank.tables import require_text
from glossrank.vectors import shipped_vectors

EXHAUSTIVE_TERMS = 2000
"""Up to so many terms every one is scored."""
SHORTLIST_SIZE = 64
"""Terms of a longer glossary that the cross-encoder scores at most; benchmarks/LOG.md has the sweep."""
SHORTLIST_TOKENS = 3072
"""Tokens of their pairs at most, so that long definitions do not cost a second; the best
:data:`FEWEST_SHORTLISTED` are scored whatever their length."""
FEWEST_SHORTLISTED = 16
NAME_BONUS = {
    NamedBy.WHOLE: 8.0,
    NamedBy.ACRONYM: 1.0,
    NamedBy.NAME: 0.5,
    NamedBy.SYNONYM: 0.5,
    NamedBy.INITIALS: 6.0,
    NamedBy.COMMON_WORD: 0.0,
}
"""Added to what a term is ordered by if the question names it; counts in the probability.
Fitted on naming-dev.jsonl of finance-terms-large, where initials are what the model knows least;
that a question which is nothing but a name gets that term is a rule (benchmarks/LOG.md)."""
MOST_EXPLAINED = 10
"""Answers that get reasons: each costs as much as a dozen terms."""
AMBIGUOUS_LEAD = 0.5
"""Of the two first answers: less between what they are ordered by is no decision. benchmarks/LOG.md."""

FloatArray = NDArray[np.float32]
RowArray = NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """What the model said of the terms it read.

    Attributes:
        read_as: the question as it was read.
        rows: int64 ``[n]``, which terms, in the searcher's order.
        logits: fp32 ``[n]``.
        cosines: fp32 ``[n]``, of the static vectors of question and term.
        bonus: fp32 ``[n]``, for being named in the question.
        named: row to how it is named.
    """

    read_as: str
    rows: RowArray
    logits: FloatArray
    cosines: FloatArray
    bonus: FloatArray
    named: dict[int, Named]


class Searcher:
    """A glossary made ready for one model: definitions tokenised, names and words indexed.

    Safe to use from several threads. What a question is answered with depends on the question
    and the contents of the glossary alone: terms are scored in the order of their ids, one
    question to a batch, so that neither the glossary's order, nor other questions, nor threads
    change a bit of it.

    Attributes:
        terms, documents: in the order of ids; row numbers count in it.
        order: place in the glossary of each row.
        first_stage: what scores every term before ``model`` reads the best, if anything does.

    Args:
        model: a loaded one, or a packaged name, folder or hub id; else the shipped one.
        exhaustive: up to so many terms every one is scored.
        shortlist: of a longer glossary, so many are at most.
        shortlist_tokens: and so many tokens of question and definition together; None for no
            bound.
        first_stage: a model that definitions are indexed with. It scores every term of a
            glossary up to ``exhaustive``, several times faster, and ``model`` then reads the best
            :data:`~glossrank.first_stage.RESCORED` and those that the question names.
        index: a saved index for it, see ``glossrank index``.

    Raises:
        ValueError: a number below 1, or an index without a first stage.
        InputError: a first stage for a glossary longer than ``exhaustive``.
        GlossrankError: as :class:`CrossEncoder` for the models' names.
        IndexFileError: the saved index is not of this glossary and first stage.
    """

    def __init__(
        self,
        glossary: Glossary,
        model: str | CrossEncoder | None = None,
        *,
        exhaustive: int = EXHAUSTIVE_TERMS,
        shortlist: int = SHORTLIST_SIZE,
        shortlist_tokens: int | None = SHORTLIST_TOKENS,
        first_stage: str | CrossEncoder | None = None,
        index: Path | None = None,
    ) -> None:
        if exhaustive < 1 or shortlist < 1:
            raise ValueError(
                f"exhaustive and shortlist must be at least 1: {exhaustive}, {shortlist}."
            )
        self.glossary = glossary
        self.model = _loaded(model or DEFAULT_MODEL)
        self.order = sorted(range(len(glossary)), key=lambda at: glossary.terms[at].id)
        self.terms = tuple(glossary.terms[at] for at in self.order)
        self.documents = tuple(glossary.documents[at] for at in self.order)
        self.shortlist_tokens = shortlist_tokens
        self.shortlist_size = None if len(glossary) <= exhaustive else shortlist
        self.fusion = load_fusion(self.model.model_path)
        self._spelling = Spelling(self.documents)
        self._names = NameIndex(self.terms)
        self._token_ids: list[IntArray | None] = [None] * len(self.terms)
        self.first_stage = self._first_stage(first_stage, index)

    def _first_stage(
        self, model: str | CrossEncoder | None, index: Path | None
    ) -> FirstStage | None:
        own = self.model.indexed_engine is not None and self.shortlist_size is None
        if model is None and own:
            model = self.model
        if model is None:
            if index is not None:
                raise ValueError("a saved index needs first_stage, the model that made it.")
            return None
        if self.shortlist_size is not None:
            raise InputError(
                expected="a glossary whose every term is read, for a first stage to read it",
                found=f"{len(self.terms)} terms, of which only a shortlist is read",
                fix="Ask without a first stage and without an index.",
            )
        return FirstStage(_loaded(model), self.documents, index=index)

    def token_ids(self, rows: Sequence[int]) -> list[IntArray]:
        """Token ids of the documents; each is cut once, when it is first needed, and kept."""
        missing = [row for row in rows if self._token_ids[row] is None]
        ids = self.model.tokenize([self.documents[row] for row in missing])
        for row, tokens in zip(missing, ids, strict=True):
            self._token_ids[row] = tokens
        return [found for row in rows if (found := self._token_ids[row]) is not None]

    @cached_property
    def _vectors(self) -> NDArray[np.float16]:
        return shipped_vectors().encode(self.documents).astype(np.float16)

    @cached_property
    def shortlist(self) -> Shortlist:
        """The index that a long glossary is shortlisted with."""
        return Shortlist(self.documents, self._vectors)

    def prepare(self) -> None:
        """Make now what the first question would have to wait for."""
        len(self._vectors)
        if self.first_stage is not None:
            len(self.first_stage.index)
        elif self.shortlist_size is None:
            self.token_ids(range(len(self.terms)))
        else:
            self.shortlist.scores("a")

    def read(self, question: str, *, as_typed: bool = False) -> str:
        """The question as the model reads it.

        Raises:
            InputError: it is empty or not valid Unicode.
        """
        require_text(question, name="the question")
        if not any(char.isalnum() for char in question):
            raise InputError(
                expected="words as the question",
                found=repr(question)[:80],
                fix="Write it in plain words.",
            )
        return question if as_typed else self._spelling.correct(question)

    def score(self, question: str, *, as_typed: bool = False, exhaustive: bool = False) -> Scored:
        """The model's logits for all terms, or for the shortlisted ones.

        Args:
            exhaustive: score every term, however many there are.
        """
        read_as = self.read(question, as_typed=as_typed)
        named = {found.row: found for found in self._names.find(read_as)}
        if self.shortlist_size is None or exhaustive:
            rows = np.arange(len(self.terms))
        else:
            rows = self.shortlist_rows(
                read_as, self.shortlist_size, tokens=self.shortlist_tokens, named=sorted(named)
            )
        bonus = np.zeros(len(rows), dtype=np.float32)
        for row, found in named.items():
            bonus[np.searchsorted(rows, row)] = NAME_BONUS[found.by]
        cosines = self._vectors[rows] @ shipped_vectors().encode([read_as])[0]
        logits = (
            self._logits(read_as, rows)
            if self.first_stage is None
            else self.first_stage.logits(read_as)
        )
        scored = Scored(read_as, rows, logits, cosines, bonus, named)
        if self.first_stage is None or self.first_stage.model is self.model:
            return scored
        return self._rescored(scored)

    def _rescored(self, scored: Scored) -> Scored:
        """With the full model's logits for the best terms and those that are named."""
        best = np.argsort(-self.order_by(scored), kind="stable")[:RESCORED]
        rows = np.union1d(best, np.array(sorted(scored.named), dtype=np.int64))
        logits = scored.logits.copy()
        logits[rows] = self._logits(scored.read_as, rows)
        return replace(scored, logits=logits)

    def order_by(self, scored: Scored) -> FloatArray:
        """fp32 ``[n]``: what answers are ordered by (:mod:`glossrank.fusion`)."""
        return scored.logits + self.fusion.cosine_weight * scored.cosines + scored.bonus

    def shortlist_rows(
        self,
        read_as: str,
        size: int,
        *,
        tokens: int | None = None,
        named: Sequence[int] | None = None,
    ) -> RowArray:
        """int64, ascending: the ``size`` best rows of the shortlist, and the named ones.

        Args:
            tokens: of all pairs together; the rows that would go beyond are left out.
            named: rows of the terms that the question names, where they are known already.
        """
        if named is None:
            named = [found.row for found in self._names.find(read_as)]
        rows = self.shortlist.rows(read_as, size=size)
        if tokens is not None:
            asked = len(self.model.tokenize([read_as])[0])
            lengths = [
                min(asked + len(i), self.model.max_seq_length)
                for i in self.token_ids(rows.tolist())
            ]
            fitting = int((np.cumsum(lengths) <= tokens).sum())
            rows = rows[: max(fitting, FEWEST_SHORTLISTED)]
        return np.union1d(rows, np.array(named, dtype=np.int64))

    def _logits(self, read_as: str, rows: RowArray) -> FloatArray:
        # Terms that read alike are scored once, so that they tie exactly.
        first: dict[str, int] = {}
        place = [first.setdefault(self.documents[row], len(first)) for row in rows.tolist()]
        query = self.model.tokenize([read_as])[0]
        distinct = dict(zip(reversed(place), reversed(rows.tolist()), strict=True))
        documents = self.token_ids([distinct[at] for at in range(len(first))])
        return self.model.logits_of_ids([(query, document) for document in documents])[place]

    def search(
        self,
        question: str,
        top_k: int | None = DEFAULT_TOP_K,
        *,
        as_typed: bool = False,
        explain: bool = False,
    ) -> Answers:
        """The best terms for a question.

        Answers are ordered by :meth:`order_by`; equal ones by term id.

        Args:
            top_k: how many; None for every scored term.
            as_typed: leave slips in the question as they are; else they are corrected, with the
                glossary's words among the right ones.
            explain: also say which words of the question and which part of the definition
                carried each of the first ten answers; costs some 15 more pairs an answer.

        Raises:
            InputError: the question is empty or not valid Unicode.
            ValueError: ``top_k`` is below 1.
        """
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}.")
        scored = self.score(question, as_typed=as_typed)
        answers = self._answers(scored, top_k)
        if not explain:
            return answers
        explained, rest = answers[:MOST_EXPLAINED], answers[MOST_EXPLAINED:]
        reasons = explain_answers(
            self.model, scored.read_as, [a.term for a in explained], template=self.glossary.template
        )
        best = tuple(replace(a, reasons=r) for a, r in zip(explained, reasons, strict=True))
        return replace(answers, best=best + rest)

    def search_many(
        self,
        questions: Sequence[str],
        top_k: int | None = DEFAULT_TOP_K,
        *,
        as_typed: bool = False,
        show_progress_bar: bool = False,
    ) -> Iterator[Answers]:
        """Answers to each question, in order, each as :meth:`search` gives them.

        A question that occurs again is not scored again.

        Raises:
            InputError: a question is empty; when the first answer is asked for.
        """
        for question in questions:
            require_text(question, name="a question")
        known: dict[str, Answers] = {}
        last = {question: at for at, question in enumerate(questions)}
        bar = progress("questions", total=len(questions), shown=show_progress_bar)
        with bar as advance:
            for at, question in enumerate(questions):
                answers = known.get(question)
                if answers is None:
                    answers = self.search(question, top_k, as_typed=as_typed)
                if last[question] > at:
                    known[question] = answers
                else:
                    known.pop(question, None)
                advance()
                yield answers

    def _answers(self, scored: Scored, top_k: int | None) -> Answers:
        order_by = self.order_by(scored)
        # Rows are in the order of ids, so a stable sort breaks ties by id.
        order = _with_named(np.argsort(-order_by, kind="stable"), scored, top_k)
        scores = self.model.activation_fn(scored.logits)
        calibration = self.fusion.calibration
        probabilities, answered, nothing = None, None, False
        if calibration is not None:
            probabilities = calibration.probability(order_by)
            answered = float(calibration.answered(order_by))
            nothing = answered < calibration.threshold
        best = []
        for place, at in enumerate(order, start=1):
            row = int(scored.rows[at])
            named = scored.named.get(row)
            best.append(
                Answer(
                    place=place,
                    term=self.terms[row],
                    score=float(scores[at]),
                    probability=None if probabilities is None else float(probabilities[at]),
                    logit=float(scored.logits[at]),
                    named=None if named is None else named.reason,
                )
            )
        return Answers(
            tuple(best),
            scored.read_as,
            answered,
            nothing,
            () if nothing else self._ambiguous(order_by, scored.rows),
            len(scored.rows),
        )

    def _ambiguous(self, order_by: FloatArray, rows: RowArray) -> tuple[Term, ...]:
        if len(rows) < 2:
            return ()
        first, second = np.argsort(-order_by, kind="stable")[:2]
        terms = (self.terms[rows[first]], self.terms[rows[second]])
        close = order_by[first] - order_by[second] < AMBIGUOUS_LEAD
        kin = terms[0].family and terms[0].family == terms[1].family
        return terms if close and kin else ()


def ask(
    question: str,
    *,
    glossary: Glossary,
    model: CrossEncoder,
    top_k: int | None = None,
    as_typed: bool = False,
) -> Answers:
    """``glossary.searcher(model).search(...)`` with all scored terms by default.

    Raises:
        InputError: the question is empty or not valid Unicode.
    """
    return glossary.searcher(model).search(question, top_k, as_typed=as_typed)


def _loaded(model: str | CrossEncoder) -> CrossEncoder:
    return model if isinstance(model, CrossEncoder) else _by_name(model)


@lru_cache(maxsize=3)
def _by_name(name: str) -> CrossEncoder:
    """Several glossaries of one process share a model."""
    return CrossEncoder(name)


def _with_named(order: RowArray, scored: Scored, top_k: int | None) -> list[int]:
    """The first ``top_k`` places, the last of them given up to named terms that would be cut.

    The first place is never given up: the best answer does not depend on ``top_k``.
    """
    places: list[int] = order.tolist()
    if top_k is None or top_k >= len(places):
        return places
    shown, cut = places[:top_k], places[top_k:]
    missing = [at for at in cut if int(scored.rows[at]) in scored.named]
    spare = [at for at in shown[1:] if int(scored.rows[at]) not in scored.named]
    for at, gone in zip(missing, reversed(spare), strict=False):
        shown.remove(gone)
        shown.append(at)
    return shown
