"""Groups for a teacher: right answers first, nothing about held-out terms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from glossrank import Glossary
from glossrank.training.examples import read_teacher_groups

ROOT = Path(__file__).parent.parent
LARGE = ROOT / "datasets" / "finance-terms-large"
WORDINGS = tuple(LARGE / f"glossary-{name}.csv" for name in ("standard", "textbook", "short"))
QUESTIONS = 60
WRONG = 6


def test_groups_of_the_large_data_set(tmp_path: Path) -> None:
    lines = (LARGE / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["source"] == "glossary"][:QUESTIONS]
    questions, output = tmp_path / "questions.jsonl", tmp_path / "groups.jsonl"
    questions.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    def build(output: Path, *more: str) -> list[dict[str, object]]:
        glossaries = [part for file in WORDINGS for part in ("--glossary", str(file))]
        command = [sys.executable, str(ROOT / "scripts" / "question_groups.py"), str(questions)]
        command += [str(output), *glossaries, "--wrong", str(WRONG), *more]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]

    groups = build(output)
    assert build(tmp_path / "again.jsonl") == groups
    assert build(tmp_path / "other.jsonl", "--seed", "1") != groups
    assert sorted(str(g["query"]) for g in groups) == sorted(r["question"] for r in rows)
    texts: dict[str, list[str]] = {}
    held_out: list[str] = []
    for term in (term for file in WORDINGS for term in Glossary.load(file).terms):
        (texts.setdefault(term.id, []) if term.split == "train" else held_out).append(
            term.definition
        )
    relevant = {row["question"]: row["relevant"] for row in rows}
    wordings = set()
    for group in groups:
        documents, right = list(map(str, group["documents"])), relevant[group["query"]]  # type: ignore[call-overload]
        assert len(documents) == len(right) + WRONG
        # In order: one of each right answer's wordings, then wrong answers.
        for document, term_id in zip(documents, right, strict=False):
            wording = [n for n, text in enumerate(texts[term_id]) if document.endswith(text)]
            assert wording
            wordings.update(wording)
        for document in documents[len(right) :]:
            assert not any(document.endswith(text) for i in right for text in texts[i])
            assert any(document.endswith(text) for same in texts.values() for text in same)
        assert not any(document.endswith(text) for document in documents for text in held_out)
    assert wordings == {0, 1, 2}
    # Scored, it is a teacher file.
    scored = tmp_path / "scored.jsonl"
    rows_scored = [{**g, "scores": [0.5] * len(g["documents"])} for g in groups]  # type: ignore[arg-type]
    scored.write_text("\n".join(map(json.dumps, rows_scored)), encoding="utf-8")
    assert len(read_teacher_groups(scored)) == QUESTIONS


def test_near_wrong_answers_are_a_bi_encoders_and_labels_can_score(
    tiny_model: Path, tmp_path: Path
) -> None:
    definitions = {
        "tax": "tax owed", "lease": "lease cost", "cash": "cash flow", "debt": "net debt",
        "equity": "equity ratio", "asset": "gross asset", "profit": "net profit", "goods": "goods",
    }  # fmt: skip
    glossary, questions = tmp_path / "glossary.csv", tmp_path / "questions.jsonl"
    rows = [f"{name},{name},{text}" for name, text in definitions.items()]
    glossary.write_text("\n".join(["id,term,definition", *rows]), encoding="utf-8")
    asked = [
        {"question": "what is our tax?", "relevant": ["tax", "lease"]},
        {"question": "are customers goods?", "relevant": []},
    ]
    questions.write_text("\n".join(map(json.dumps, asked)), encoding="utf-8")

    def build(*options: str) -> dict[str, dict[str, object]]:
        output = tmp_path / "out.jsonl"
        command = [sys.executable, str(ROOT / "scripts" / "question_groups.py"), str(questions)]
        command += [str(output), "--glossary", str(glossary), "--wrong", "4", *options]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        lines = output.read_text(encoding="utf-8").splitlines()
        return {row["query"]: row for row in map(json.loads, lines)}

    near = ("--bi-encoder", str(tiny_model), "--near", "3", "--label-score", "4")
    groups = build(*near)
    assert build(*near) == groups
    assert build(*near, "--seed", "7") != groups
    tax, none = (groups[row["question"]] for row in asked)  # type: ignore[index]
    assert tax["right"] == 2
    assert tax["scores"] == [4.0, 4.0, 0.0, 0.0, 0.0, 0.0]
    assert none["scores"] == [0.0] * 4
    for group in (tax, none):
        documents = list(map(str, group["documents"]))  # type: ignore[call-overload]
        assert len(set(documents)) == len(documents)
    wrong = " ".join(map(str, tax["documents"][2:]))  # type: ignore[index]
    assert "tax owed" not in wrong and "lease cost" not in wrong
    assert "scores" not in build()[str(asked[0]["question"])]
