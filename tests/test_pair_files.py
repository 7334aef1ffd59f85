from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from glossrank import CrossEncoder
from glossrank.errors import GlossrankError, InputError, PairsError
from glossrank.pair_files import open_pairs, score_file


def by_length(pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
    return np.array([len(a) + len(b) / 100 for a, b in pairs], dtype=np.float32)


def write(path: Path, **columns: Any) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def five(path: Path) -> Path:
    return write(
        path,
        key=[1, 2, 3, 4, 5],
        sentence_0=["a" * n for n in range(1, 6)],
        sentence_1=["b" * n for n in range(5, 0, -1)],
        note=["x", None, "z", None, "é"],
    )


def test_parquet_to_parquet_keeps_every_column_and_the_order(tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    done: list[int] = []
    score_file(
        open_pairs(five(tmp_path / "p.parquet")), output, by_length, advance=done.append, window=2
    )
    table = parquet.read_table(output)
    assert table.column_names == ["key", "sentence_0", "sentence_1", "note", "score"]
    assert table["key"].to_pylist() == [1, 2, 3, 4, 5]
    assert table["note"].to_pylist() == ["x", None, "z", None, "é"]
    assert table["score"].type == pa.float32()
    assert table["score"].to_pylist() == pytest.approx([1.05, 2.04, 3.03, 4.02, 5.01])
    assert done == [2, 2, 1]


@pytest.mark.parametrize("source", ["pairs.csv", "pairs.jsonl", "pairs.parquet", "pairs.pq"])
@pytest.mark.parametrize("target", ["s.csv", "s.tsv", "s.jsonl", "s.parquet"])
def test_every_kind_becomes_every_kind(tmp_path: Path, source: str, target: str) -> None:
    pairs = [("how, much?", 'say "tax"'), ("who?", "né\nwe"), ("a", "b")]
    path, output = tmp_path / source, tmp_path / target
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("sentence_0", "sentence_1"), *pairs])
    elif path.suffix == ".jsonl":
        rows = [{"sentence_0": a, "sentence_1": b} for a, b in pairs]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        write(path, sentence_0=[a for a, _ in pairs], sentence_1=[b for _, b in pairs])
    score_file(open_pairs(path), output, by_length, window=2)
    if output.suffix == ".parquet":
        found = parquet.read_table(output).to_pylist()
    elif output.suffix == ".jsonl":
        found = [json.loads(line) for line in output.read_text().splitlines()]
    else:
        with output.open(newline="") as file:
            delimiter = "," if output.suffix == ".csv" else "\t"
            found = list(csv.DictReader(file, delimiter=delimiter))
    assert [(row["sentence_0"], row["sentence_1"]) for row in found] == pairs
    assert [float(row["score"]) for row in found] == pytest.approx(by_length(pairs).tolist())


def test_windows_do_not_change_scores(tiny_model: Path, tmp_path: Path) -> None:
    model = CrossEncoder(tiny_model, precision="fp32")
    file = open_pairs(five(tmp_path / "p.parquet"))
    scores = []
    for window in (1, 2, 100):
        score_file(file, tmp_path / "s.parquet", model.predict, window=window)
        scores.append(parquet.read_table(tmp_path / "s.parquet")["score"].to_pylist())
    assert scores[0] == pytest.approx(scores[2], abs=1e-5)
    assert scores[1] == pytest.approx(scores[2], abs=1e-5)


def test_no_pairs_give_an_empty_file_with_the_columns(tmp_path: Path) -> None:
    empty: pa.Array = pa.array([], pa.string())
    path = write(tmp_path / "p.parquet", sentence_0=empty, sentence_1=empty)
    score_file(open_pairs(path), tmp_path / "s.parquet", by_length)
    assert parquet.read_table(tmp_path / "s.parquet").column_names[-1] == "score"


def test_every_bad_row_is_named_before_anything_is_scored(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.parquet", sentence_0=["a", None, "c", " "], sentence_1=["b", "b", "", "d"]
    )
    with pytest.raises(PairsError) as caught:
        open_pairs(path)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "column": ({"sentence_0": ["a"], "text": ["b"]}, "sentence_0, text"),
    "number": ({"sentence_0": [1], "sentence_1": ["b"]}, "expected a text under 'sentence_0'"),
    "list": ({"sentence_0": [["a"]], "sentence_1": ["b"]}, "expected a text under 'sentence_0'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_columns_are_refused(tmp_path: Path, name: str) -> None:
    columns, message = BAD[name]
    with pytest.raises(GlossrankError, match=message):
        open_pairs(write(tmp_path / "p.parquet", **columns))


def test_a_broken_or_missing_parquet_file_is_refused(tmp_path: Path) -> None:
    whole = five(tmp_path / "p.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    (tmp_path / "empty.parquet").write_bytes(b"")
    for name in ("cut.parquet", "empty.parquet", "none.parquet"):
        with pytest.raises(InputError, match=name):
            open_pairs(tmp_path / name)


def test_a_failing_scorer_leaves_the_older_file(tmp_path: Path) -> None:
    def failing(pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        if len(pairs) < 2:
            raise ValueError("the last window")
        return by_length(pairs)

    output = tmp_path / "s.parquet"
    output.write_bytes(b"older")
    with pytest.raises(ValueError, match="the last window"):
        score_file(open_pairs(five(tmp_path / "p.parquet")), output, failing, window=2)
    assert output.read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.parquet", "s.parquet"]


def test_a_score_column_is_not_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", sentence_0=["a"], sentence_1=["b"], score=[1.0])
    with pytest.raises(InputError, match="no column 'score'"):
        score_file(open_pairs(path), tmp_path / "s.parquet", by_length)
    score_file(open_pairs(path), tmp_path / "s.csv", by_length)
