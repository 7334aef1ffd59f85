from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from glossrank import Glossary, Term
from glossrank.errors import GlossrankError, InputError
from glossrank.glossary import read_terms


def write(tmp_path: Path, columns: dict[str, Any], name: str = "terms.parquet") -> Path:
    path = tmp_path / name
    parquet.write_table(pa.table(columns), path)
    return path


def cash(**columns: Any) -> dict[str, Any]:
    return {"term": ["Cash"], "definition": ["Money."], **columns}


@pytest.mark.parametrize("name", ["terms.parquet", "terms.pq"])
def test_every_row_is_read(tmp_path: Path, name: str) -> None:
    columns = {
        "Metric": pa.array(["Cash", "Debt"]).dictionary_encode(),
        "Description": pa.array(["Money.", "Owed."], pa.large_string()),
        "synonyms": [["coins", None, "notes", "coins"], None],
        "tags": ["a; b", None],
        "Code": pa.array([101, None], pa.int64()),
    }
    found = read_terms(write(tmp_path, columns, name))
    assert found.terms == (
        Term("101", "Cash", "Money.", synonyms=("coins", "notes"), tags=("a", "b")),
        Term("debt", "Debt", "Owed."),
    )
    assert found.lines == {"101": 1, "debt": 2}
    assert found.notes == (
        "term = column 'Metric'",
        "definition = column 'Description'",
        "id = column 'Code'",
    )


def test_a_whole_number_kept_as_a_float_is_one(tmp_path: Path) -> None:
    columns = {
        "term": ["Cash", "Debt"],
        "definition": ["Money.", "Owed."],
        "id": [101.0, float("nan")],
    }
    assert [t.id for t in Glossary.load(write(tmp_path, columns)).terms] == ["101", "debt"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"name": "x"}]),
        pa.array([[("x", "y")]], pa.map_(pa.string(), pa.string())),
        pa.array([[["x"]]]),
        pa.array([b"\xff"]),
        pa.array([True]),
        pa.array([Decimal("1.50")]),
        pa.array([2**50], pa.timestamp("ms")),
        pa.array([2**30], pa.date32()),
        pa.array([7], pa.duration("us")),
        pa.nulls(1),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("name", ["owner", "term", "synonyms"])
def test_a_column_of_any_type_is_read_or_an_error(
    tmp_path: Path, name: str, column: pa.Array
) -> None:
    try:
        found = read_terms(write(tmp_path, cash() | {name: column}))
    except InputError as error:
        assert "terms.parquet" in str(error)
        return
    if name == "term":
        assert [problem.line for problem in found.problems] == [1]
        assert "terms.parquet:1: expected a text under 'term'" in str(found.problems[0])
    else:
        assert (found.terms[0].term, found.problems) == ("Cash", ())


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"term": ["Cash"], "meant": ["Money."]}, r"parquet:1: .*\(missing: definition\)"),
        ({}, "at least one term"),
        ({"term": pa.array([], pa.string())}, "at least one term"),
        (cash(definition=[None]), r"parquet:1: .*'definition', found None"),
        (cash(definition=["x" * 100_001]), r"parquet:1: .*100,001"),
        (cash(synonyms=[["x" * 100_001]]), r"parquet:1: .*100,001"),
    ],
)
def test_a_table_that_is_no_glossary_is_an_error(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Glossary.load(write(tmp_path, columns))


def test_an_id_given_twice_is_named_with_its_row(tmp_path: Path) -> None:
    path = write(tmp_path, {"term": ["a", "b"], "definition": ["x", "y"], "id": ["i", "i"]})
    with pytest.raises(InputError, match=r"terms.parquet:2: .*'i' again, first on row 1"):
        Glossary.load(path)


def test_a_broken_file_is_one_error(tmp_path: Path) -> None:
    path = write(tmp_path, {"term": ["Cash"] * 99, "definition": [str(n) for n in range(99)]})
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"term,definition", b"PAR1" + b"\xff" * 99 + b"PAR1"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"terms.parquet: expected a Parquet file"):
            Glossary.load(path)


@pytest.mark.parametrize("seed", range(20))
def test_no_changed_byte_breaks_the_reader(tmp_path: Path, seed: int) -> None:
    path = write(tmp_path, {"term": ["Cash"] * 99, "definition": [str(n) for n in range(99)]})
    content = bytearray(path.read_bytes())
    chance = random.Random(seed)
    for _ in range(3):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content)
    try:
        read_terms(path)
    except GlossrankError as error:
        assert "terms.parquet" in str(error)
