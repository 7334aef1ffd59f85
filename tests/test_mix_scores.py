"""Several teachers' logits of the same groups as one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
GROUPS: tuple[dict[str, Any], ...] = (
    {"query": "who owes us?", "documents": ["debtors", "creditors", "cash"], "right": 1},
    {"query": "where is the key?", "documents": ["debtors", "creditors"], "right": 0},
    # Groups of other scripts say nothing of right answers.
    {"query": "dividends", "documents": ["payout", "yield"]},
)
ONE = ([1.0, 3.0, -1.0], [0.5, -0.5], [0.0, 1.0])
TWO = ([3.0, 1.0, 1.0], [1.5, 2.5], [2.0, 0.0])


def write(path: Path, scores: tuple[list[float], ...], *, change: str = "cash") -> str:
    rows = [{**group, "scores": s} for group, s in zip(GROUPS, scores, strict=True)]
    text = "\n".join(map(json.dumps, rows)).replace("cash", change)
    path.write_text(text + "\n", encoding="utf-8")
    return str(path)


def mix(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "mix_scores.py"), str(folder / "out.jsonl")]
    return subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, timeout=60
    )


def test_logits_are_weighted_and_right_answers_raised(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.jsonl", ONE), write(tmp_path / "two.jsonl", TWO)
    done = mix(tmp_path, "--part", one, "0.75", "--part", two, "0.25", "--right-bonus", "2")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["scores"] for row in rows] == [
        pytest.approx([1.5 + 2, 2.5, -0.5]),
        pytest.approx([0.75, 0.25]),
        pytest.approx([0.5, 0.75]),
    ]
    assert [row["query"] for row in rows] == [group["query"] for group in GROUPS]
    assert "3 groups; a right answer first in 0 before the bonus" in done.stdout


def test_files_of_other_groups_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", ONE)
    other = write(tmp_path / "two.jsonl", TWO, change="gold")
    done = mix(tmp_path, "--part", one, "1", "--part", other, "1")
    assert done.returncode == 1
    assert "group 1: not the same documents" in done.stderr
    shorter = tmp_path / "three.jsonl"
    shorter.write_text(Path(one).read_text().splitlines()[0] + "\n", encoding="utf-8")
    assert mix(tmp_path, "--part", one, "1", "--part", str(shorter), "1").returncode == 1
