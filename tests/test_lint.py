"""Faults planted in the shipped glossary: lint finds each where it is, and nothing else."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossrank import CrossEncoder, Glossary, Term
from glossrank.errors import InputError
from glossrank.glossary import FINANCE_TERMS, TermsRead, read_terms
from glossrank.lint import KINDS, QUESTION_TOKENS, glossary_of, lint
from glossrank.template import DEFAULT_TEMPLATE

Cells = dict[str, str]
Found = list[tuple[str, str, int | None]]
COLUMNS = ("id", "term", "family", "definition", "synonyms", "formula")
PLACES = {"first": 0, "middle": 128, "last": 255}
LONG = (
    "Money that a firm charges buyers each month for upkeep, repair and insurance of rented "
    "machines, whether or not anybody runs them"
)
STRANGER = "widget-fee"


@pytest.fixture
def rows() -> list[Cells]:
    """The shipped glossary's rows, which a test may change."""
    with (FINANCE_TERMS / "glossary.csv").open(encoding="utf-8", newline="") as file:
        return [dict.fromkeys(COLUMNS, "") | row for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def model() -> CrossEncoder:
    return CrossEncoder("finance-terms")


def found_in(read: TermsRead, model: CrossEncoder | None = None) -> Found:
    terms = glossary_of(read, template=DEFAULT_TEMPLATE)
    searcher = terms.searcher(model) if terms and model else None
    return [(finding.kind, finding.id, finding.line) for finding in lint(read, searcher)]


def in_file(tmp_path: Path, rows: list[Cells]) -> Found:
    path = tmp_path / "planted.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return found_in(read_terms(path))


def read_of(terms: tuple[Term, ...]) -> TermsRead:
    """As if these terms had been read from lines that follow each other."""
    lines = {term.id: line for line, term in enumerate(terms, start=1)}
    return TermsRead(name="some", terms=terms, lines=lines, files={}, problems=(), notes=())


def line_of(at: int) -> int:
    """Below the header, counted from 1."""
    return at + 2


def among(*terms: Term, model: CrossEncoder | None = None) -> list[tuple[str, str]]:
    """Kinds and ids of what is found in a glossary of these terms."""
    return [(kind, term_id) for kind, term_id, _ in found_in(read_of(terms), model)]


def kinds_of(definition: str, *, name: str = "Widget Fee", formula: str = "") -> list[str]:
    term = Term(STRANGER, name, definition, formula=formula)
    return [kind for kind, _ in among(term)]


def test_the_shipped_glossary_has_no_fault(glossary: Glossary) -> None:
    read = read_terms()
    assert len(read.terms) == len(glossary)
    assert found_in(read) == []


def test_the_shipped_model_finds_no_fault_in_the_shipped_glossary(model: CrossEncoder) -> None:
    assert found_in(read_terms(), model) == []


# Kind, column, and the cell: "..." stands for what was there.
ONE_CELL: list[tuple[str, str, str]] = [
    ("placeholder", "definition", "TBD"),
    ("placeholder", "definition", "To be defined."),
    ("placeholder", "definition", "-"),
    ("placeholder", "definition", "n/a"),
    ("placeholder", "definition", "No description available yet"),
    ("placeholder", "definition", "Lorem ipsum dolor sit amet."),
    ("placeholder", "definition", "to be confirmed by the controllers"),
    ("short", "definition", "Qwertol."),
    ("short", "definition", "Qwertol fees"),
    ("markup", "definition", "<p>...</p>"),
    ("markup", "definition", "... <br/>"),
    ("markup", "definition", '... <a href="x">more</a>'),
    ("markup", "definition", "...&nbsp;"),
    ("markup", "definition", "... It&#39;s so."),
    ("markup", "definition", "{{ doc('fee') }} ..."),
    ("markup", "definition", "... {% if due %}"),
    ("markup", "definition", "... ${fee}"),
    ("markup", "definition", "... [more](https://example.com)"),
    ("markup", "term", "... &amp; more"),
    ("markup", "term", "<b>...</b>"),
    ("markup", "formula", "a &lt; b"),
    ("broken-characters", "definition", "... caf\u00c3\u00a9"),
    ("broken-characters", "definition", "... firm\u00e2\u20ac\u2122s"),
    ("broken-characters", "definition", "... \u00c2\u00a35"),
    ("broken-characters", "definition", "... pay\u200bable"),
    ("broken-characters", "definition", "... pay\u00adable"),
    ("broken-characters", "definition", "\ufeff..."),
    ("broken-characters", "definition", "... \ufffd"),
    ("broken-characters", "definition", "... \x07"),
    ("broken-characters", "definition", "... _x000D_"),
    ("broken-characters", "term", "...\u200b"),
    ("broken-characters", "formula", "a \ufffd b"),
    ("dead-reference", "definition", "See Widget Turnover."),
    ("dead-reference", "definition", "Please refer to the entry on 'Widget Turnover'."),
    ("dead-reference", "definition", "(see Widget Turnover)"),
    ("dead-reference", "definition", "Another name for widget turnover"),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("kind", "column", "cell"), ONE_CELL)
def test_a_fault_in_one_cell(
    tmp_path: Path, rows: list[Cells], kind: str, column: str, cell: str, place: str
) -> None:
    row = rows[PLACES[place]]
    row[column] = cell.replace("...", row[column])
    assert in_file(tmp_path, rows) == [(kind, row["id"], line_of(PLACES[place]))]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "said",
    [
        str,
        lambda name: f"The {name.lower()}.",
        lambda name: f"What is the {name}?",
        lambda name: " of ".join(reversed(name.split())),
    ],
)
def test_a_definition_that_says_no_more_than_the_name(
    tmp_path: Path, rows: list[Cells], said: Callable[[str], str], place: str
) -> None:
    row = rows[PLACES[place]]
    row["definition"] = said(row["term"])
    assert in_file(tmp_path, rows) == [("circular", row["id"], line_of(PLACES[place]))]


def test_a_reference_to_itself_is_one_fault(tmp_path: Path, rows: list[Cells]) -> None:
    rows[0]["definition"] = f"See {rows[0]['term']}."
    assert in_file(tmp_path, rows) == [("circular", rows[0]["id"], 2)]


@pytest.mark.parametrize("loop", [(0, 128), (128, 255), (0, 255), (0, 128, 255), (255, 128, 0)])
def test_references_in_a_circle(tmp_path: Path, rows: list[Cells], loop: tuple[int, ...]) -> None:
    for at, to in zip(loop, (*loop[1:], loop[0]), strict=True):
        rows[at]["definition"] = f"See {rows[to]['term']}."
    # One that leads into the circle is not in it.
    rows[60]["definition"] = f"See also {rows[loop[0]]['term']}."
    expected = [("circular", rows[at]["id"], line_of(at)) for at in sorted(loop)]
    assert in_file(tmp_path, rows) == expected


def test_a_reference_to_a_defined_term_is_no_fault(tmp_path: Path, rows: list[Cells]) -> None:
    rows[0]["synonyms"] = "Qwertol"
    rows[128]["definition"] = "See Qwertol."
    rows[255]["definition"] = "Same as the bank reconciliation."
    assert in_file(tmp_path, rows) == []


PAIRS = [(0, 128), (0, 255), (128, 255), (254, 255)]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(
    "written", [str, str.upper, lambda text: f"  {text.rstrip('.')} -- ", lambda text: f"'{text}'"]
)
def test_a_definition_repeated(
    tmp_path: Path, rows: list[Cells], pair: tuple[int, int], written: Callable[[str], str]
) -> None:
    first, second = pair
    rows[second]["definition"] = written(rows[first]["definition"])
    expected = [("same-definition", rows[second]["id"], line_of(second))]
    assert in_file(tmp_path, rows) == expected


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("machines", "engines"),
        ("rented machines", "machines"),
        ("upkeep, repair", "repair, upkeep"),
        ("charges buyers", "charged its buyers"),
        ("insurance", "full insurance"),
    ],
)
def test_a_definition_with_one_word_changed(
    tmp_path: Path, rows: list[Cells], pair: tuple[int, int], old: str, new: str
) -> None:
    first, second = pair
    assert old in LONG
    rows[first]["definition"] = f"{LONG}."
    rows[second]["definition"] = f"{LONG.replace(old, new)}."
    expected = [("near-duplicate", rows[second]["id"], line_of(second))]
    assert in_file(tmp_path, rows) == expected


@pytest.mark.parametrize("pair", PAIRS)
def test_an_id_given_twice(tmp_path: Path, rows: list[Cells], pair: tuple[int, int]) -> None:
    first, second = pair
    rows[second]["id"] = rows[first]["id"]
    assert in_file(tmp_path, rows) == [("clashing-id", "", line_of(second))]


@pytest.mark.parametrize("with_ids", [True, False])
@pytest.mark.parametrize("pair", PAIRS)
def test_one_name_with_two_definitions(
    tmp_path: Path, rows: list[Cells], pair: tuple[int, int], with_ids: bool
) -> None:
    first, second = pair
    rows[second]["term"] = rows[first]["term"].upper()
    if not with_ids:
        for row in rows:
            del row["id"]
    [(kind, term_id, line)] = in_file(tmp_path, rows)
    assert (kind, line) == ("same-name", line_of(second))
    assert term_id == rows[second].get("id", term_id)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("kind", "synonym"),
    [
        ("own-name", "{own}"),
        ("own-name", "{own_lower}"),
        ("shared-synonym", "{other}"),
        ("shared-synonym", "{other_lower}"),
    ],
)
def test_a_synonym_that_is_a_name(
    tmp_path: Path, rows: list[Cells], kind: str, synonym: str, place: str
) -> None:
    row, other = rows[PLACES[place]], rows[77]["term"]
    own = row["term"]
    name = synonym.format(own=own, own_lower=own.lower(), other=other, other_lower=other.lower())
    row["synonyms"] = f"Qwertol; {name}"
    assert in_file(tmp_path, rows) == [(kind, row["id"], line_of(PLACES[place]))]


@pytest.mark.parametrize("pair", PAIRS)
def test_a_synonym_that_two_terms_have(
    tmp_path: Path, rows: list[Cells], pair: tuple[int, int]
) -> None:
    first, second = pair
    rows[first]["synonyms"] = "Qwertol; WDG"
    rows[second]["synonyms"] = "Zyx | wdg"
    expected = [("shared-synonym", rows[second]["id"], line_of(second))]
    assert in_file(tmp_path, rows) == expected


def test_an_acronym_in_brackets_is_a_synonym(tmp_path: Path, rows: list[Cells]) -> None:
    rows[0]["term"] = "Sundry Days Off (SDO)"
    rows[0]["synonyms"] = "SDO"
    assert in_file(tmp_path, rows) == []
    rows[128]["term"] = "Sundry Duties Owed (SDO)"
    assert in_file(tmp_path, rows) == [("shared-synonym", rows[128]["id"], line_of(128))]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("column", "cell"), [("definition", ""), ("definition", " \t"), ("term", ""), ("term", "  ")]
)
def test_an_empty_cell(
    tmp_path: Path, rows: list[Cells], column: str, cell: str, place: str
) -> None:
    rows[PLACES[place]][column] = cell
    assert in_file(tmp_path, rows) == [("broken-row", "", line_of(PLACES[place]))]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("broken", ["qwertol", "a,b,c,d,e,f,g,h", 'qwertol,"a, b"'])
def test_a_row_of_too_few_or_too_many_cells(tmp_path: Path, broken: str, place: str) -> None:
    lines = (FINANCE_TERMS / "glossary.csv").read_text(encoding="utf-8").splitlines()
    lines[PLACES[place] + 1] = broken
    path = tmp_path / "broken.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert found_in(read_terms(path)) == [("broken-row", "", line_of(PLACES[place]))]


def test_broken_lines_of_other_formats(tmp_path: Path) -> None:
    path = tmp_path / "terms.jsonl"
    path.write_text(
        '{"id": "a", "term": "Upkeep", "definition": "Money spent on old machines."}\n'
        '\n{"id": "b", "term": \n{"id": "c", "term": "Fee"}\n["Fee"]\n'
        '{"id": "a", "term": "Toll", "definition": "Money paid for roads and bridges."}\n'
    )
    broken: Found = [("broken-row", "", line) for line in (3, 4, 5)]
    assert found_in(read_terms(path)) == [*broken, ("clashing-id", "", 6)]
    path.write_text("[]\n[]\n")
    assert found_in(read_terms(path)) == [("broken-row", "", 1), ("broken-row", "", 2)]


def test_a_quote_that_never_closes_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "open.csv"
    path.write_text('term,definition\nFee,"Money\nToll,Money\n')
    with pytest.raises(InputError, match=r"open.csv:2: .*quote that never closes"):
        read_terms(path)


@pytest.mark.parametrize("place", PLACES)
def test_swapped_columns_of_a_long_definition(
    tmp_path: Path, rows: list[Cells], place: str
) -> None:
    row = rows[PLACES[place]]
    row["term"], row["definition"] = f"{LONG}.", "Monthly Upkeep Charge"
    assert in_file(tmp_path, rows) == [("swapped", row["id"], line_of(PLACES[place]))]


# Whatever their lengths.
@pytest.mark.parametrize("place", PLACES)
def test_swapped_columns(tmp_path: Path, rows: list[Cells], place: str) -> None:
    row = rows[PLACES[place]]
    row["term"], row["definition"] = row["definition"], row["term"]
    assert in_file(tmp_path, rows) == [("swapped", row["id"], line_of(PLACES[place]))]


def test_several_faults_come_in_the_order_of_lines(tmp_path: Path, rows: list[Cells]) -> None:
    rows[200]["definition"] = "TBD"
    rows[9]["definition"] = "Qwertol {{"
    rows[100]["id"] = rows[3]["id"]
    rows[40]["term"] = ""
    assert in_file(tmp_path, rows) == [
        ("short", rows[9]["id"], 11),
        ("markup", rows[9]["id"], 11),
        ("broken-row", "", 42),
        ("clashing-id", "", 102),
        ("placeholder", rows[200]["id"], 202),
    ]


def test_findings_say_where_what_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text("term,definition,formula\nFee,,\nToll,TBD,<b>\nTax,Toll,a\n")
    found = lint(read_terms(path), None)
    assert [finding.kind for finding in found] == ["broken-row", "placeholder", "markup", "short"]
    assert "'definition'" in found[0].text
    assert "'TBD'" in found[1].text and found[1].id == "toll"
    assert "'<b>'" in found[2].text and "formula" in found[2].text
    assert all(finding.fix.endswith(".") for finding in found)
    assert all(finding.kind in KINDS for finding in found)


SMALL = (
    "trade-payables",
    "trade-receivables",
    "inventories",
    "cash-and-cash-equivalents",
    "bank-overdraft",
    "accrued-expenses",
)


@pytest.fixture(scope="module")
def small(glossary: Glossary) -> tuple[Term, ...]:
    by_id = {term.id: term for term in glossary.terms}
    return tuple(by_id[term_id] for term_id in SMALL)


def upkeep(more: int, *, formula: str = "") -> Term:
    return Term(STRANGER, "Machine Upkeep Charge", f"{LONG}, {'tax ' * more}.", formula=formula)


@pytest.mark.parametrize("place", [0, 1])
def test_a_definition_that_is_cut(model: CrossEncoder, small: tuple[Term, ...], place: int) -> None:
    terms = (*small[:place], upkeep(600), *small[place:1])
    assert among(*terms, model=model) == [("cut", STRANGER)]


def test_the_last_token_that_is_read(tiny_model: Path, small: tuple[Term, ...]) -> None:
    tiny = CrossEncoder(tiny_model)

    def cut(term: Term) -> list[tuple[str, str]]:
        return [found for found in among(small[0], term, model=tiny) if found[0] == "cut"]

    room = tiny.max_seq_length - QUESTION_TOKENS
    fits = room - len(tiny.tokenize([upkeep(0).document])[0])
    assert fits > 200
    assert cut(upkeep(fits)) == []
    assert cut(upkeep(fits + 1)) == [("cut", STRANGER)]
    # What stands behind the definition counts too.
    assert cut(upkeep(fits, formula="tax")) == [("cut", STRANGER)]


def test_a_term_that_the_model_cannot_find(model: CrossEncoder, small: tuple[Term, ...]) -> None:
    """Its text does not hold its name, and its definition says nothing."""
    terms = (*small, Term(STRANGER, "Trade Payables List", "Owed"))
    searcher = Glossary("some", terms, "{definition}").searcher(model)
    found = [(finding.kind, finding.id) for finding in lint(read_of(terms), searcher)]
    assert found == [("short", STRANGER), ("unreachable", STRANGER)]


def test_one_term_alone_is_reached(model: CrossEncoder, small: tuple[Term, ...]) -> None:
    assert among(small[0], model=model) == []
    assert among(model=model) == []


FEE = "Money that a firm charges its buyers for the upkeep of every part"
NO_FAULT: dict[str, tuple[Term, ...]] = {
    "figures tell apart": (
        Term("a", "Early Arrears", "Money that debtors have owed the bank for at least 30 days."),
        Term("b", "Late Arrears", "Money that debtors have owed the bank for at least 90 days."),
    ),
    "signs, accents and dashes": (
        Term("a", "R&D and AT&T (M&A)", f"{FEE} \u2013 \u2018caf\u00e9\u2019, if x < y; 5\u00a0\u20ac."),
    ),
    "capitals with a tilde": (Term("a", "Fee", f"{FEE} (N\u00c3O, S\u00c3O PAULO)."),),
    "many lines": (Term("a", "Fee", f"{FEE},\n\tand\r\nof more."),),
    "one context each in brackets": (
        Term("a", "Turnover (staff)", "Share of workers who leave within a year."),
        Term("b", "Turnover (stock)", "How often goods are sold and bought anew."),
    ),
    "an acronym that is also listed": (
        Term("a", "Fee of Use (FOU)", f"{FEE}.", synonyms=("FOU",)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_FAULT)
def test_what_is_no_fault(name: str) -> None:
    assert among(*NO_FAULT[name]) == []


REVENUE = Term("revenue", "Revenue", "Money earned by selling goods or services.")
PROFIT = Term("margin", "Profit Margin", "What is left of each dollar of sales after all costs.")
FALSE_ALARMS: dict[str, tuple[Term, ...]] = {
    "a sign tells names apart": (
        PROFIT,
        Term("b", "Profit Margin %", "Net profit as a share of sales."),
    ),
    "two other names of one term": (
        REVENUE,
        Term("a", "Turnover", "See Revenue."),
        Term("b", "Sales", "See Revenue."),
    ),
    "the other term's name is part of its own": (
        PROFIT,
        Term("a", "Net Profit Margin", "See Profit Margin."),
    ),
    "two references": (REVENUE, PROFIT, Term("a", "Yield", "See Revenue and Profit Margin.")),
    "a comparison is no reference": (
        REVENUE,
        Term("a", "Net Sales", "Same as revenue but net of goods sent back."),
    ),
    "a sign tells definitions apart": (
        Term("a", "Early Arrears", "Money owed for < 90 days."),
        Term("b", "Late Arrears", "Money owed for > 90 days."),
    ),
    "an operator tells definitions apart": (
        Term("a", "Yield Share", "Profit / sales of the year"),
        Term("b", "Yield Gap", "Profit - sales of the year"),
    ),
    "synonyms of signs alone": (
        Term("a", "Euro", "Money of most of Western Europe.", synonyms=("\u20ac",)),
        Term("b", "Dollar", "Money of the United States.", synonyms=("$",)),
    ),
    "not tells apart": (
        Term("a", "Firm Loan", "Sums that a borrower must pay back to the bank within a year."),
        Term("b", "Soft Loan", "Sums that a borrower must not pay back to the bank within a year."),
    ),
    "over and under tell apart": (
        Term("a", "Excess", "Loans that are over the limit the bank agreed with a borrower."),
        Term("b", "Headroom", "Loans that are under the limit the bank agreed with a borrower."),
    ),
    "what tells names apart tells definitions apart": (
        Term("a", "Direct Storage Cost", f"Direct cost of storage. {FEE} used."),
        Term("b", "Indirect Storage Cost", f"Indirect cost of storage. {FEE} used."),
    ),
    "an acronym of a part of the name": (
        Term("a", "Bank Data Centre (BDC) Repository", "Where files about lenders are kept."),
        Term("b", "Bank Data Centre (BDC) Vocabulary", "Words with which lenders are described."),
    ),
    "less and more in a formula": (Term("a", "Fee", f"{FEE}.", formula="debt<equity and cash>0"),),
    "a plural after an ampersand": (Term("a", "Fee", f"{FEE} in M&As; others pay none."),),
    "words joined in Persian": (Term("a", "Fee", "\u06a9\u062a\u0627\u0628\u200c\u0647\u0627 \u06a9\u0627 \u06a9\u0627."),),
    "a family": (Term("a", "Fee", f"{FEE} \U0001f468\u200d\U0001f469\u200d\U0001f467."),),
    "no spaces between words": (
        Term("a", "\u8cc7\u7523", "\u4f1a\u793e\u304c\u6240\u6709\u3059\u308b\u3082\u306e\u3067\u3001\u5c06\u6765\u306e\u5229\u76ca\u3092\u3082\u305f\u3089\u3059\u3002"),
    ),
}  # fmt: skip


# Nothing is wrong with these.
@pytest.mark.parametrize("name", FALSE_ALARMS)
def test_false_alarms(name: str) -> None:
    assert among(*FALSE_ALARMS[name]) == []


# Faults of that kind, and of no other.
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("placeholder", "TBD - ask finance"),
        ("placeholder", "(to be defined)"),
        ("placeholder", "[no definition]"),
        ("placeholder", "Definition to follow."),
        ("placeholder", "Not defined yet."),
        ("placeholder", "#N/A"),
        ("placeholder", "pending"),
        ("dead-reference", "See: Widget Turnover."),
        ("dead-reference", "See Widget Yield (WY)."),
        ("dead-reference", "See Shareholders' Equity."),
        ("markup", f"{FEE} &#x27;used&#x27;."),
        ("markup", f"{FEE} in m&sup2;."),
        ("markup", f"{FEE} <!-- check -->."),
        ("markup", f"<o:p>{FEE}</o:p>"),
        ("markup", f"{FEE} {{# check #}}."),
        ("broken-characters", f"{FEE} in \u00c3\u0153bersee."),
        ("broken-characters", f"{FEE} in M\u00c3\u0178en."),
        ("broken-characters", f"{FEE} of 5 \u00e2\u201a\u00ac."),
        ("broken-characters", f"{FEE} \u00e2\u2030\u00a5 5."),
        ("broken-characters", f"{FEE} \u00e2\u2020\u2019 all."),
    ],
)
def test_missed_faults(kind: str, text: str) -> None:
    assert kinds_of(text) == [kind]


# Synonyms are read by the model too.
@pytest.mark.parametrize("synonym", ["Upkeep &amp; Repair", "Upkeep\u200b Fee", "<b>Upkeep</b>"])
def test_broken_text_in_a_synonym(synonym: str) -> None:
    kinds = among(Term("a", "Widget Fee", f"{FEE}.", synonyms=("Rent", synonym)))
    assert kinds == [("markup" if synonym.isascii() else "broken-characters", "a")]


TEXTS = st.text(max_size=40) | st.sampled_from(
    ["TBD", "See Fee.", "see (", "The fee", "<b", "&;", "Fee (F", "(FEE)", "Same as", "''", "."]
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.lists(TEXTS, max_size=2)), max_size=6))
def test_any_text_goes_through(parts: list[tuple[str, str, str, list[str]]]) -> None:
    terms = tuple(
        Term(f"t{at}", name, definition, synonyms=tuple(synonyms), formula=formula)
        for at, (name, definition, formula, synonyms) in enumerate(parts)
    )
    found = lint(read_of(terms), None)
    assert all(finding.kind in KINDS and finding.text and finding.fix for finding in found)
    assert [finding.line for finding in found] == sorted(finding.line or 0 for finding in found)
    assert {finding.id for finding in found} <= {term.id for term in terms}
    # Every fault of a kind once for a term, but for words and fields that may be several.
    once = [(f.kind, f.id) for f in found if f.kind in ("placeholder", "short", "same-definition")]
    assert len(once) == len(set(once))
