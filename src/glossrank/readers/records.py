"""What every reader gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glossrank.errors import InputError
from glossrank.tables import Row


@dataclass(frozen=True)
class Records:
    """The rows of a source.

    Attributes:
        name: of the source, fit to be shown: without a password.
        rows: records in their order, and an error for each that is broken.
        notes: what the user should know about how it was read.
        unit: what a row's ``line`` counts: "line", or "row" where a file has no lines.
        header: line of the column names.
    """

    name: str
    rows: Sequence[Row | InputError]
    notes: Sequence[str] = ()
    unit: str = "line"
    header: int = 1


def unreadable(file: Path | str, error: Exception, *, expected: str, fix: str) -> InputError:
    """The error of a file that is not what its name says."""
    lines = str(error).strip().splitlines()
    found = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return InputError(file=file, expected=expected, found=found, fix=fix)
