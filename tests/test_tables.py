from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossrank.errors import InputError
from glossrank.tables import MAX_TEXT, Row, read_rows

COLUMNS = ("a", "b")
# Surrogates cannot be encoded; a lone carriage return is a line end to csv.
cells = st.text(st.characters(codec="utf-8"), max_size=30).map(lambda t: t.replace("\r", "r"))
records = st.lists(st.fixed_dictionaries({"a": cells, "b": cells}), min_size=1, max_size=8)


def read(path: Path, columns: tuple[str, ...] = COLUMNS) -> list[Row | InputError]:
    return list(read_rows(path, columns=columns))


@settings(deadline=None)
@given(rows=records)
@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".json"])
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, kind: str, rows: list[dict[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / f"rows{kind}"
    if kind == ".jsonl":
        path.write_text(
            "\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8"
        )
    elif kind == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        buffer = io.StringIO(newline="")
        writer = csv.DictWriter(
            buffer, COLUMNS, delimiter="\t" if kind == ".tsv" else ",", quoting=csv.QUOTE_ALL
        )
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(buffer.getvalue(), encoding="utf-8", newline="")
        # A row of empty cells cannot be told from an empty line.
        rows = [r for r in rows if any(r.values())]
    found = read(path)
    assert [r.values for r in found if isinstance(r, Row)] == rows
    assert len(found) == len(rows)


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n")
    assert read(path) == [Row(2, {"a": "1", "b": "2"})]


def test_lines_are_those_on_which_records_start(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    path.write_text('a,b\n"1\n1",2\n\n3,4\n')
    assert [(r.line, r.values["a"]) for r in read(path) if isinstance(r, Row)] == [
        (2, "1\n1"),
        (5, "3"),
    ]


WHOLE_FILE_FAULTS: list[tuple[str, bytes, str]] = [
    ("empty.csv", b"", "an empty file"),
    ("blank.jsonl", b" \n\n", "an empty file"),
    ("missing.csv", b"a,c\n1,2\n", r"missing.csv:1: .*\(missing: b\)"),
    ("missing.jsonl", b'{"a": "1", "b": "2"}\n{"a": "1"}\n', r"missing.jsonl:2: .*\(missing: b\)"),
    ("latin.csv", b"a,b\n1,2\ncaf\xe9,2\n", r"latin.csv:3: .*UTF-8.*0xe9"),
    ("bom.csv", b"\xef\xbb\xbfa,b\n1,2\ncaf\xe9,2\n", r"bom.csv:3: .*0xe9"),
    ("twice.csv", b"a,a,b\n1,2,3\n", r"twice.csv:1: .*a more than once"),
    ("open.csv", b'a,b\n1,2\n"never closed,2\n', r"open.csv:3: "),
    ("object.json", b'{"a": 1}', "JSON array"),
    ("none.json", b"[]", "an empty array"),
    ("broken.json", b"[{]", "broken.json:1"),
    ("rows.xlsx", b"PK", "'.xlsx'"),
]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    WHOLE_FILE_FAULTS,
    ids=lambda v: v if isinstance(v, str) and "." in v[:12] else "",
)
def test_a_broken_file_is_one_error(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(path)


def test_a_file_that_is_not_there_or_a_folder_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"Is a directory|denied"):
        read(tmp_path / "folder.csv")


ROW_FAULTS: list[tuple[str, str, int, str]] = [
    ("half.jsonl", '{"a": "1", "b": "2"}\n{"a": "1", \n{"a": "3", "b": "4"}\n', 2, "a broken line"),
    ("list.jsonl", '{"a": "1", "b": "2"}\n[1]\n', 2, "found list"),
    ("deep.jsonl", '{"a": "1", "b": "2"}\n' + "[" * 100_000 + "\n", 2, "a broken line"),
    ("half.jsonl", '{"a": "1", "b": "\\ud83d"}\n', 1, "half of a surrogate pair"),
    ("ragged.csv", "a,b\n1,2,3\n4,5\n", 2, "found 3"),
    ("long.jsonl", json.dumps({"a": "x" * (MAX_TEXT + 1), "b": ""}) + "\n", 1, "100,001"),
    ("long.csv", f"a,b\n1,2\n{'x' * (MAX_TEXT + 1)},2\n", 3, "100,001"),
]


@pytest.mark.parametrize(
    ("name", "content", "line", "message"), ROW_FAULTS, ids=[f[0] for f in ROW_FAULTS]
)
def test_a_broken_row_is_named_and_the_others_are_kept(
    tmp_path: Path, name: str, content: str, line: int, message: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    errors = [r for r in read(path) if isinstance(r, InputError)]
    assert [e.line for e in errors] == [line]
    assert message in str(errors[0])
    good = content.count("\n") - 1 - (path.suffix == ".csv")
    assert len(read(path)) - 1 == good


def test_a_cell_of_ten_megabytes_is_an_error_with_its_line(tmp_path: Path) -> None:
    writers: dict[str, Callable[[str], str]] = {
        "huge.csv": lambda text: f"a,b\n1,2\n{text},2\n",
        "huge.jsonl": lambda text: '{"a": "1", "b": "2"}\n\n' + json.dumps({"a": text, "b": ""}),
    }
    for name, write in writers.items():
        path = tmp_path / name
        path.write_text(write("x" * 10_000_000))
        try:
            errors = [r for r in read(path) if isinstance(r, InputError)]
        except InputError as error:
            errors = [error]
        assert [e.line for e in errors] == [3]
        assert len(str(errors[0])) < 600


def test_semicolons_where_the_comma_is_the_decimal_sign(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text("a;b\ncash;1,5\n")
    assert list(read_rows(path, columns=COLUMNS)) == [Row(2, {"a": "cash", "b": "1,5"})]
