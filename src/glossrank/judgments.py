"""Labelled pairs and judged questions: read, validate, describe.

A pairs file has the model card's columns: ``sentence_0`` (question), ``sentence_1``
(definition) and ``label`` (relevance from 0 to 1).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from glossrank.errors import InputError, PairsError
from glossrank.glossary import Glossary
from glossrank.tables import Row, cell_text, read_rows, read_texts

TEXT_COLUMNS = ("sentence_0", "sentence_1")
PAIR_COLUMNS = (*TEXT_COLUMNS, "label")


@dataclass(frozen=True)
class LabelledPair:
    """A question, a definition, and how relevant it is, from 0 to 1; ``line`` in its file."""

    question: str
    document: str
    label: float
    line: int


@dataclass(frozen=True)
class JudgedQuestion:
    """A question and the ids of every term that answers it, the best one first.

    ``relevant`` is empty for a question that nothing in the glossary answers.
    """

    question: str
    relevant: tuple[str, ...]
    typo: bool


@dataclass(frozen=True)
class ColumnStatistics:
    """Smallest, mean and largest value: characters for a text, the number for a label."""

    name: str
    kind: str
    smallest: float
    average: float
    largest: float


def inspect_pairs(path: Path) -> tuple[list[LabelledPair], list[InputError]]:
    """The good pairs of a file, and one error for each bad row.

    Raises:
        InputError: the file as a whole cannot be read, or has no row.
    """
    pairs: list[LabelledPair] = []
    problems: list[InputError] = []
    seen: dict[tuple[str, str], LabelledPair] = {}
    for row in read_rows(path, columns=PAIR_COLUMNS):
        checked = row if isinstance(row, InputError) else _labelled_pair(path, row)
        if isinstance(checked, InputError):
            problems.append(checked)
            continue
        first = seen.setdefault((checked.question, checked.document), checked)
        if first.label != checked.label:
            problems.append(_contradiction(path, first, checked))
            continue
        pairs.append(checked)
    if not pairs and not problems:
        raise InputError(
            file=path, expected="at least one pair", found="none", fix="Fill the file."
        )
    return pairs, problems


def read_pairs(path: Path) -> list[LabelledPair]:
    """The pairs of a file in which every row is right.

    Raises:
        PairsError: rows are wrong; it names each by line.
        InputError: the file as a whole cannot be read.
    """
    pairs, problems = inspect_pairs(path)
    if problems:
        raise PairsError(file=path, problems=problems)
    return pairs


def read_text_pairs(path: Path) -> list[tuple[str, str]]:
    """Pairs without labels, for scoring; the errors are those of :func:`read_pairs`."""
    pairs: list[tuple[str, str]] = []
    problems: list[InputError] = []
    for row in read_rows(path, columns=TEXT_COLUMNS):
        checked = row if isinstance(row, InputError) else text_pair(path, row)
        if isinstance(checked, InputError):
            problems.append(checked)
        else:
            pairs.append(checked)
    if problems:
        raise PairsError(file=path, problems=problems)
    return pairs


def read_question_texts(path: Path) -> list[str]:
    """Questions of a file of lines, or of rows with a column ``question``; blank lines are none.

    Raises:
        InputError: the file cannot be read, a row is broken, or there is no question.
    """
    return read_texts(path, column="question")


def read_questions(
    path: Path, glossary: Glossary | None, *, allow_none: bool = False
) -> list[JudgedQuestion]:
    """Judged questions: JSONL with ``question``, ``relevant`` (term ids) and ``typo``.

    Args:
        allow_none: accept ``"relevant": []``, a question that nothing answers.

    Raises:
        InputError: a row is broken, or names a term that the glossary does not have.
    """
    known = None if glossary is None else {term.id for term in glossary.terms}
    questions: list[JudgedQuestion] = []
    for row in read_rows(path, columns=("question", "relevant")):
        if isinstance(row, InputError):
            raise row
        text = cell_text(path, row, "question")
        if isinstance(text, InputError):
            raise text
        relevant = row.values["relevant"]
        ids = relevant if isinstance(relevant, list) else []
        strangers = [
            t for t in ids if not isinstance(t, str) or (known is not None and t not in known)
        ]
        missing = not ids and not (allow_none and relevant == [])
        if missing or strangers or len(set(ids)) < len(ids):
            raise InputError(
                file=path,
                line=row.line,
                expected="different ids of terms"
                + ("" if glossary is None else f" of the glossary {glossary.name}"),
                found=repr(strangers or relevant),
                fix="Correct the ids, or give the glossary that belongs to the questions.",
            )
        questions.append(
            JudgedQuestion(
                question=text, relevant=tuple(ids), typo=row.values.get("typo", False) is True
            )
        )
    if not questions:
        raise InputError(
            file=path, expected="at least one question", found="none", fix="Fill the file."
        )
    return questions


def part_of(questions: Sequence[JudgedQuestion], *, every: int) -> list[JudgedQuestion]:
    """One ``every``-th of the questions, rounded up, in their order; always the same ones.

    Drawn at random: files list a term's questions together, and often in one order of kinds,
    so that each third row may be no fair sample.
    """
    size = -(-len(questions) // every)
    rows = random.Random(0).sample(range(len(questions)), size)
    return [questions[row] for row in sorted(rows)]


def is_questions_file(path: Path) -> bool:
    """Whether the first record is a judged question (a column ``relevant``), not a pair.

    Raises:
        InputError: the file as a whole cannot be read.
    """
    first = next(read_rows(path, columns=()), None)
    return isinstance(first, Row) and "relevant" in first.values


def read_trained_terms(path: Path, glossary: Glossary) -> frozenset[str]:
    """Ids of the terms that a file of training questions names under ``relevant``.

    Training questions may also be about terms of other glossaries.

    Raises:
        InputError: a row is broken, or no row names a term of the glossary.
    """
    found: set[str] = set()
    for row in read_rows(path, columns=("relevant",)):
        if isinstance(row, InputError):
            raise row
        ids = row.values["relevant"]
        if not isinstance(ids, list) or not all(isinstance(term_id, str) for term_id in ids):
            raise InputError(
                file=path,
                line=row.line,
                expected="a list of term ids under 'relevant'",
                found=repr(ids),
                fix="Give the questions that the model was trained on.",
            )
        found.update(ids)
    if not found & {term.id for term in glossary.terms}:
        raise InputError(
            file=path,
            expected=f"questions about terms of the glossary {glossary.name}",
            found="none",
            fix="Give the glossary that belongs to the questions.",
        )
    return frozenset(found)


def statistics(pairs: Sequence[LabelledPair]) -> list[ColumnStatistics]:
    """The model card's statistics table: a line for each column, of at least one pair."""
    columns: list[tuple[str, str, list[float]]] = [
        ("sentence_0", "string", [len(p.question) for p in pairs]),
        ("sentence_1", "string", [len(p.document) for p in pairs]),
        ("label", "float", [p.label for p in pairs]),
    ]
    return [
        ColumnStatistics(name, kind, min(values), mean(values), max(values))
        for name, kind, values in columns
    ]


def _labelled_pair(path: Path, row: Row) -> LabelledPair | InputError:
    texts = text_pair(path, row)
    if isinstance(texts, InputError):
        return texts
    value = row.values["label"]
    try:
        label = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        label = math.nan
    # NaN fails the comparison too.
    if not 0 <= label <= 1:
        return InputError(
            file=path,
            line=row.line,
            expected="a label from 0 (irrelevant) to 1 (relevant)",
            found=repr(value),
            fix="Write 0, 1, or a number between.",
        )
    return LabelledPair(question=texts[0], document=texts[1], label=label, line=row.line)


def text_pair(path: Path, row: Row) -> tuple[str, str] | InputError:
    """The two texts of a row, or the error that it deserves."""
    first, second = (cell_text(path, row, name) for name in TEXT_COLUMNS)
    if isinstance(first, InputError):
        return first
    if isinstance(second, InputError):
        return second
    return first, second


def _contradiction(path: Path, first: LabelledPair, second: LabelledPair) -> InputError:
    return InputError(
        file=path,
        line=second.line,
        expected=f"the label {first.label} that the same pair has on line {first.line}",
        found=str(second.label),
        fix="Decide on one of the two and remove the other row.",
    )
