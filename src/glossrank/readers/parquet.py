"""Parquet files, through pyarrow."""

from __future__ import annotations

from pathlib import Path

from glossrank.errors import MissingExtraError
from glossrank.readers.records import Records, unreadable
from glossrank.tables import Row, require_file


def read_parquet(path: Path) -> Records:
    """Every row of a Parquet file.

    Raises:
        InputError: no Parquet file.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingExtraError(
            feature="reading Parquet", extra="files", missing="pyarrow"
        ) from error
    require_file(path)
    try:
        with ParquetFile(path) as file:
            rows = file.read().to_pylist()
    except (ArrowException, OSError, OverflowError, ValueError) as error:
        raise unreadable(
            path, error, expected="a Parquet file", fix="Write it again; it may have been cut off."
        ) from error
    found = tuple(Row(number, row) for number, row in enumerate(rows, start=1))
    return Records(str(path), found, unit="row")
