from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glossrank import CrossEncoder, Glossary
from glossrank.errors import InputError, OutputError
from glossrank.many import search_to_file
from glossrank.search import Searcher
from tests.conftest import WORDS
from tests.test_search import some_terms

KILLS = 10


@pytest.fixture(scope="module")
def searcher(tiny_model: Path) -> Searcher:
    return Glossary("few", some_terms(6)).searcher(CrossEncoder(tiny_model, precision="fp32"))


def some_questions(count: int) -> list[str]:
    draw = random.Random(5)
    return [" ".join(draw.choices(WORDS, k=draw.randint(2, 12))) for _ in range(count)]


def test_a_line_a_question_in_order(searcher: Searcher, tmp_path: Path) -> None:
    questions, output = some_questions(20), tmp_path / "new" / "answers.jsonl"
    assert search_to_file(searcher, questions, output, top_k=2) == 20
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["number"] for row in rows] == list(range(1, 21))
    assert [row["question"] for row in rows] == questions
    for row in rows:
        expected = searcher.search(row["question"], 2).to_dict()
        assert {name: row[name] for name in expected} == expected
    before = output.read_bytes()
    assert search_to_file(searcher, questions, output, top_k=2) == 0
    assert output.read_bytes() == before


def test_any_cut_is_mended(searcher: Searcher, tmp_path: Path) -> None:
    questions, output = some_questions(8), tmp_path / "answers.jsonl"
    search_to_file(searcher, questions, output)
    whole = output.read_bytes()
    for length in [0, 1, *range(40, len(whole), len(whole) // 25), len(whole) - 1]:
        output.write_bytes(whole[:length])
        search_to_file(searcher, questions, output)
        assert output.read_bytes() == whole


def test_a_file_of_something_else_is_left_alone(searcher: Searcher, tmp_path: Path) -> None:
    questions, output = some_questions(5), tmp_path / "answers.jsonl"
    search_to_file(searcher, questions, output)
    whole = output.read_bytes()
    for other, top_k, message in (
        (questions, 3, "another glossary, model or option"),
        (questions[:3], 5, "answer too many"),
        ([*questions[:2], "tax", *questions[3:]], 5, ":3: .*an answer to"),
    ):
        with pytest.raises(OutputError, match=message):
            search_to_file(searcher, other, output, top_k=top_k)
        assert output.read_bytes() == whole
    output.write_text("term,definition\n")
    with pytest.raises(OutputError, match="something else"):
        search_to_file(searcher, questions, output)
    assert output.read_text() == "term,definition\n"
    with pytest.raises(InputError, match="question 2"):
        search_to_file(searcher, ["tax", " "], tmp_path / "never.jsonl")
    assert not (tmp_path / "never.jsonl").exists()
    with pytest.raises(OutputError, match="found a folder"):
        search_to_file(searcher, questions, tmp_path)
    with pytest.raises(OutputError, match="a device or a pipe"):
        search_to_file(searcher, questions, Path(os.devnull))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_is_told_and_gone_on_from(searcher: Searcher, tmp_path: Path) -> None:
    import resource
    import signal

    questions, whole, output = some_questions(12), tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    search_to_file(searcher, questions, whole)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        # In the middle of a line: the system writes a part of it first.
        resource.setrlimit(resource.RLIMIT_FSIZE, (whole.stat().st_size // 2, old[1]))
        with pytest.raises(OutputError, match="room and permission"):
            search_to_file(searcher, questions, output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert 0 < output.stat().st_size < whole.stat().st_size
    assert search_to_file(searcher, questions, output) < 12
    assert output.read_bytes() == whole.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="files are locked on POSIX systems only")
def test_two_runs_do_not_write_one_file(searcher: Searcher, tmp_path: Path) -> None:
    import fcntl

    output = tmp_path / "answers.jsonl"
    with output.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="being written"):
            search_to_file(searcher, ["tax"], output)


def test_ten_sigkills_leave_no_trace(tiny_model: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions.txt"
    questions.write_text("\n".join(some_questions(1500)) + "\n")
    glossary = tmp_path / "glossary.csv"
    rows = [f"{term.id},{term.term},{term.definition}" for term in some_terms(6)]
    glossary.write_text("id,term,definition\n" + "\n".join(rows) + "\n")

    def start(output: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "glossrank", "ask-many", str(questions), "-o", str(output)]
        command += ["--glossary", str(glossary), "--model", str(tiny_model), "--as-typed"]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    killed, whole = tmp_path / "killed.jsonl", tmp_path / "whole.jsonl"
    run = start(whole)
    assert run.wait(timeout=300) == 0
    size = whole.stat().st_size
    draw = random.Random(11)
    # At ten random lengths of the file, in the middle of lines and between them.
    for target in sorted(draw.randrange(size) for _ in range(KILLS)):
        run = start(killed)
        deadline = time.monotonic() + 120
        while (not killed.exists() or killed.stat().st_size < target) and run.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        run.kill()
        run.wait()
        assert killed.read_bytes() == whole.read_bytes()[: killed.stat().st_size]
    run = start(killed)
    assert run.wait(timeout=300) == 0
    assert killed.read_bytes() == whole.read_bytes()
