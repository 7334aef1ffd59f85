"""Files of pairs to files of scores, a window at a time.

A table of a hundred thousand pairs is never in memory as a whole if it is Parquet: it is read,
scored and written in windows. The other kinds are text, which is small, and are read whole so
that every bad row is named before anything is scored.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glossrank.errors import InputError, MissingExtraError, PairsError
from glossrank.judgments import TEXT_COLUMNS, read_text_pairs, text_pair
from glossrank.output import new_path
from glossrank.readers import PARQUET_FILES
from glossrank.readers.records import unreadable
from glossrank.tables import DELIMITERS, Row, require_file

if TYPE_CHECKING:
    from pyarrow import RecordBatch, Schema
    from pyarrow.parquet import ParquetFile

WINDOW_PAIRS = 8192
"""Pairs that are read, sorted by length, scored and written at once. Larger windows pad less: of
8,192 pairs of 5 to 500 tokens, all lengths alike, 0.09% of the slots are padding."""
SCORE_COLUMN = "score"
OUTPUT_SUFFIXES = (*DELIMITERS, ".jsonl", *PARQUET_FILES)

Scorer = Callable[[list[tuple[str, str]]], NDArray[np.float32]]


@dataclass(frozen=True)
class Window:
    """Some pairs of a file.

    Attributes:
        table: the same rows with all columns, where the file is Parquet.
    """

    pairs: list[tuple[str, str]]
    table: RecordBatch | None


@dataclass(frozen=True)
class PairsFile:
    """A checked file of pairs.

    Attributes:
        count: pairs in it.
        schema: of its columns, where it is Parquet.
    """

    path: Path
    count: int
    schema: Schema | None
    _pairs: Sequence[tuple[str, str]]

    def windows(self, size: int = WINDOW_PAIRS) -> Iterator[Window]:
        """The pairs in their order, ``size`` at a time."""
        if self.schema is None:
            for start in range(0, self.count, size):
                yield Window(list(self._pairs[start : start + size]), None)
            return
        with _parquet(self.path) as file:
            for batch in file.iter_batches(batch_size=size):
                columns = (batch.column(name).to_pylist() for name in TEXT_COLUMNS)
                yield Window(list(zip(*columns, strict=True)), batch)


def open_pairs(path: Path) -> PairsFile:
    """Check every row of a file with the columns ``sentence_0`` and ``sentence_1``.

    Args:
        path: CSV, TSV, JSONL, JSON or Parquet.

    Raises:
        PairsError: rows are wrong; it names each.
        InputError: the file as a whole cannot be read.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
    """
    if path.suffix.lower() not in PARQUET_FILES:
        pairs = read_text_pairs(path)
        return PairsFile(path, len(pairs), None, pairs)
    problems: list[InputError] = []
    number = 0
    with _parquet(path) as file:
        schema = file.schema_arrow
        _require_columns(path, schema)
        for batch in file.iter_batches(batch_size=WINDOW_PAIRS, columns=list(TEXT_COLUMNS)):
            for values in batch.to_pylist():
                number += 1
                checked = text_pair(path, Row(number, values))
                if isinstance(checked, InputError):
                    problems.append(checked)
    if problems:
        raise PairsError(file=path, problems=problems)
    return PairsFile(path, number, schema, ())


def score_file(
    pairs: PairsFile,
    output: Path,
    scorer: Scorer,
    *,
    advance: Callable[[int], None] | None = None,
    window: int = WINDOW_PAIRS,
) -> None:
    """Write a file's pairs with a column ``score``; ``output`` appears whole or not at all.

    From Parquet to Parquet all columns are kept.

    Args:
        output: CSV, TSV, JSONL or Parquet, by its ending; replaced if it exists.
        scorer: fp32 ``[pairs]`` for pairs.
        advance: called with how many more pairs are done.

    Raises:
        InputError: another ending, or Parquet input that has a column ``score`` already.
        OutputError: it cannot be written.
        MissingExtraError: Parquet without pyarrow.
    """
    check_output(output)
    with new_path(output) as temporary, _writer(temporary, output.suffix.lower(), pairs) as write:
        for part in pairs.windows(window):
            write(part, scorer(part.pairs))
            if advance is not None:
                advance(len(part.pairs))


def check_output(output: Path) -> None:
    """Refuse an output file of a kind that is not written, before anything is loaded.

    Raises:
        InputError: it is.
    """
    if output.suffix.lower() not in OUTPUT_SUFFIXES:
        raise InputError(
            file=output,
            expected=f"an output file that ends in {', '.join(OUTPUT_SUFFIXES)}",
            found=repr(output.suffix),
            fix="Choose one of these.",
        )


_Write = Callable[[Window, NDArray[np.float32]], None]


@contextmanager
def _writer(path: Path, kind: str, pairs: PairsFile) -> Iterator[_Write]:
    if kind in PARQUET_FILES:
        with _parquet_writer(path, pairs) as write:
            yield write
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if kind == ".jsonl":

            def lines(part: Window, scores: NDArray[np.float32]) -> None:
                for pair, score in zip(part.pairs, scores.tolist(), strict=True):
                    row = dict(zip((*TEXT_COLUMNS, SCORE_COLUMN), (*pair, score), strict=True))
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")

            yield lines
            return
        writer = csv.writer(file, delimiter=DELIMITERS[kind], lineterminator="\n")
        writer.writerow((*TEXT_COLUMNS, SCORE_COLUMN))

        def rows(part: Window, scores: NDArray[np.float32]) -> None:
            writer.writerows(
                (*pair, score) for pair, score in zip(part.pairs, scores.tolist(), strict=True)
            )

        yield rows


@contextmanager
def _parquet_writer(path: Path, pairs: PairsFile) -> Iterator[_Write]:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError as error:
        raise _no_pyarrow("writing") from error
    texts = pa.schema([(name, pa.string()) for name in TEXT_COLUMNS])
    kept = texts if pairs.schema is None else pairs.schema
    if SCORE_COLUMN in kept.names:
        raise InputError(
            file=pairs.path,
            expected=f"no column {SCORE_COLUMN!r}, which is what will be written",
            found="one",
            fix="Rename it.",
        )
    schema = kept.append(pa.field(SCORE_COLUMN, pa.float32()))
    with ParquetWriter(path, schema) as writer:

        def write(part: Window, scores: NDArray[np.float32]) -> None:
            if part.table is None:
                columns: list[Any] = [pa.array(side) for side in zip(*part.pairs, strict=True)]
            else:
                columns = part.table.columns
            scored = pa.array(scores, pa.float32())
            writer.write_batch(pa.RecordBatch.from_arrays([*columns, scored], schema=schema))

        yield write


@contextmanager
def _parquet(path: Path) -> Iterator[ParquetFile]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise _no_pyarrow("reading") from error
    require_file(path)
    try:
        with ParquetFile(path) as file:
            yield file
    except (ArrowException, OSError, OverflowError, UnicodeDecodeError) as error:
        raise unreadable(
            path, error, expected="a Parquet file", fix="Write it again; it may have been cut off."
        ) from error


def _require_columns(path: Path, schema: Schema) -> None:
    missing = [name for name in TEXT_COLUMNS if schema.names.count(name) != 1]
    if missing:
        raise InputError(
            file=path,
            expected=f"the columns {' and '.join(TEXT_COLUMNS)}, each once",
            found=f"{', '.join(schema.names) or 'none'}",
            fix="Rename the columns of question and text.",
        )


def _no_pyarrow(doing: str) -> MissingExtraError:
    return MissingExtraError(feature=f"{doing} Parquet", extra="files", missing="pyarrow")
