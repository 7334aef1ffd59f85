"""Rows of CSV, TSV, JSONL and JSON files, each with its line, and errors that name it.

Used by the glossary and the labelled pairs, which know what the columns mean.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glossrank.errors import InputError

MAX_TEXT = 100_000
"""Characters of one cell. A longer one is a broken file (a quote that never closes), not a
text: the model reads some 2,000 characters."""

DELIMITERS = {".csv": ",", ".tsv": "\t"}
_KINDS = (*DELIMITERS, ".jsonl", ".json")


@dataclass(frozen=True)
class Row:
    """One record of a file.

    Attributes:
        line: 1-based line on which the record starts (for JSON arrays, its position).
        values: column name to cell; text from CSV and TSV, JSON values from the others.
        file: where the record is, if a source is of several files.
    """

    line: int
    values: dict[str, Any]
    file: str | None = None


def require_file(path: Path) -> None:
    """Raise InputError unless ``path`` can be opened and has something in it."""
    _content(path)


def read_text(path: Path) -> str:
    """The file as UTF-8 text, without a byte-order mark.

    Raises:
        InputError: it is not there, cannot be read, is empty, or is not UTF-8 (the line
            and the byte are named).
    """
    text = decode(_content(path), file=path)
    if not text.strip():
        raise _empty(path)
    return text


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InputError(
            file=path,
            expected="a file that can be read",
            found=getattr(error, "strerror", None) or str(error),
            fix="Check the path and its permissions.",
        ) from error
    if not content:
        raise _empty(path)
    return content


def _empty(path: Path) -> InputError:
    return InputError(
        file=path, expected="at least one row", found="an empty file", fix="Fill the file."
    )


def decode(content: bytes, *, file: Path | str) -> str:
    """UTF-8 bytes as text, without a byte-order mark.

    Raises:
        InputError: they are not UTF-8; the line and the byte are named.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            file=file,
            line=error.object.count(b"\n", 0, error.start) + 1,
            expected="text in UTF-8",
            found=f"the byte 0x{error.object[error.start]:02x}, as Latin-1 or Windows-1252 writes it",
            fix="Save the file as UTF-8 (in Excel: 'CSV UTF-8').",
        ) from error


def require_text(text: str, *, name: str) -> None:
    """Raise InputError unless ``text`` has something in it and is valid Unicode.

    Args:
        name: what the text is, for the message.
    """
    if text.strip() and _is_unicode(text):
        return
    raise InputError(
        expected=f"a text in UTF-8 as {name}",
        found="nothing but blanks" if _is_unicode(text) else f"broken characters in {text!r}",
        fix="Write it in plain words.",
    )


def cell_text(path: Path | str, row: Row, name: str) -> str | InputError:
    """The text under ``name``, or the error that a missing or blank one deserves."""
    text = row.values[name]
    if isinstance(text, str) and text.strip():
        return text
    return InputError(
        file=path,
        line=row.line,
        expected=f"a text under {name!r}",
        found=shown(text),
        fix="Fill the cell or remove the row.",
    )


def shown(value: Any) -> str:
    """A value for a message; a list is not spelled out, for YAML's aliases can make it endless."""
    return type(value).__name__ if isinstance(value, dict | list | tuple) else repr(value)[:200]


def _is_unicode(text: str) -> bool:
    """False for lone surrogates, which bytes that are no UTF-8 and JSON escapes can leave."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_rows(path: Path, *, columns: tuple[str, ...]) -> Iterator[Row | InputError]:
    """The file's records; a broken one is yielded as the error it deserves.

    Args:
        path: the suffix says what it is: .csv, .tsv, .jsonl or .json (an array of objects).
        columns: names that every record must have.

    Raises:
        InputError: the file as a whole cannot be read: see :func:`read_text`, an unknown
            suffix, or a missing column.
    """
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise InputError(
            file=path,
            expected=f"a file that ends in {', '.join(_KINDS)}",
            found=repr(path.suffix),
            fix="Rename or convert the file.",
        )
    text = read_text(path)
    if kind in DELIMITERS:
        rows = _delimited_rows(path, text, _delimiter(kind, text), columns)
    else:
        rows = _jsonl_rows(path, text) if kind == ".jsonl" else _json_rows(path, text)
        rows = _with_columns(path, rows, columns)
    for row in rows:
        yield checked(path, row) if isinstance(row, Row) else row


def read_texts(path: Path, *, column: str) -> list[str]:
    """Texts of a file of rows, or one a line; blank lines are none.

    Args:
        column: of the rows.

    Raises:
        InputError: the file cannot be read, a row is broken, or there is no text.
    """
    if path.suffix.lower() not in _KINDS:
        return lines_of(read_text(path), file=path)
    texts = []
    for row in read_rows(path, columns=(column,)):
        text = row if isinstance(row, InputError) else cell_text(path, row, column)
        if isinstance(text, InputError):
            raise text
        texts.append(text)
    return texts or lines_of("", file=path)


def lines_of(text: str, *, file: Path | str) -> list[str]:
    """The lines that are not blank, at least one."""
    # Not splitlines(), which also cuts at characters such as U+2028.
    lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    if not lines:
        raise InputError(
            file=file, expected="at least one text", found="none", fix="Write one a line."
        )
    return lines


def checked(path: Path | str, row: Row) -> Row | InputError:
    """The row, or the error of a cell that is too long or no valid Unicode."""
    texts = (
        (name, text)
        for name, value in row.values.items()
        for text in (value if isinstance(value, list) else [value])
    )
    for name, value in texts:
        if isinstance(value, str) and not _is_unicode(value):
            return InputError(
                file=path,
                line=row.line,
                expected=f"valid Unicode in {name!r}",
                found="half of a surrogate pair",
                fix="Write the character itself or both halves of its escape.",
            )
        if isinstance(value, str) and len(value) > MAX_TEXT:
            return InputError(
                file=path,
                line=row.line,
                expected=f"at most {MAX_TEXT:,} characters in {name!r}",
                found=f"{len(value):,}",
                fix="Shorten the text, or look for a quote that never closes.",
            )
    return row


def _delimiter(kind: str, text: str) -> str:
    """Of a file; where the comma is the decimal sign Excel writes CSV with semicolons."""
    header = text.split("\n", 1)[0]
    if kind == ".csv" and ";" in header and "," not in header:
        return ";"
    return DELIMITERS[kind]


def _delimited_rows(
    path: Path, text: str, delimiter: str, columns: tuple[str, ...]
) -> Iterator[Row | InputError]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        header = [name.strip() for name in next(reader)]
        _require(path, 1, columns, header)
        twice = sorted(name for name, count in Counter(header).items() if name and count > 1)
        if twice:
            raise InputError(
                file=path,
                line=1,
                expected="every column once",
                found=f"{', '.join(twice)} more than once",
                fix="Rename or remove one.",
            )
        while True:
            line = reader.line_num + 1
            cells = next(reader, None)
            if cells is None:
                return
            if not any(cells):
                continue
            if len(cells) != len(header):
                yield InputError(
                    file=path,
                    line=line,
                    expected=f"{len(header)} cells, as in the header",
                    found=str(len(cells)),
                    fix="Quote cells that contain the delimiter.",
                )
                continue
            yield Row(line, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise InputError(
            file=path,
            line=line,
            expected=f"a record of cells of at most {MAX_TEXT:,} characters, quotes closed",
            found=str(error),
            fix="Look for a quote that never closes, or shorten the text.",
        ) from error


def _jsonl_rows(path: Path, text: str) -> Iterator[Row | InputError]:
    # Not splitlines(): JSON strings may hold U+2028 and its like unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield _json_row(path, number, json.loads(line))
        except (ValueError, RecursionError) as error:
            yield InputError(
                file=path,
                line=number,
                expected="one JSON object",
                found=f"a broken line ({error})",
                fix="Write one whole object a line.",
            )


def _json_rows(path: Path, text: str) -> Iterator[Row | InputError]:
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            file=path,
            line=getattr(error, "lineno", None),
            expected="a JSON array of objects",
            found=str(error),
            fix="Mend the JSON.",
        ) from error
    if not isinstance(records, list) or not records:
        raise InputError(
            file=path,
            expected="a JSON array of objects",
            found="an empty array" if records == [] else type(records).__name__,
            fix="Write an array with one object a record.",
        )
    for number, record in enumerate(records, start=1):
        yield _json_row(path, number, record)


def _json_row(path: Path, number: int, record: Any) -> Row | InputError:
    if isinstance(record, dict):
        return Row(number, record)
    return InputError(
        file=path,
        line=number,
        expected="a JSON object",
        found=type(record).__name__,
        fix="Write one object a record.",
    )


def _with_columns(
    path: Path, rows: Iterator[Row | InputError], columns: tuple[str, ...]
) -> Iterator[Row | InputError]:
    for row in rows:
        if isinstance(row, Row):
            _require(path, row.line, columns, list(row.values))
        yield row


def _require(path: Path, line: int, columns: tuple[str, ...], header: list[str]) -> None:
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(
            file=path,
            line=line,
            expected=f"the columns {', '.join(columns)}",
            found=f"{', '.join(header) or 'none'} (missing: {', '.join(missing)})",
            fix="Name the columns so; others may stand beside them.",
        )
