"""Records of a glossary, wherever they are kept.

``read_records`` looks at the source and hands it to one of the readers; each knows one kind of
place and yields rows with their lines, or the error that a row deserves. What the columns mean
is decided in :mod:`glossrank.columns`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from glossrank.errors import InputError
from glossrank.readers.records import Records
from glossrank.tables import checked, read_rows, require_file

TEXT_FILES = (".csv", ".tsv", ".jsonl")
YAML_FILES = (".yaml", ".yml")
EXCEL_FILES = (".xlsx", ".xlsm")
DATABASE_FILES = (".db", ".sqlite", ".sqlite3")
PARQUET_FILES = (".parquet", ".pq")
KINDS = "CSV, TSV, JSONL, JSON, YAML, Excel, Parquet, a dbt project or manifest, a database URL"


def read_records(
    source: str | Path,
    *,
    query: str | None = None,
    sheet: str | None = None,
    columns: Mapping[str, str] | None = None,
    most: int | None = None,
) -> Records:
    """Every record of a source.

    Args:
        source: a file, a dbt project's folder, or a database URL (``postgresql://...``).
        query: the SQL of a database; its columns are the record's.
        sheet: of an Excel file; by default the first that has a glossary's columns.
        columns: field to column, where the user named them; they tell where a table begins.
        most: records that a file may have.

    Raises:
        InputError: the source as a whole cannot be read, is of no known kind, or an option
            does not belong to it.
        MissingExtraError: the reader's packages are not installed.
    """
    # Each reader is imported when it is needed: some bring heavy packages.
    if "://" in str(source):
        if sheet is not None:
            raise _stray_option("--sheet", "an Excel file")
        from glossrank.readers.database import read_database

        return _checked(read_database(str(source), query=query))
    if query is not None:
        raise _stray_option("--query", "a database URL such as sqlite:///terms.db")
    path = Path(source)
    kind = path.suffix.lower()
    if sheet is not None and kind not in EXCEL_FILES:
        raise _stray_option("--sheet", "an Excel file")
    records = _read_path(path, kind, sheet, columns, most)
    if most is not None and len(records.rows) > most:
        raise InputError(
            file=path,
            expected=f"at most {most:,} terms",
            found="more",
            fix="Divide it into several glossaries.",
        )
    return _checked(records)


def _read_path(
    path: Path,
    kind: str,
    sheet: str | None,
    columns: Mapping[str, str] | None,
    most: int | None,
) -> Records:
    try:
        there = path.exists()
    except (OSError, ValueError):
        there = False
    if not there:
        require_file(path)
    if path.is_dir():
        from glossrank.readers.dbt import read_project

        return read_project(path)
    if kind in YAML_FILES:
        from glossrank.readers.yaml_files import read_yaml

        return read_yaml(path)
    if kind in EXCEL_FILES:
        from glossrank.readers.excel import read_excel

        return read_excel(path, sheet=sheet, columns=columns)
    if kind in PARQUET_FILES:
        from glossrank.readers.parquet import read_parquet

        return read_parquet(path)
    if kind == ".json":
        from glossrank.readers.dbt import manifest_of, read_manifest

        manifest = manifest_of(path)
        if manifest is not None:
            return read_manifest(path, manifest)
    elif kind in DATABASE_FILES:
        raise InputError(
            file=path,
            expected=f"a glossary: {KINDS}",
            found="a database file",
            fix=f"Give it as sqlite:///{path} together with --query TABLE.",
        )
    elif kind not in TEXT_FILES:
        raise InputError(
            file=path,
            expected=f"a glossary: {KINDS}",
            found="an old Excel file" if kind == ".xls" else f"a file that ends in {kind!r}",
            fix="Save it as .xlsx or .csv." if kind == ".xls" else "Rename or convert the file.",
        )
    # One more than there may be says enough of a file that is too long.
    rows = islice(read_rows(path, columns=()), None if most is None else most + 1)
    return Records(str(path), tuple(rows))


def _checked(records: Records) -> Records:
    rows = tuple(
        row if isinstance(row, InputError) else checked(row.file or records.name, row)
        for row in records.rows
    )
    return replace(records, rows=rows)


def _stray_option(option: str, owner: str) -> InputError:
    return InputError(
        expected=f"{option} together with {owner}",
        found="another source",
        fix=f"Leave {option} out, or give {owner}.",
    )
