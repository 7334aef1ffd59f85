from __future__ import annotations

from pathlib import Path

import pytest

from glossrank import Glossary, Term
from glossrank.errors import InputError
from glossrank.glossary import slug


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
            "term,definition\nCash,Money.\nCash,Coins.\n",
            r"glossary.csv:3: .*'cash' again, first on line 2",
        ),
        ("term,definition\nCash,\n", r"glossary.csv:2: .*'definition'"),
        ("term,definition\n,Money.\n", r"glossary.csv:2: .*'term'"),
        ("term,definition\n", "nothing else"),
        ("name,definition\nCash,Money.\n", "missing: term"),
    ],
)
def test_faults_are_named_by_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(tmp_path, content)
