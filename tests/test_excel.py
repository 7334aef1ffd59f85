from __future__ import annotations

import datetime
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from openpyxl.chart import BarChart, Reference

from glossrank import Glossary
from glossrank.errors import InputError
from glossrank.glossary import read_terms

HEADER = ["Term", "Definition"]
CASH = ["Cash", "Money."]
SHEET = "xl/worksheets/sheet1.xml"


def write(tmp_path: Path, name: str = "terms.xlsx", **sheets: Sequence[Sequence[Any]]) -> Path:
    book = Workbook(write_only=True)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
    path = tmp_path / name
    book.save(path)
    return path


def patch(path: Path, part: str, old: bytes, new: bytes) -> None:
    """Replace bytes within a part of a workbook."""
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    assert old in parts[part]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, content in parts.items():
            book.writestr(name, content.replace(old, new) if name == part else content)


@pytest.mark.parametrize("name", ["terms.xlsx", "TERMS.XLSX", "terms.xlsm"])
def test_a_table_is_found_below_its_title_and_after_other_sheets(tmp_path: Path, name: str) -> None:
    path = write(
        tmp_path,
        name,
        Cover=[["Key figures"], ["Author", "Controlling"]],
        Empty=[],
        KPIs=[
            ["Key figures 2024"],
            [],
            [None, "KPI Name", "Business Definition ", "KPI ID", "Aliases", None, "Owner"],
            [None, "Cash", "Money.", 101.0, "coins; notes", "x", 7.0],
            [None, " ", "", None, None, "a remark"],
            [None, 4000.0, "An account.", 102.5],
        ],
    )
    found = read_terms(path)
    assert found.problems == ()
    assert [(t.id, t.term, t.definition) for t in found.terms] == [
        ("101", "Cash", "Money."),
        ("102.5", "4000", "An account."),
    ]
    assert found.terms[0].synonyms == ("coins", "notes")
    assert [term.owner for term in found.terms] == ["7", ""]
    assert found.lines == {"101": 4, "102.5": 6}
    assert found.notes == (
        "sheet 'KPIs'",
        "term = column 'KPI Name'",
        "definition = column 'Business Definition'",
        "id = column 'KPI ID'",
        "synonyms = column 'Aliases'",
    )


def test_a_sheet_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, Old=[HEADER, CASH], New=[HEADER, ["Debt", "Owed."]])
    assert [term.id for term in Glossary.load(path).terms] == ["cash"]
    found = Glossary.load(path, sheet="New")
    assert [term.id for term in found.terms] == ["debt"]
    assert found.notes == ("sheet 'New'",)
    with pytest.raises(InputError, match=r"terms.xlsx: .*'Old', 'New', found 'new'"):
        Glossary.load(path, sheet="new")


def test_chosen_columns_show_where_the_table_begins(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        Cover=[["Read me first"]],
        Terms=[["Glossar"], [], ["Begriff", "Bedeutung"], CASH],
    )
    found = read_terms(path, columns={"term": "Begriff", "definition": "Bedeutung"})
    assert found.lines == {"cash": 4}
    with pytest.raises(InputError, match=r"terms.xlsx:\d: expected a column 'Titel' for term"):
        read_terms(path, sheet="Terms", columns={"term": "Titel", "definition": "Bedeutung"})


def test_the_row_of_a_header_without_a_definition_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, Terms=[[], ["Term", "Text of it"], CASH])
    with pytest.raises(InputError, match=r"terms.xlsx:2: .*Text of it \(missing: definition\)"):
        Glossary.load(path)


def test_cells_that_are_no_text(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        Terms=[
            [*HEADER, "Owner", "Source", "Tags"],
            ["Cash", "Money.", True, datetime.date(2024, 5, 1), datetime.time(12, 30)],
            [True, "A truth."],
            [datetime.datetime(2024, 5, 1), "A day."],
            ["=1+1", "A formula that was never computed."],
            ["Debt", 3],
            [3.5, "A number."],
            ["Tax", None],
        ],
    )
    found = read_terms(path)
    assert [term.term for term in found.terms] == ["Cash"]
    assert (found.terms[0].owner, found.terms[0].tags) == ("True", ("12:30:00",))
    assert found.terms[0].source.startswith("2024-05-01")
    assert [problem.line for problem in found.problems] == [3, 4, 5, 6, 7, 8]
    assert all(f"terms.xlsx:{problem.line}: " in str(problem) for problem in found.problems)


def test_a_wrong_size_written_by_another_program_hides_no_rows(tmp_path: Path) -> None:
    for size in (b"A1", b"A1:B2", b"A1:XFD1048576"):
        path = tmp_path / "terms.xlsx"
        book = Workbook()
        for row in (HEADER, CASH, ["Debt", "Owed."]):
            book.worksheets[0].append(row)
        book.save(path)
        patch(path, SHEET, b'<dimension ref="A1:B3"', b'<dimension ref="' + size + b'"')
        assert [term.id for term in Glossary.load(path).terms] == ["cash", "debt"]


def test_a_sheet_with_only_a_chart_is_passed_over(tmp_path: Path) -> None:
    book = Workbook()
    for row in (HEADER, CASH):
        book.worksheets[0].append(row)
    chart = BarChart()
    chart.add_data(Reference(book.worksheets[0], 1, 1, 2, 2))
    book.create_chartsheet("Chart", 0).add_chart(chart)
    path = tmp_path / "terms.xlsx"
    book.save(path)
    assert [term.id for term in Glossary.load(path).terms] == ["cash"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"terms.xlsx: expected a sheet with rows"),
        ([HEADER], r"terms.xlsx: expected at least one term"),
        ([["Term", "Meaning of", "x"], CASH], r"terms.xlsx:1: .*\(missing: definition\)"),
        ([[], [*HEADER, "Term"], [*CASH, "x"]], r"terms.xlsx:2: .*Term more than once"),
        ([["ID", *HEADER], [1, *CASH], [1, "Debt", "Owed."]], r"xlsx:3: .*'1' again, .* row 2"),
    ],
)
def test_a_sheet_that_is_no_glossary_is_an_error(
    tmp_path: Path, rows: list[list[Any]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Glossary.load(write(tmp_path, Terms=rows))


def test_a_broken_workbook_is_one_error(tmp_path: Path) -> None:
    path = write(tmp_path, Terms=[HEADER, CASH])
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-10], b"term,definition\nCash,Money.\n"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"terms.xlsx: expected an Excel workbook"):
            Glossary.load(path)
    path.write_bytes(whole)
    patch(path, SHEET, b"</sheetData>", b"<")
    with pytest.raises(InputError, match=r"terms.xlsx: expected an Excel workbook"):
        Glossary.load(path)
    bomb = b"".join(
        b'<!ENTITY x%d "%s">' % (at, b"a" * 20 if at == 0 else b"&x%d;" % (at - 1) * 20)
        for at in range(9)
    )
    path.write_bytes(whole)
    patch(path, SHEET, b"<worksheet", b"<!DOCTYPE x [" + bomb + b"]><worksheet")
    patch(path, SHEET, b"Cash", b"&x8;")
    with pytest.raises(InputError, match=r"terms.xlsx: expected an Excel workbook"):
        Glossary.load(path)


def test_few_bytes_do_not_become_many_cells(tmp_path: Path) -> None:
    path = write(tmp_path, terms=[HEADER, *[CASH] * 700])
    with zipfile.ZipFile(path) as book:
        count = book.read(SHEET).count(b"</row>")
    patch(path, SHEET, b"</row>", b'<c r="XFD1"/></row>')
    assert count == 701
    with pytest.raises(InputError, match="at most 10,000,000 cells"):
        read_terms(path)
