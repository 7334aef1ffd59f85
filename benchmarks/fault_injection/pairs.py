"""What people write, on its way into a spreadsheet."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from fault_injection.outcomes import Outcomes
from fault_injection.process import serving

FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", '=HYPERLINK("x")')
TERM = "days-sales-outstanding"


def formulas(folder: Path, outcomes: Outcomes) -> None:
    """Questions that are formulas, exported as CSV."""
    data = folder / "formulas"
    output = folder / "pairs.csv"
    with serving(data, log=folder / "formulas.log") as server:
        for question in FORMULAS:
            body = {"question": question, "verdict": "right", "term_id": TERM}
            server.call("/v1/verdicts", body)
        trouble = server.trouble()
    command = [sys.executable, "-m", "glossrank", "pairs", "from-verdicts"]
    done = subprocess.run(
        [*command, "--data", str(data), "-o", str(output)], capture_output=True, check=False
    )
    with output.open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    live = [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    kept = sum(f"'{question}" in cells for question in FORMULAS)
    found = f"{kept} of {len(FORMULAS)} with an apostrophe in front, {len(live)} without {trouble}"
    good = done.returncode == 0 and kept == len(FORMULAS) and not live and not trouble
    outcomes.add("formulas in questions, `glossrank pairs from-verdicts`", found, good)
