"""Every script of examples/ runs as a user would run it, and prints what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
LINES = 40

# Patterns that the output holds in this order, each within a line. What depends on the CPU's
# arithmetic or on the calibration (the exact probabilities) is left open.
EXPECTED = {
    "01_search.py": (
        r"^  read as: How long do our customers take to pay\?$",
        r"^  1\. Days Sales Outstanding \(DSO\), \d\d%$",
        r'^  1\. Days Sales Outstanding \(DSO\), \d+% \(acronym "DSO" in the question\)$',
        r"^  close call: (Fixed|Floating)-rate Debt or (Fixed|Floating)-rate Debt\?$",
        r"^  1\. (Fixed|Floating)-rate Debt, \d\d%$",
        r"^Who won the football match",
        r"^  perhaps none of these: \d% likely",
    ),
    "02_your_own_csv.py": (
        r"^guessed: term = column 'KPI'; definition = column 'Description'; "
        r"synonyms = column 'Also called'; formula = column 'How calculated'; "
        r"owner = column 'Steward'$",
        r"^  'Lost customers\.': Customer Churn Rate, \d+%$",
        r"^  'Share of customers who stopped buying from us during the year\.': "
        r"Customer Churn Rate, \d+%$",
        r"^  Days Payable Outstanding \(DPO\) can be defined as Average .* suppliers\.$",
        # No synonym, so no brackets.
        r"^  Cash Runway can be defined as Months .* rate of spending\.$",
    ),
    "03_excel_parquet_yaml.py": tuple(
        rf"^\.{kind}: 5 terms, [0-9a-f]{{12}}, first: Overdraft Limit$"
        for kind in ("yaml", "xlsx", "parquet")
    ),
    "04_dbt.py": (
        r"^note: dbt: 2 metrics, 1 semantic models$",
        r"^note: left out, without a description: 1 \(orders\.ordered_at\)$",
        r"^models/orders\.yml:22: Net Revenue = order_total - refund_total$",
        r"^models/orders\.yml:37: Refund Rate = refund_total / order_total$",
        r"^models/orders\.yml:12: Order total = sum\(amount\)$",
        r"Net Revenue \[net_revenue\]$",
        r"Refund Rate \[refund_rate\]$",
        r"^What are our takings\? Net Revenue \[net_revenue\]$",
    ),
    "05_database.py": (
        r"^2 of 3 terms: Interest Cover, Net Debt$",
        r"^first: Interest Cover, \d+%$",
    ),
    "06_search_many.py": (
        r"^How long do customers take to pay us\? Days Sales Outstanding \(DSO\)$",
        r"^first run: 3 answered$",
        # The third line was cut off, so it is answered again.
        r"^second run: 3 answered, of 5$",
        r"^third run: 0 answered$",
        r"^1\. .* Days Sales Outstanding \(DSO\)$",
        r"^2\. .* Days Inventory Outstanding \(DIO\)$",
        r"^3\. .* none of these$",
        r"^4\. .* Cash Runway$",
        r"^5\. ",
    ),
    "07_explain.py": (
        r"^Overdraft Limit: The most by which",
        r"^  word 'zero': \+\d\.\d$",
        r"^  part 'lets an account fall below zero': \+\d\.\d$",
        r"^  it stands at characters 25 to 56$",
    ),
    "08_lint_and_diff.py": (
        r"^line 2, placeholder, fixed-costs: 'TBD'\.",
        r"^line 3, shared-synonym, variable-costs: 'overhead' also means 'Fixed Costs'\.",
        r"^line 4, dead-reference, opex: 'Running Costs' is no term here\.",
        r"^line 5, circular, sunk-costs:",
        r"^added: \('sunk-costs',\), removed: \('capex',\), "
        r"changed: \('fixed-costs', 'opex', 'variable-costs'\)$",
        r"^worse: How much did we spend on new machines\? Capital Expenditure -> ",
        r"^worse: What do we spend on machines that last for years\? Capital Expenditure -> ",
        r"^2 of 3 questions lose their right answer$",
    ),
    "09_drop_in.py": (
        r"^predict: 3 scores of type float32$",
        r"^  [+-]\d\.\d Sums that customers still owe",
        r"^  -\d\.\d Duties charged on imported goods\.$",
        r"^rank:$",
        r"^  document 1: Sums that customers still owe",
        r"^probability of the first: \d+%$",
    ),
}


def run(name: str, folder: Path) -> str:
    """What an example prints, started in ``folder``, which is its temporary folder too."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        capture_output=True,
        cwd=folder,
        check=False,
        env=os.environ | {"TMPDIR": str(folder), "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_example_prints_what_it_promises(name: str, tmp_path: Path) -> None:
    output = run(name, tmp_path)
    at = 0
    for pattern in EXPECTED[name]:
        match = re.compile(pattern, re.MULTILINE).search(output, at)
        assert match, f"{pattern} in {output}"
        at = match.end()
    assert not list(tmp_path.iterdir()), "files were left behind"
    if name == "03_excel_parquet_yaml.py":
        assert len(set(re.findall(r"[0-9a-f]{12}", output))) == 1, output
    if name == "02_your_own_csv.py":
        short, long = (int(share) for share in re.findall(r"(\d+)%", output))
        assert long > short, output


def test_every_example_is_covered_and_short() -> None:
    scripts = sorted(EXAMPLES.glob("*.py"))
    assert [script.name for script in scripts] == sorted(EXPECTED)
    guide = (ROOT / "docs" / "glossaries.md").read_text(encoding="utf-8")
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        assert len(text.splitlines()) < LINES, script.name
        assert script.name in guide


def test_every_sample_file_is_used() -> None:
    scripts = "".join(script.read_text(encoding="utf-8") for script in EXAMPLES.glob("*.py"))
    unused = [file.name for file in (EXAMPLES / "data").iterdir() if file.name not in scripts]
    assert not unused
    others = {p.name for p in EXAMPLES.iterdir() if p.suffix != ".py"}
    # tests/test_clients.py runs those of clients/.
    assert others - {"__pycache__"} == {"data", "clients"}
