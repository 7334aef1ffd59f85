"""Groups of questions that name a topic, and the bonus for its terms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
HEAD = "id,term,definition,split\n"
ROWS = """paid,Dividends Paid,Cash handed to the owners.,train
yield,Dividend Yield,Payout as a part of the share price.,train
special,Special Dividend,An extra payout.,train
held,Dividend Cover,Profit as a multiple of the payout.,test
roe,Return on Equity,Profit as a part of what owners put in.,train
cash,Petty Cash,Coins in a tin for small bills.,train
rent,Rent Expense,What the shop pays its landlord.,train
rate,Tax Rate,Part of each rupee of profit that the state takes.,train
stock,Safety Stock,Goods kept in case demand jumps.,train
bond,Green Bond,Borrowing for clean projects.,train
lease,Finance Lease,Renting that is nearly buying.,train
"""
TOPICS = [
    {"topic": "dividends", "question": "Do the owners think our dividend is a good return?"},
    # Only one term has it: there is nothing to raise.
    {"topic": "bond", "question": "Are our bonds any good?"},
]


def run(script: str, *arguments: str | Path) -> str:
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=120
    ).stdout.strip()


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture
def glossary(tmp_path: Path) -> Path:
    (tmp_path / "glossary.csv").write_text(HEAD + ROWS, encoding="utf-8")
    return tmp_path / "glossary.csv"


def test_terms_of_the_topic_come_first(tmp_path: Path, glossary: Path) -> None:
    topics, output = write(tmp_path / "topics.jsonl", TOPICS), tmp_path / "groups.jsonl"
    told = run("topic_groups.py", topics, output, "--glossary", glossary)
    assert told == "1 groups of 2 questions"
    (group,) = read(output)
    assert (group["query"], group["same"]) == (TOPICS[0]["question"], 3)
    same, others = group["documents"][:3], group["documents"][3:]
    texts = ("Cash handed to", "Payout as a part", "An extra payout")
    assert all(any(text in document for document in same) for text in texts)
    assert len(others) == 6
    assert any("Profit as a part of what owners put in." in document for document in others)
    assert not any("ividend" in document for document in others)
    assert not any("multiple of the payout" in document for document in group["documents"])
    run("topic_groups.py", topics, tmp_path / "again.jsonl", "--glossary", glossary)
    assert read(tmp_path / "again.jsonl") == [group]


def test_training_questions_that_name_a_topic_are_taken(tmp_path: Path, glossary: Path) -> None:
    rows = [
        {"question": "Was the dividend paid in March?", "relevant": ["paid"]},
        {"question": "Did cash go out to the owners?", "relevant": ["paid"]},
        {"question": "What is in the petty cash tin?", "relevant": ["cash"]},
        {"question": "Which dividend did we never pay?", "relevant": []},
    ]
    questions, output = write(tmp_path / "train.jsonl", rows), tmp_path / "groups.jsonl"
    run("topic_groups.py", questions, output, "--glossary", glossary)
    # "cash" and "petty" are words of one term only.
    assert [group["query"] for group in read(output)] == [rows[0]["question"]]


def test_the_bonus_goes_to_the_first_ones(tmp_path: Path) -> None:
    group = {"source": "topics", "query": "q", "documents": ["a", "b", "c"]}
    scored = write(tmp_path / "scored.jsonl", [{**group, "same": 2, "scores": [1.0, -2.0, 0.5]}])
    output = tmp_path / "out.jsonl"
    told = run("add_topic_bonus.py", scored, output, "--bonus", "3", "--times", "2")
    assert told == "1 groups, 2 of each"
    assert read(output) == [{**group, "scores": [4.0, 1.0, 0.5]}] * 2
