"""A result file: one JSON object, written anew after every round.

schema, started, finished, commit, quick, arguments
isa          {"name", "variables", "not_limited"}
machine      of suite.machine.describe
rates        of peers/rates.py
model        {"name", "sha256", sizes of its layers}
workloads    key: {"title", "rounds", "pairs", "tokens", "flops", ...}
contenders   key: {"name", "family", "precision", "exact", "versions", "agreement",
                   "failed": reason or null, "problems": {workload: reason}}
seconds      workload: contender: [one a round]
latency      contender: [seconds, all rounds together]
cold_start   contender: [seconds]
memory       contender: {"loaded", "after", "peak"}, bytes
stream       contender: {"chunks", "tokens", "mixed", "rss", "flops"}
idle         the largest share of a core that waiting contenders used during a measurement
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glossrank.output import new_file

SCHEMA = 1
Result = dict[str, Any]


class ResultError(Exception):
    """A file is no result of this benchmark; the message says why."""


def read(file: Path) -> Result:
    """A result file.

    Raises:
        ResultError: it cannot be read, or is of another schema.
    """
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultError(f"{file}: expected a result file, found {error}") from error
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise ResultError(
            f"{file}: expected a result file of schema {SCHEMA}. Measure again with make bench."
        )
    return result


def write(result: Result, file: Path) -> None:
    """Replace the file as a whole.

    Raises:
        OutputError: it cannot be written; then it is as it was.
    """
    with new_file(file) as out:
        json.dump(result, out, indent=1)
        out.write("\n")


def unused(folder: Path, stem: str) -> Path:
    """``<stem>.json`` in the folder, numbered from 2 where that is taken."""
    number = 1
    while True:
        file = folder / (f"{stem}.json" if number == 1 else f"{stem}-{number}.json")
        if not file.exists():
            return file
        number += 1
