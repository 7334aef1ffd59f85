"""What changes in a glossary shows in the answers, and what does not change anything does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from glossrank import CrossEncoder, Glossary, Term
from glossrank.diff import NONE_OF_THESE, ChangedTerms, Difference, changed_terms, difference

STOCK = "How much stock is on the shelves?"
# Questions that the shipped model is sure of, and their answers.
ASKED = {
    "How much do we owe our suppliers?": "trade-payables",
    STOCK: "inventories",
    "What have customers paid for that we have not delivered?": "contract-liabilities",
    "Which costs did we pay ahead of time?": "prepaid-expenses",
    "Who won the football match?": NONE_OF_THESE,
}
IDS = (*[i for i in ASKED.values() if i != NONE_OF_THESE], "bank-overdraft", "dividend-yield")
WALLS = "A colour that the walls of the office are painted with."
Change = Callable[[Glossary], Glossary]


@pytest.fixture(scope="module")
def model() -> CrossEncoder:
    return CrossEncoder("finance-terms")


@pytest.fixture(scope="module")
def old(glossary: Glossary) -> Glossary:
    by_id = {term.id: term for term in glossary.terms}
    return Glossary("old", tuple(by_id[term_id] for term_id in IDS))


@pytest.fixture(scope="module")
def compare(model: CrossEncoder, old: Glossary) -> Callable[..., Difference]:
    def compared(new: Glossary, **right: str) -> Difference:
        """``right``: answers of the one question that is changed."""
        relevant = [() if i == NONE_OF_THESE else (i,) for i in (ASKED | right).values()]
        return difference(old.searcher(model), new.searcher(model), list(ASKED), relevant=relevant)

    return compared


def with_term(glossary: Glossary, term_id: str, **fields: str) -> Glossary:
    terms = [replace(t, **fields) if t.id == term_id else t for t in glossary.terms]  # type: ignore[arg-type]
    return replace(glossary, terms=tuple(terms))


def without(glossary: Glossary, term_id: str) -> Glossary:
    return replace(glossary, terms=tuple(t for t in glossary.terms if t.id != term_id))


def swapped(glossary: Glossary) -> Glossary:
    first, second, *others = glossary.terms
    terms = (
        replace(first, term=second.term, definition=second.definition),
        replace(second, term=first.term, definition=first.definition),
        *others,
    )
    return replace(glossary, terms=terms)


# The change; ids added, removed and changed; question to the new first answer, all of them worse.
CHANGES: dict[str, tuple[Change, ChangedTerms, dict[str, str]]] = {
    "another definition": (
        lambda old: with_term(old, "inventories", definition=WALLS),
        ChangedTerms((), (), ("inventories",)),
        {STOCK: NONE_OF_THESE},
    ),
    "a term less": (
        lambda old: without(old, "inventories"),
        ChangedTerms((), ("inventories",), ()),
        {STOCK: NONE_OF_THESE},
    ),
    "another id": (
        lambda old: with_term(old, "inventories", id="stock"),
        ChangedTerms(("stock",), ("inventories",), ()),
        {STOCK: "stock"},
    ),
    "a term more": (
        lambda old: replace(old, terms=(*old.terms, Term("shelf", "Stock on the Shelves", STOCK))),
        ChangedTerms(("shelf",), (), ()),
        {STOCK: "shelf"},
    ),
    "swapped": (
        swapped,
        ChangedTerms((), (), ("inventories", "trade-payables")),
        {next(iter(ASKED)): "inventories", STOCK: "trade-payables"},
    ),
    "another template": (
        lambda old: replace(old, template="[{source} ]{definition}[ {owner}] {family}"),
        ChangedTerms((), (), tuple(sorted(IDS))),
        {},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_shows(compare: Callable[..., Difference], old: Glossary, name: str) -> None:
    change, terms, answers = CHANGES[name]
    found = compare(change(old))
    assert found.terms == terms
    assert found.questions == len(ASKED)
    if name == "another template":
        # Which questions it costs is the model's own business.
        assert all(answer.old == ASKED[answer.question] for answer in found.answers)
        return
    assert {answer.question: answer.new for answer in found.answers} == answers
    for answer in found.answers:
        assert answer.old == ASKED[answer.question]
        assert answer.verdict == "worse"
    assert found.worse == len(answers)


def test_names_are_told_beside_ids(compare: Callable[..., Difference], old: Glossary) -> None:
    [answer] = compare(with_term(old, "inventories", id="stock")).answers
    assert (answer.old_term, answer.new_term) == ("Inventories", "Inventories")
    [answer] = compare(without(old, "inventories")).answers
    assert (answer.old_term, answer.new_term) == ("Inventories", NONE_OF_THESE)


@pytest.mark.parametrize(
    ("right", "verdict"),
    [("shelf", "better"), ("inventories", "worse"), ("dividend-yield", ""), (None, "worse")],
)
def test_a_verdict_needs_the_right_answer(
    compare: Callable[..., Difference], old: Glossary, right: str | None, verdict: str
) -> None:
    more = replace(old, terms=(*old.terms, Term("shelf", "Stock on the Shelves", STOCK)))
    [answer] = compare(more, **({STOCK: right} if right else {})).answers
    assert answer.verdict == verdict


def test_more_than_one_right_answer_and_none(model: CrossEncoder, old: Glossary) -> None:
    def verdicts(new: Glossary, right: tuple[str, ...] | None) -> list[str]:
        found = difference(
            old.searcher(model),
            new.searcher(model),
            [STOCK],
            relevant=None if right is None else [right],
        )
        return [answer.verdict for answer in found.answers]

    renamed = with_term(old, "inventories", id="stock")
    assert verdicts(renamed, ("inventories", "stock")) == [""]
    assert verdicts(renamed, None) == [""]
    # What nothing answers is better off with no answer.
    assert verdicts(without(old, "inventories"), ()) == ["better"]
    assert verdicts(without(old, "inventories"), ("inventories",)) == ["worse"]


NO_CHANGES: dict[str, Change] = {
    "the same": lambda old: old,
    "shuffled": lambda old: replace(old, terms=old.terms[3:] + old.terms[:3]),
    "backwards, with another name": lambda old: Glossary("new", old.terms[::-1]),
}
UNREAD: dict[str, Change] = {
    "owner": lambda old: with_term(old, "inventories", owner="CFO"),
    "source": lambda old: with_term(old, "inventories", source="IAS 2"),
    "family": lambda old: with_term(old, "inventories", family="stock"),
}


@pytest.mark.parametrize("name", NO_CHANGES)
def test_no_false_alarm(compare: Callable[..., Difference], old: Glossary, name: str) -> None:
    found = compare(NO_CHANGES[name](old))
    assert found == Difference(ChangedTerms((), (), ()), len(ASKED), ())


@pytest.mark.parametrize("name", UNREAD)
def test_what_the_model_does_not_read_changes_no_answer(
    compare: Callable[..., Difference], old: Glossary, name: str
) -> None:
    found = compare(UNREAD[name](old))
    assert (found.answers, found.worse) == ((), 0)


# "Changed" means other words.
@pytest.mark.parametrize("name", UNREAD)
def test_what_the_model_does_not_read_is_no_change_of_words(old: Glossary, name: str) -> None:
    assert changed_terms(old, UNREAD[name](old)) == ChangedTerms((), (), ())


def test_another_model(model: CrossEncoder, tiny_model: Path, old: Glossary) -> None:
    tiny = CrossEncoder(tiny_model)
    asked = [question for question, answer in ASKED.items() if answer != NONE_OF_THESE]
    right = [(ASKED[question],) for question in asked]
    found = difference(old.searcher(model), old.searcher(tiny), asked, relevant=right)
    assert found.terms == ChangedTerms((), (), ())
    # Random weights do not get all four.
    assert found.worse == len(found.answers) > 0
    back = difference(old.searcher(tiny), old.searcher(model), asked, relevant=right)
    assert [answer.verdict for answer in back.answers] == ["better"] * len(found.answers)
    assert back.worse == 0
    again = difference(old.searcher(tiny), old.searcher(CrossEncoder(tiny_model)), asked)
    assert again.answers == ()


def test_slips_are_corrected_unless_told_otherwise(tiny_model: Path) -> None:
    tiny = CrossEncoder(tiny_model)
    old = Glossary("few", (Term("a", "Qwertol", "Money."), Term("b", "Zyxwabe", "Tax.")))
    new = with_term(with_term(old, "a", id="c"), "b", id="d")
    for as_typed in (False, True):
        [answer] = difference(
            old.searcher(tiny), new.searcher(tiny), ["zyxwabbe"], as_typed=as_typed
        ).answers
        assert answer.old == old.search("zyxwabbe", model=tiny, as_typed=as_typed)[0].term.id
        # Corrected, the question is the whole name.
        assert as_typed or (answer.old, answer.new) == ("b", "d")


def test_each_question_is_told_and_all_is_plain(tiny_model: Path, old: Glossary) -> None:
    tiny = CrossEncoder(tiny_model)
    done = []
    found = difference(
        old.searcher(tiny),
        without(old, "inventories").searcher(tiny),
        list(ASKED),
        advance=lambda: done.append(1),
    )
    assert len(done) == len(ASKED)
    record = json.loads(json.dumps(found.to_dict()))
    assert record["terms"] == {"added": [], "removed": ["inventories"], "changed": []}
    assert record["questions"] == len(ASKED)
    assert record["worse"] == 0
    assert len(record["answers"]) == len(found.answers)
    assert difference(old.searcher(tiny), old.searcher(tiny), []).questions == 0


# A term that is merely named does not take the best one's place.
def test_the_first_answer_is_the_one_that_ask_shows_first(
    model: CrossEncoder, old: Glossary
) -> None:
    soup = Term("stock", "Stock", "A kind of soup that is made from bones.")
    more = replace(old, terms=(*old.terms, soup)).searcher(model)
    assert more.search(STOCK)[0].term.id == "inventories"
    assert difference(old.searcher(model), more, [STOCK]).answers == ()
