from __future__ import annotations

import pytest

from glossrank.columns import guess_columns
from glossrank.errors import InputError


def guess(*header: str, **chosen: str) -> tuple[dict[str, str], list[str]]:
    return guess_columns(header, chosen, file="terms.csv")


def test_a_fields_own_name_needs_no_note() -> None:
    header = ("Term", "DEFINITION", "id", "synonyms", "formula", "owner", "tags", "source")
    columns, notes = guess(*header, "family", "split")
    assert columns == {name.lower(): name for name in (*header, "family", "split")}
    assert notes == []


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Metric Name", "term"),
        ("KPI", "term"),
        ("business_term", "term"),
        ("Name", "term"),
        ("Business Definition", "definition"),
        ("business-description", "definition"),
        ("Meaning", "definition"),
        ("Also Known As", "synonyms"),
        ("Acronym(s)", "synonyms"),
        ("AKA", "synonyms"),
        ("Account Number", "id"),
        ("KPI ID", "id"),
        ("Calculation", "formula"),
        ("Data Steward", "owner"),
        ("Keywords", "tags"),
        ("Reference", "source"),
        ("Category", "family"),
    ],
)
def test_other_names_are_guessed_and_told(header: str, field: str) -> None:
    others = [name for name in ("term", "definition") if name != field]
    columns, notes = guess(*others, header)
    assert columns[field] == header
    assert notes == [f"{field} = column {header!r}"]


def test_the_most_telling_name_wins_and_no_column_serves_twice() -> None:
    columns, notes = guess("Name", "KPI", "Description", "Definition", "Title")
    assert (columns["term"], columns["definition"]) == ("KPI", "Definition")
    assert notes == ["term = column 'KPI'"]
    assert guess("Text", "Term", "Name")[0] == {"term": "Term", "definition": "Text"}
    # "label" is a name for the term; "labels" are tags.
    assert guess("Label", "Labels", "Meaning")[0]["tags"] == "Labels"


def test_chosen_columns_overrule_the_guess() -> None:
    columns, notes = guess("Term", "Definition", "Begriff", term="Begriff", owner="Term")
    assert columns == {"term": "Begriff", "owner": "Term", "definition": "Definition"}
    assert notes == []
    assert guess("Begriff", "Bedeutung", term="Begriff", definition="Bedeutung")[1] == []


@pytest.mark.parametrize(
    ("header", "chosen", "message"),
    [
        (("Term",), {}, r"terms.csv:1: .*found Term \(missing: definition\).*'definition=YOUR"),
        (("a", "b"), {}, r"terms.csv:1: .*a, b \(missing: term, definition\)"),
        ((), {}, r"found none \(missing"),
        (
            ("Term", "Definition"),
            {"term": "Begriff"},
            r"terms.csv:1: expected a column 'Begriff' for term, found Term, Definition",
        ),
        (("Term", "Definition"), {"term": "term"}, "a column 'term' for term"),
        (("Term", "Definition"), {"name": "Term"}, "one of the fields term, .* found 'name'"),
    ],
)
def test_what_cannot_be_found_is_an_error(
    header: tuple[str, ...], chosen: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        guess(*header, **chosen)
