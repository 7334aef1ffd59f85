from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glossrank.errors import InputError
from glossrank.template import DEFAULT_TEMPLATE, FIELDS, Template

FIELDS_OF = dict.fromkeys(FIELDS, "") | {"term": "DSO", "definition": "the time to pay."}


def render(text: str, **fields: str) -> str:
    return Template(text).render(FIELDS_OF | fields)


def test_the_default_tells_only_what_is_known() -> None:
    assert render(DEFAULT_TEMPLATE) == "DSO can be defined as the time to pay."
    assert render(DEFAULT_TEMPLATE, synonyms="debtor days", formula="a / b") == (
        "DSO can be defined as the time to pay. Also called debtor days. Formula: a / b."
    )


def test_a_part_needs_all_of_its_fields() -> None:
    text = "{definition}[ ({owner}, {source})]"
    assert render(text, owner="CFO") == "the time to pay."
    assert render(text, owner="CFO", source="p. 7") == "the time to pay. (CFO, p. 7)"


def test_every_field_can_be_told() -> None:
    text = " ".join(f"{{{name}}}" for name in FIELDS)
    assert render(text, **{name: name.upper() for name in FIELDS}) == text.upper().translate(
        str.maketrans("", "", "{}")
    )


@given(st.text(), st.text())
def test_a_field_is_told_as_it_is(term: str, definition: str) -> None:
    fields = {"term": term, "definition": definition}
    assert render("{term}: {definition}", **fields) == f"{term}: {definition}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", r"no \{definition\} outside"),
        ("{term}", r"no \{definition\} outside"),
        ("{term}[ {definition}]", r"no \{definition\} outside"),
        ("{definition} {colour}", r"found \{colour\}"),
        ("{definition} {}", r"found \{\}"),
        ("{definition}{definition", "a lone bracket"),
        ("{definition} {{term}}", "a lone bracket"),
        ("{definition}[ {term}", "a lone bracket"),
        ("{definition}]", "a lone bracket"),
        ("{definition}[ a [{term}]]", "a lone bracket"),
    ],
)
def test_a_broken_template_is_an_error(text: str, found: str) -> None:
    with pytest.raises(InputError, match=found):
        Template(text)
