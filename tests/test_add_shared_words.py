"""A teacher's logits with what shared words say added."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from glossrank.bm25 import bm25_scores

ROOT = Path(__file__).parent.parent
GLOSSARY = """id,term,definition
paid,Dividends Paid,Cash handed to the owners.
yield,Dividend Yield,Payout as a part of the share price.
roe,Return on Equity,Profit as a part of what owners put in.
cash,Petty Cash,Coins in a tin for small bills.
"""
NAMED = "How much did we send out as dividends?"
PLAIN = "Do we keep coins for small things?"
DOCUMENTS = (
    "Dividends Paid can be defined as Cash handed to the owners.",
    "Dividend Yield: Payout as a part of the share price.",
    "Return on Equity - Profit as a part of what owners put in.",
    "Coins in a tin for small bills.",
)


def mixed(folder: Path, *options: str) -> list[dict[str, list[float]]]:
    def write(name: str, text: str) -> str:
        (folder / name).write_text(text, encoding="utf-8")
        return str(folder / name)

    questions = [{"question": NAMED, "relevant": ["paid"]}, {"question": PLAIN, "relevant": []}]
    groups = [
        {"source": "terms", "query": text, "documents": DOCUMENTS, "scores": [1.0, -1.0, 0.0, 0.5]}
        for text in (NAMED, PLAIN)
    ]
    command = [
        sys.executable,
        str(ROOT / "scripts" / "add_shared_words.py"),
        write("questions.jsonl", "\n".join(map(json.dumps, questions))),
        write("scored.jsonl", "\n".join(map(json.dumps, groups))),
        str(folder / "mixed.jsonl"),
        *("--glossary", write("glossary.csv", GLOSSARY)),
        *options,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout == "2 groups, 1 of them with a name\n"
    lines = (folder / "mixed.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    for group, before in zip(found, groups, strict=True):
        assert {**group, "scores": 0} == {**before, "documents": list(DOCUMENTS), "scores": 0}
    return found


def test_a_named_word_raises_every_candidate_with_it(tmp_path: Path) -> None:
    named, plain = mixed(tmp_path, "--bm25-weight", "0", "--name-bonus", "2")
    assert named["scores"] == [3.0, 1.0, 0.0, 0.5]
    assert plain["scores"] == [1.0, -1.0, 0.0, 0.5]


def test_bm25_counts_everywhere(tmp_path: Path) -> None:
    found = mixed(tmp_path, "--bm25-weight", "2", "--name-bonus", "0")
    lexical = bm25_scores([NAMED, PLAIN], DOCUMENTS)
    # "dividends" stands so in one document, "coins" and "small" in another.
    assert (lexical > 0).tolist() == [[True, False, False, False], [False, False, False, True]]
    for group, line in zip(found, lexical, strict=True):
        assert group["scores"] == pytest.approx([1.0, -1.0, 0.0, 0.5] + 2 * line, abs=1e-4)
