"""Excel workbooks (.xlsx, .xlsm), through openpyxl."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from glossrank.columns import guess_columns
from glossrank.errors import InputError, MissingExtraError
from glossrank.readers.records import Records, unreadable
from glossrank.tables import Row, require_file

MOST_CELLS = 10_000_000
"""Empty ones too: a row is as long as its last cell, and a file of a few bytes can say where that is."""
_HEADER_ROWS = 20
"""Rows in which the header is looked for: titles and notes often stand above it."""


def read_excel(
    path: Path, *, sheet: str | None = None, columns: Mapping[str, str] | None = None
) -> Records:
    """The rows of one sheet; the header is the first row that names a term and a definition.

    Args:
        columns: field to column, where the user named them.

    Raises:
        InputError: no workbook, no such sheet, or no sheet with rows.
        MissingExtraError: openpyxl is not installed.
    """
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise MissingExtraError(
            feature="reading Excel", extra="files", missing="openpyxl"
        ) from error
    require_file(path)
    try:
        # Opened here, because openpyxl leaves a broken file open.
        with path.open("rb") as stream, warnings.catch_warnings():
            # Of parts that hold no cells: styles, validation rules.
            warnings.simplefilter("ignore")
            book = load_workbook(stream, read_only=True, data_only=True)
            sheets = {}
            for name in book.sheetnames:
                if hasattr(book[name], "iter_rows"):
                    # Its size is what some programs write wrongly.
                    book[name].reset_dimensions()
                    sheets[name] = _cells(path, book[name].iter_rows(values_only=True))
            book.close()
    except InputError:
        raise
    except Exception as error:  # openpyxl lets errors of zipfile, XML and its own through
        raise unreadable(
            path,
            error,
            expected="an Excel workbook",
            fix="Open it in Excel and save it again as .xlsx.",
        ) from error
    if sheet is not None and sheet not in sheets:
        raise InputError(
            file=path,
            expected=f"one of the sheets {', '.join(map(repr, sheets))}",
            found=repr(sheet),
            fix="Write the sheet's name as the workbook does.",
        )
    names = list(sheets) if sheet is None else [sheet]
    for name in names:
        header = _header(sheets[name], columns or {})
        if header is not None:
            return _records(path, name, sheets[name], header)
    filled = [name for name in names if any(_texts(row) for row in sheets[name])]
    if not filled:
        raise InputError(
            file=path, expected="a sheet with rows", found="empty ones", fix="Fill the sheet."
        )
    # Without a known header the first filled row is it; choosing columns says what is missing.
    rows = sheets[filled[0]]
    first = next(at for at, row in enumerate(rows) if _texts(row))
    return _records(path, filled[0], rows, first)


def _cells(path: Path, rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    found: list[list[Any]] = []
    count = 0
    for row in rows:
        count += len(row)
        if count > MOST_CELLS:
            raise InputError(
                file=path,
                expected=f"at most {MOST_CELLS:,} cells in a sheet",
                found=f"more, up to row {len(found) + 1}",
                fix="Remove what is far to the right of the terms or below them.",
            )
        found.append(list(row))
    return found


def _header(rows: list[list[Any]], columns: Mapping[str, str]) -> int | None:
    for at, row in enumerate(rows[:_HEADER_ROWS]):
        try:
            guess_columns([text for text in _texts(row) if text], columns, file="")
        except InputError:
            continue
        return at
    return None


def _records(path: Path, sheet: str, rows: list[list[Any]], header: int) -> Records:
    names = _texts(rows[header])
    twice = sorted(name for name, count in Counter(names).items() if name and count > 1)
    if twice:
        raise InputError(
            file=path,
            line=header + 1,
            expected="every column once",
            found=f"{', '.join(twice)} more than once",
            fix="Rename or remove one.",
        )
    found: list[Row | InputError] = []
    for number, row in enumerate(rows[header + 1 :], start=header + 2):
        values = {name: value for name, value in zip(names, row, strict=False) if name}
        if any(value is not None and str(value).strip() for value in values.values()):
            found.append(Row(number, {name: _plain(value) for name, value in values.items()}))
    return Records(str(path), tuple(found), (f"sheet {sheet!r}",), unit="row", header=header + 1)


def _texts(row: list[Any]) -> list[str]:
    while row and row[-1] is None:
        row = row[:-1]
    return ["" if cell is None else str(cell).strip() for cell in row]


def _plain(value: Any) -> Any:
    # Excel keeps whole numbers as floats: an account 101.0 is 101.
    return int(value) if isinstance(value, float) and value.is_integer() else value
