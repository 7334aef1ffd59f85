"""The shipped data set has the model card's shape, and its test file is held out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from glossrank import Glossary
from glossrank.glossary import FINANCE_TERMS
from glossrank.judgments import LabelledPair, read_pairs, read_questions, statistics

TRAIN = FINANCE_TERMS / "train.csv"
TEST = FINANCE_TERMS / "test.jsonl"
SOURCE = Path(__file__).parent.parent / "datasets" / "finance-terms" / "training-questions.jsonl"


@pytest.fixture(scope="module")
def pairs() -> list[LabelledPair]:
    return read_pairs(TRAIN)


def test_the_shape_is_the_cards(pairs: list[LabelledPair]) -> None:
    with TRAIN.open(encoding="utf-8") as file:
        assert next(csv.reader(file)) == ["sentence_0", "sentence_1", "label"]
    assert len(pairs) == 563
    questions, definitions, labels = statistics(pairs)
    assert (questions.smallest, questions.largest) == (35, 82)
    assert questions.average == pytest.approx(53.88, abs=1)
    assert (definitions.smallest, definitions.largest) == (46, 175)
    assert definitions.average == pytest.approx(91.8, abs=2)
    assert labels.average == pytest.approx(0.26, abs=0.005)
    assert {p.label for p in pairs} == {0.0, 1.0}


def test_some_questions_have_typos_and_none_is_from_a_template(pairs: list[LabelledPair]) -> None:
    questions = {p.question for p in pairs}
    openings = [" ".join(q.lower().split()[:3]) for q in questions]
    assert max(openings.count(o) for o in openings) <= 5
    with SOURCE.open(encoding="utf-8") as lines:
        typos = {row["question"] for row in map(json.loads, lines) if row["typo"]}
    assert 0.1 <= len(questions & typos) / len(questions) <= 0.3


def test_every_wrong_definition_is_wrong_and_most_are_confusable(
    pairs: list[LabelledPair], glossary: Glossary
) -> None:
    by_document = {term.document: term for term in glossary.terms}
    family = {term.id: term.family for term in glossary.terms}
    with SOURCE.open(encoding="utf-8") as lines:
        source = {row["question"]: row for row in map(json.loads, lines)}
    confusable = 0
    for pair in pairs:
        row, term = source[pair.question], by_document[pair.document]
        if pair.label == 1:
            assert term.id == row["term"]
        else:
            assert term.id not in (row["term"], *row["also"])
            confusable += term.id in row["confusable"] or term.family == family[row["term"]]
    assert confusable / sum(p.label == 0 for p in pairs) > 0.5


def test_the_test_file_is_of_other_terms_and_other_wording(
    pairs: list[LabelledPair], glossary: Glossary
) -> None:
    questions = read_questions(TEST, glossary)
    assert len({q.question.lower() for q in questions}) == len(questions) >= 200
    document = {term.id: term.document for term in glossary.terms}
    trained = {pair.document for pair in pairs}
    # The first relevant term is the one the question was written for.
    assert not trained & {document[q.relevant[0]] for q in questions}
    assert not {p.question.lower() for p in pairs} & {q.question.lower() for q in questions}
    words = [set(p.question.lower().split()) for p in pairs]
    for question in questions:
        own = set(question.question.lower().split())
        assert max(len(own & other) / len(own | other) for other in words) < 0.7
