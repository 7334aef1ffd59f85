from __future__ import annotations

import copy
import itertools
import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from glossrank import Glossary, Term
from glossrank.errors import InputError
from glossrank.glossary import read_terms, slug, split_list

FULL = Term(
    id="dso",
    term="Days Sales Outstanding",
    definition="the average time until a customer pays.",
    family="working-capital",
    split="train",
    synonyms=("DSO", "debtor days"),
    formula="receivables / revenue * 365",
    owner="Treasury",
    tags=("kpi",),
    source="policy 7",
)


def load(tmp_path: Path, content: str, name: str = "glossary.csv") -> Glossary:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return Glossary.load(path)


def test_the_shipped_glossary_has_the_cards_form(glossary: Glossary) -> None:
    assert len(glossary) >= 150
    documents = [term.document for term in glossary.terms]
    assert all(46 <= len(document) <= 175 for document in documents)
    assert all(" can be defined as " in d and d.endswith(".") for d in documents)
    assert len({term.definition for term in glossary.terms}) == len(glossary)
    assert len({term.family for term in glossary.terms}) >= 8


def test_ids_are_kept_or_made(tmp_path: Path) -> None:
    found = load(tmp_path, "id,term,definition\n,Trade Payables,Dues.\nx1,Cash,Money.\n")
    assert found.terms == (
        Term("trade-payables", "Trade Payables", "Dues."),
        Term("x1", "Cash", "Money."),
    )
    assert slug("Property, Plant and Equipment (PPE)") == "property-plant-and-equipment"
    assert slug("Shareholders' Equity") == "shareholders-equity"
    assert slug("資産") == "資産"
    assert slug("???") == "???"


def test_json_lines_are_read(tmp_path: Path) -> None:
    found = load(tmp_path, '{"term": "Cash", "definition": "Money.", "owner": "CFO"}\n', "g.jsonl")
    assert found.terms[0].document == "Cash can be defined as Money."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "id,term,definition\nc,Cash,Money.\nc,Coins,Cash.\n",
            r"glossary.csv:3: .*'c' again, first on line 2",
        ),
        ("term,definition\nCash,\n", r"glossary.csv:2: .*'definition'"),
        ("term,definition\n,Money.\n", r"glossary.csv:2: .*'term'"),
        ("term,definition\n", r"glossary.csv: expected at least one term"),
        ("colour,definition\nred,Money.\n", r"glossary.csv:1: .*\(missing: term\)"),
    ],
)
def test_faults_are_named_by_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(tmp_path, content)


def test_every_field_of_a_term_is_read(tmp_path: Path) -> None:
    content = (
        "id,term,definition,family,split,synonyms,formula,owner,tags,source\n"
        f"dso,{FULL.term},{FULL.definition},working-capital,train,DSO; debtor days,"
        "receivables / revenue * 365,Treasury,kpi,policy 7\n"
    )
    assert load(tmp_path, content).terms == (FULL,)


def test_what_the_model_reads_follows_the_template(tmp_path: Path) -> None:
    path = tmp_path / "glossary.jsonl"
    path.write_text(json.dumps({"term": "DSO", "definition": "Time to pay.", "formula": "a / b."}))
    found = Glossary.load(path, template="{definition} ({term}){formula}[ by {owner}]")
    assert found.documents == ("Time to pay. (DSO)a / b",)
    assert found.terms[0].document == "DSO can be defined as Time to pay. Formula: a / b."
    with pytest.raises(InputError, match=r"no \{definition\}"):
        Glossary.load(path, template="{term}")


def test_one_name_with_two_definitions_gets_ids_that_do_not_depend_on_the_order(
    tmp_path: Path,
) -> None:
    rows = ["Cash,Money.", "Cash,Coins.", "cash,Notes.", "Debt,Owed."]
    found = {
        frozenset(
            (t.id, t.definition) for t in load(tmp_path, "\n".join(["term,definition", *o])).terms
        )
        for o in itertools.permutations(rows)
    }
    assert len(found) == 1
    ids = {definition: term_id for term_id, definition in found.pop()}
    assert ids["Owed."] == "debt"
    assert len(set(ids.values())) == 4
    for definition in ("Money.", "Coins.", "Notes."):
        assert ids[definition].startswith("cash-")
    notes = load(tmp_path, "\n".join(["term,definition", *rows])).notes
    assert len(notes) == 1
    assert notes[0].startswith("same name, other definition: 3 ids with a hash (cash-")


def test_a_made_id_gives_way_to_a_given_one(tmp_path: Path) -> None:
    for rows in ("cash,Petty cash,Coins.\n,Cash,Money.", ",Cash,Money.\ncash,Petty cash,Coins."):
        found = {t.term: t.id for t in load(tmp_path, f"id,term,definition\n{rows}\n").terms}
        assert found["Petty cash"] == "cash"
        assert found["Cash"].startswith("cash-")


def test_the_same_row_twice_is_left_out_with_a_note(tmp_path: Path) -> None:
    found = load(tmp_path, "term,definition\nCash,Money.\nDebt,Owed.\nCash,Money.\n")
    assert [term.id for term in found.terms] == ["cash", "debt"]
    assert found.notes == ("left out: line 4 repeats line 2 ('Cash')",)


@pytest.mark.parametrize(
    "rows",
    [
        ["Margin (gross),To be written.,", "Margin (net),To be written.,"],
        ["Cash,Money.,CFO", "Cash,Money.,Treasury"],
    ],
    ids=["names", "owners"],
)
def test_no_row_that_says_something_else_is_left_out(tmp_path: Path, rows: list[str]) -> None:
    loaded = []
    for order in (rows, rows[::-1]):
        path = tmp_path / "glossary.csv"
        path.write_text("\n".join(["term,definition,owner", *order]))
        found = read_terms(path)
        assert len(found.terms) + len(found.problems) == 2
        loaded.append({(term.id, term.term, term.owner) for term in found.terms})
    if len(loaded[0]) == 2:
        assert loaded[0] == loaded[1]


def test_all_problems_are_told_in_the_order_of_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "glossary.csv"
    path.write_text("id,term,definition\na,Cash,\nb,Debt,Owed.\nb,Tax,Levy.\n1,2\nc,Rent,Due.\n")
    found = read_terms(path)
    assert [term.id for term in found.terms] == ["b", "c"]
    assert found.lines == {"b": 3, "c": 6}
    assert [problem.line for problem in found.problems] == [2, 4, 5]
    assert all(f"glossary.csv:{problem.line}: " in str(problem) for problem in found.problems)


def test_the_fingerprint_is_that_of_the_contents() -> None:
    other = Term("cash", "Cash", "Money.")
    known = Glossary("a", (FULL, other)).fingerprint
    assert len(known) == 64
    assert Glossary("b", (other, FULL), notes=("read in a hurry",)).fingerprint == known
    changes: list[dict[str, object]] = [
        {"id": "x"},
        {"term": "x"},
        {"definition": "x"},
        {"family": "x"},
        {"split": "x"},
        {"synonyms": ("DSO",)},
        {"formula": "x"},
        {"owner": "x"},
        {"tags": ()},
        {"source": "x"},
    ]
    assert {name for change in changes for name in change} == set(Term.__dataclass_fields__)
    changed = [Glossary("a", (replace(FULL, **change), other)) for change in changes]  # type: ignore[arg-type]
    changed += [Glossary("a", (FULL,)), Glossary("a", (FULL, other), template="{definition}")]
    assert len({known, *(glossary.fingerprint for glossary in changed)}) == len(changed) + 1


def test_a_list_in_a_cell_is_split_at_its_strongest_sign() -> None:
    assert split_list("DSO, debtor days,DSO,") == ("DSO", "debtor days")
    assert split_list("sales, net; turnover") == ("sales, net", "turnover")
    assert split_list("a|b\nc") == ("a", "b", "c")
    assert split_list(" ") == ()


def test_what_is_no_text_is_no_synonym(tmp_path: Path) -> None:
    record = {"term": "Cash", "definition": "Money.", "synonyms": ["coins", None, " ", "coins"]}
    assert load(tmp_path, json.dumps([record]), "g.json").terms[0].synonyms == ("coins",)


@pytest.mark.parametrize("name", [True, False, 3.5, None, "", ["Cash"], {"a": "b"}])
def test_a_name_is_a_text_or_a_whole_number(tmp_path: Path, name: object) -> None:
    with pytest.raises(InputError, match=r"g.json:1: .*'term'"):
        load(tmp_path, json.dumps([{"term": name, "definition": "Money."}]), "g.json")
    known = load(tmp_path, json.dumps([{"term": 101, "definition": "An account."}]), "g.json")
    assert known.terms[0] == Term("101", "101", "An account.")


@pytest.mark.parametrize("synonym", ["\ud83d", "x" * 100_001], ids=["surrogate", "long"])
def test_a_broken_text_within_a_list_is_an_error_with_its_line(
    tmp_path: Path, synonym: str
) -> None:
    record = {"term": "Cash", "definition": "Money.", "synonyms": ["coins", synonym]}
    with pytest.raises(InputError, match=r"g.jsonl:1: .*'synonyms'"):
        load(tmp_path, json.dumps(record), "g.jsonl")


def test_a_glossary_that_was_searched_can_be_copied(tiny_model: Path) -> None:
    few = Glossary("few", (Term("a", "Cash", "Money."),), template="{definition}")
    few.search("cash?", model=str(tiny_model))
    assert pickle.loads(pickle.dumps(few)) == few
    assert copy.deepcopy(few).documents == ("Money.",)
