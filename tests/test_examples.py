from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from glossrank.errors import InputError
from glossrank.glossary import Glossary, Term
from glossrank.judgments import JudgedQuestion, LabelledPair
from glossrank.training.examples import (
    FORMS,
    Candidate,
    TeacherGroup,
    from_pairs,
    from_questions,
    read_teacher_groups,
)


def pair(question: str, document: str, label: float) -> LabelledPair:
    return LabelledPair(question, document, label, 2)


def glossary(*terms: tuple[str, str, str], split: str = "") -> Glossary:
    return Glossary("some", tuple(Term(i, name, text, "kin", split) for i, name, text in terms))


STANDARD = glossary(("dso", "DSO", "days until paid"), ("capex", "Capex", "money for assets"))
SHORT = glossary(("dso", "Days sales", "wait for cash"), ("tax", "Tax", "owed to the state"))


def test_pairs_become_examples_over_their_documents() -> None:
    data = from_pairs(
        [
            pair("who pays?", "customers", 1.0),
            pair("how much?", "tax", 0.5),
            pair("who pays?", "tax", 0.0),
            pair("who pays?", "debtors", 1.0),
            pair("how much?", "customers", 0.49),
            pair("who pays?", "customers", 1.0),
        ]
    )
    assert [(c.name, c.texts) for c in data.candidates] == [
        ("", ("customers",)),
        ("", ("tax",)),
        ("", ("debtors",)),
    ]
    assert len({c.id for c in data.candidates}) == 3
    assert [(e.question, e.right, e.wrong, e.typo) for e in data.examples] == [
        ("who pays?", (0, 2), (1,), False),
        ("how much?", (1,), (0,), False),
    ]


def test_documents_about_one_thing_are_wordings_of_one_candidate() -> None:
    data = from_pairs(
        [
            pair("how long?", "DSO can be defined as days until paid", 1.0),
            pair("how long?", "Capex can be defined as money for assets", 0.0),
            pair("how slow?", "dso  can be defined as wait for cash", 1.0),
            pair("how slow?", "Owed to the state", 0.0),
            pair("how slow?", "owed to  the state", 0.0),
            # Another wording of the right answer is no wrong one.
            pair("how long?", "dso  can be defined as wait for cash", 0.0),
        ]
    )
    assert [c.texts for c in data.candidates] == [
        ("DSO can be defined as days until paid", "dso  can be defined as wait for cash"),
        ("Capex can be defined as money for assets",),
        ("Owed to the state", "owed to  the state"),
    ]
    assert [(e.right, e.wrong) for e in data.examples] == [((0,), (1,)), ((0,), (2,))]


def test_a_question_of_which_no_answer_is_listed_is_no_example() -> None:
    data = from_pairs([pair("who pays?", "tax", 0.0), pair("how much?", "tax", 1.0)])
    assert [e.question for e in data.examples] == ["how much?"]


def test_each_glossary_gives_a_wording() -> None:
    questions = [
        JudgedQuestion("how long until payed?", ("dso",), typo=True),
        JudgedQuestion("tax or assets?", ("tax", "capex"), typo=False),
        JudgedQuestion("what is for lunch?", (), typo=False),
    ]
    data = from_questions(questions, [STANDARD, SHORT])
    # The name of a term is that of the first glossary that has it.
    assert [(c.id, c.name, c.texts, c.family) for c in data.candidates] == [
        ("dso", "DSO", ("days until paid", "wait for cash"), "kin"),
        ("capex", "Capex", ("money for assets",), "kin"),
        ("tax", "Tax", ("owed to the state",), "kin"),
    ]
    assert [(e.right, e.wrong, e.typo) for e in data.examples] == [
        ((0,), (), True),
        ((2, 1), (), False),
        ((), (), False),
    ]


@pytest.mark.parametrize("split", ["dev", "test"])
def test_terms_that_are_held_back_are_no_candidates(split: str) -> None:
    trained = glossary(("tax", "Tax", "owed"), split="train")
    held_back = glossary(("dso", "DSO", "days until paid"), split=split)
    both = Glossary("both", (*trained.terms, *held_back.terms))
    data = from_questions([JudgedQuestion("how much?", ("tax",), typo=False)], [both])
    assert [c.id for c in data.candidates] == ["tax"]
    about_dso = [JudgedQuestion("how long?", ("tax", "dso"), typo=False)]
    with pytest.raises(InputError, match=r"'dso' in 'how long\?'"):
        from_questions(about_dso, [both])
    # A glossary that says nothing of the split does not give it away either.
    for glossaries in ([both, SHORT], [SHORT, both]):
        with pytest.raises(InputError, match="'dso'"):
            from_questions(about_dso, glossaries)


def test_a_question_about_a_term_that_no_glossary_has_is_refused() -> None:
    with pytest.raises(InputError, match="'ebitda'"):
        from_questions([JudgedQuestion("how much?", ("ebitda",), typo=False)], [STANDARD, SHORT])


def test_a_document_is_any_wording_in_any_form() -> None:
    candidate = Candidate("dso", "DSO", ("days until paid", "wait for cash"))
    rng = random.Random(1)
    seen = Counter(candidate.document(rng) for _ in range(8000))
    assert set(seen) == {
        form.format(term="DSO", text=text) for form, _ in FORMS for text in candidate.texts
    }
    assert "DSO can be defined as days until paid" in seen
    for form, share in FORMS:
        for text in candidate.texts:
            found = seen[form.format(term="DSO", text=text)] / 8000
            assert found == pytest.approx(share / 2, abs=0.02)
    assert candidate.document(random.Random(7)) == candidate.document(random.Random(7))


def test_a_document_without_a_name_is_the_text_itself() -> None:
    candidate = Candidate("0", "", ("{term} is paid {text}", "tax"))
    rng = random.Random(1)
    assert {candidate.document(rng) for _ in range(50)} == set(candidate.texts)


def test_braces_in_a_definition_are_text() -> None:
    candidate = Candidate("0", "{text}", ("{term}",))
    rng = random.Random(1)
    seen = {candidate.document(rng) for _ in range(200)}
    assert "{text} can be defined as {term}" in seen


GROUP = {"query": "who pays?", "documents": ["customers", "tax"], "scores": [3, -1.5]}


def test_teacher_groups_come_back_from_their_file(tmp_path: Path) -> None:
    file = tmp_path / "teacher.jsonl"
    second = {"query": "q", "documents": ["a", "b", "c"], "scores": [0, 1, 2], "source": "x"}
    file.write_text(f"{json.dumps(GROUP)}\n{json.dumps(second)}\n")
    assert read_teacher_groups(file) == [
        TeacherGroup("who pays?", ("customers", "tax"), (3.0, -1.5)),
        TeacherGroup("q", ("a", "b", "c"), (0.0, 1.0, 2.0)),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "[]",
        json.dumps({k: v for k, v in GROUP.items() if k != "scores"}),
        json.dumps({k: v for k, v in GROUP.items() if k != "query"}),
        json.dumps(GROUP | {"query": 3}),
        json.dumps(GROUP | {"documents": "customers"}),
        json.dumps(GROUP | {"documents": ["customers", None]}),
        json.dumps(GROUP | {"documents": ["customers"]}),
        json.dumps(GROUP | {"documents": [], "scores": []}),
        json.dumps(GROUP | {"documents": ["customers"], "scores": [1]}),
        json.dumps(GROUP | {"scores": [1, "2"]}),
        json.dumps(GROUP | {"scores": [1, None]}),
        json.dumps(GROUP | {"scores": [1, float("nan")]}),
        json.dumps(GROUP | {"scores": [1, float("-inf")]}),
        json.dumps(GROUP | {"scores": 1}),
        json.dumps(GROUP | {"scores": [1, 2, 3]}),
    ],
)
def test_a_broken_teacher_row_is_named_by_its_line(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "teacher.jsonl"
    file.write_text(f"{json.dumps(GROUP)}\n{broken}\n")
    with pytest.raises(InputError) as caught:
        read_teacher_groups(file)
    assert (caught.value.file, caught.value.line) == (file, 2)


def test_a_teacher_file_that_is_empty_or_missing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "teacher.jsonl"
    with pytest.raises(InputError, match="No such file"):
        read_teacher_groups(file)
    file.write_text("\n")
    with pytest.raises(InputError, match="empty"):
        read_teacher_groups(file)
