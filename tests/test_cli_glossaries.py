"""ask-many, lint and diff as they are typed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from tests.conftest import write_tiny_model
from tests.test_cli import glossrank, refused

TERMS = """id,term,definition,owner
cash,Cash,Money at hand and in banks.,A
tax,Tax,Money owed to the state.,B
lease,Lease,Rent of an asset for days.,C
"""
FAULTY = """id,term,definition
cash,Cash,Money at hand and in banks.
tax,[bold]Tax[/],TBD
lease,Lease
"""
QUESTIONS = "how much tax?\n\nwhat is our cash\nhow much tax?\n"


@pytest.fixture
def here(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with glossaries, questions and a model called ``tiny``."""
    (tmp_path / "terms.csv").write_text(TERMS)
    (tmp_path / "faulty.csv").write_text(FAULTY)
    (tmp_path / "less.csv").write_text(TERMS.replace("tax,Tax,Money owed to the state.,B\n", ""))
    (tmp_path / "questions.txt").write_text(QUESTIONS)
    (tmp_path / "tiny").symlink_to(tiny_model)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask_many(questions: str, output: str, *more: str) -> subprocess.CompletedProcess[str]:
    return glossrank(
        "ask-many", questions, "-o", output, "--glossary", "terms.csv", "--model", "tiny", *more
    )


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_ask_many_writes_a_line_a_question(here: Path) -> None:
    done = ask_many("questions.txt", "new/answers.jsonl")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "3 questions answered -> new/answers.jsonl\n"
    found = records((here / "new" / "answers.jsonl").read_text())
    assert [record["number"] for record in found] == [1, 2, 3]
    assert [record["question"] for record in found] == [q for q in QUESTIONS.splitlines() if q]
    assert len({record["job"] for record in found}) == 1
    for record, first in zip(found, ("tax", "cash", "tax"), strict=True):
        assert len(record["answers"]) == 3
        assert first in {answer["id"] for answer in record["answers"] if answer["named"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("asked.csv", 'who,question\nA,how much tax?\nB,"what, so, is our cash"\n'),
        ("asked.tsv", "question\twho\nhow much tax?\tA\nwhat, so, is our cash\tB\n"),
        ("asked.jsonl", '{"question": "how much tax?"}\n{"question": "what, so, is our cash"}\n'),
        ("asked.json", '[{"question": "how much tax?"}, {"question": "what, so, is our cash"}]'),
        ("asked.txt", "\ufeffhow much tax?\r\n   \r\nwhat, so, is our cash"),
    ],
)
def test_ask_many_reads_lines_and_rows(here: Path, name: str, content: str) -> None:
    (here / name).write_bytes(content.encode())
    done = ask_many(name, "-", "--top", "2")
    assert (done.returncode, done.stderr) == (0, "")
    found = records(done.stdout)
    assert [record["question"] for record in found] == ["how much tax?", "what, so, is our cash"]
    assert [len(record["answers"]) for record in found] == [2, 2]


def test_ask_many_to_stdout_is_what_is_written_to_a_file(here: Path) -> None:
    (here / "q.txt").write_text("how much tax?\nwie hoch sind \u00dcbersch\u00fcsse?\n", "utf-8")
    assert ask_many("q.txt", "answers.jsonl").returncode == 0
    assert ask_many("q.txt", "-").stdout == (here / "answers.jsonl").read_text("utf-8")


@pytest.mark.parametrize(
    "kept", ["nothing", "a line", "a line and a half", "all", "all but its end"]
)
def test_ask_many_goes_on_where_it_was_stopped(here: Path, kept: str) -> None:
    assert ask_many("questions.txt", "answers.jsonl").returncode == 0
    file = here / "answers.jsonl"
    whole = file.read_bytes()
    line = len(whole.splitlines(keepends=True)[0])
    sizes = {
        "nothing": 0,
        "a line": line,
        "a line and a half": line + line // 2,
        "all": len(whole),
        "all but its end": len(whole) - 1,
    }
    file.write_bytes(whole[: sizes[kept]])
    done = ask_many("questions.txt", "answers.jsonl")
    assert done.returncode == 0
    assert file.read_bytes() == whole
    new = {"nothing": 3, "all": 0, "all but its end": 1}.get(kept, 2)
    there = f", {3 - new} were there" if new < 3 else ""
    assert done.stderr == f"{new} questions answered{there} -> answers.jsonl\n"


def test_ask_many_stopped_by_ctrl_c_loses_nothing(here: Path) -> None:
    (here / "long.txt").write_text("".join(f"how much tax is {n}\n" for n in range(400_000)))
    command = ["ask-many", "long.txt", "-o", "out.jsonl", "-g", "terms.csv", "-m", "tiny"]
    with subprocess.Popen(
        [sys.executable, "-m", "glossrank", *command], stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        file = here / "out.jsonl"
        while not (file.is_file() and file.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        refused_to_share = ask_many("long.txt", "out.jsonl")
        process.send_signal(2)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert "no other run writes" in refused(refused_to_share)
    written = file.read_text()
    # Whole lines, and the next run takes them up.
    found = records(written)
    assert written.endswith("\n")
    assert [record["number"] for record in found] == list(range(1, len(found) + 1))
    (here / "long.txt").write_text("".join(f"how much tax is {n}\n" for n in range(len(found) + 1)))
    assert (
        f"1 questions answered, {len(found)} were there" in ask_many("long.txt", "out.jsonl").stderr
    )
    assert file.read_text().startswith(written)


FOREIGN = {
    "notes.txt": b"Call Anna.\nAnd Bert.\n",
    "other.jsonl": b'{"number": 1, "question": "how much tax?"}\n',
    "list.json": b'["number", "job"]\n',
    "bytes.bin": b"\xff\xfe\n\x00\n",
    "number.txt": b"1\n",
    "lines.txt": b"Anna\nBert",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_ask_many_keeps_a_file_of_something_else(here: Path, name: str) -> None:
    (here / name).write_bytes(FOREIGN[name])
    assert f"{name}:1: expected a new file" in refused(ask_many("questions.txt", name))
    assert (here / name).read_bytes() == FOREIGN[name]


# What has no line end is removed only if this job began to write it.
@pytest.mark.parametrize("content", [b"Call Anna.", b'{"hidden_size": 32}'])
def test_ask_many_keeps_a_file_without_a_last_line_end(here: Path, content: bytes) -> None:
    (here / "notes.txt").write_bytes(content)
    refused(ask_many("questions.txt", "notes.txt"))
    assert (here / "notes.txt").read_bytes() == content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--top", "another glossary, model or option"),
        ("--as-typed", "another glossary, model or option"),
        ("glossary", "another glossary, model or option"),
        ("model", "another glossary, model or option"),
        ("question", "an answer to 'how much tax?'"),
        ("fewer questions", "an answer too many (2 questions)"),
    ],
)
def test_ask_many_does_not_go_on_with_another_job(here: Path, change: str, message: str) -> None:
    assert ask_many("questions.txt", "answers.jsonl").returncode == 0
    before = (here / "answers.jsonl").read_bytes()
    more = {"--top": ["--top", "1"], "--as-typed": ["--as-typed"]}.get(change, [])
    if change == "glossary":
        (here / "terms.csv").write_text(TERMS.replace("hand", "home"))
    elif change == "model":
        (here / "tiny").unlink()
        write_tiny_model(here / "tiny", seed=1)
    elif change == "question":
        (here / "questions.txt").write_text(QUESTIONS.replace("how much tax?", "which tax?", 1))
    elif change == "fewer questions":
        (here / "questions.txt").write_text("how much tax?\nwhat is our cash\n")
    assert message in refused(ask_many("questions.txt", "answers.jsonl", *more))
    assert (here / "answers.jsonl").read_bytes() == before


def test_ask_many_goes_on_with_a_shuffled_glossary_and_more_questions(here: Path) -> None:
    assert ask_many("questions.txt", "answers.jsonl").returncode == 0
    before = (here / "answers.jsonl").read_text()
    header, *rows = TERMS.splitlines()
    (here / "terms.csv").write_text("\n".join([header, *reversed(rows)]))
    (here / "questions.txt").write_text(f"{QUESTIONS}our lease?\n")
    done = ask_many("questions.txt", "answers.jsonl")
    assert "1 questions answered, 3 were there" in done.stderr
    assert (here / "answers.jsonl").read_text().startswith(before)


def test_ask_many_refuses_wrong_input_and_writes_nothing(here: Path) -> None:
    (here / "column.csv").write_text("x\na\n")
    (here / "cell.csv").write_text('question\na\n" "\n')
    (here / "blank.txt").write_text("\n \n")
    (here / "latin.txt").write_bytes(b"caf\xe9?\n")
    before = sorted(path.name for path in here.iterdir())
    for name, message in {
        "none.txt": "none.txt: expected a file that can be read",
        "column.csv": "missing: question",
        "cell.csv": "cell.csv:3: expected a text under 'question'",
        "blank.txt": "blank.txt: expected at least one",
        "latin.txt": "latin.txt:1: expected text in UTF-8",
    }.items():
        assert message in refused(ask_many(name, "answers.jsonl"))
    assert "No such file" in refused(ask_many("questions.txt", "a.jsonl", "-g", "none.csv"))
    assert "faulty.csv:4" in refused(ask_many("questions.txt", "a.jsonl", "-g", "faulty.csv"))
    assert "none of them" in refused(ask_many("questions.txt", "a.jsonl", "-m", "nope"))
    assert "found a folder" in refused(ask_many("questions.txt", "tiny"))
    assert sorted(path.name for path in here.iterdir()) == before
    assert glossrank("ask-many", "questions.txt").returncode == 2


def lint(*arguments: str) -> subprocess.CompletedProcess[str]:
    return glossrank("lint", *arguments)


@pytest.mark.usefixtures("here")
def test_lint_of_a_sound_glossary() -> None:
    done = lint("terms.csv", "--no-model")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "terms.csv: 3 terms, 0 findings\n"
    shipped = lint("finance-terms", "--no-model")
    assert (shipped.returncode, shipped.stderr) == (0, "finance-terms: 256 terms, 0 findings\n")
    document = json.loads(lint("terms.csv", "--no-model", "--json").stdout)
    assert document == {"glossary": "terms.csv", "terms": 3, "findings": []}


def test_lint_prints_a_line_a_finding(here: Path) -> None:
    done = lint("faulty.csv", "--no-model")
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert first.startswith("faulty.csv:3: placeholder: tax: 'TBD'. ")
    assert second.startswith("faulty.csv:4: broken-row: expected 3 cells, ")
    assert done.stderr == "faulty.csv: 2 terms, 2 findings\n"
    # Square brackets are text, not markup.
    (here / "faulty.csv").write_text("term,definition\n[bold]Tax[/],[bold]Tax[/]\n")
    assert "'[bold]Tax[/]'" in lint("faulty.csv", "--no-model").stdout


@pytest.mark.usefixtures("here")
def test_lint_as_json() -> None:
    done = lint("faulty.csv", "--no-model", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert (document["glossary"], document["terms"]) == ("faulty.csv", 2)
    found = [(f["kind"], f["id"], f["line"]) for f in document["findings"]]
    assert found == [("placeholder", "tax", 3), ("broken-row", "", 4)]
    assert all(finding["text"] and finding["fix"] for finding in document["findings"])


@pytest.mark.usefixtures("here")
def test_lint_ignores_kinds() -> None:
    one = lint("faulty.csv", "--no-model", "--ignore", "placeholder")
    assert one.returncode == 1
    assert "TBD" not in one.stdout and "broken-row" in one.stdout
    both = lint("faulty.csv", "--no-model", "--ignore", "placeholder", "--ignore", "broken-row")
    assert (both.returncode, both.stdout) == (0, "")
    assert "expected one of broken-row, clashing-id" in refused(lint("faulty.csv", "--ignore", "x"))


def test_lint_asks_the_model_what_is_cut(here: Path) -> None:
    (here / "terms.csv").write_text(f"{TERMS}long,Long Text,{'tax ' * 500},A\n")
    assert lint("terms.csv", "--no-model").returncode == 0
    done = lint("terms.csv", "--model", "tiny", "--ignore", "unreachable")
    assert done.returncode == 1
    [line] = done.stdout.splitlines()
    assert line.startswith("terms.csv:5: cut: long: ")


def test_lint_of_rows_that_are_all_broken_needs_no_model(here: Path) -> None:
    (here / "broken.csv").write_text("term,definition\na\nb,c,d\n")
    done = lint("broken.csv", "--model", "nope")
    assert done.returncode == 1
    assert done.stdout.count("broken-row") == 2
    assert done.stderr == "broken.csv: 0 terms, 2 findings\n"


def test_lint_tells_which_columns_it_guessed(here: Path) -> None:
    (here / "kpi.csv").write_text("KPI,Meaning,Aliases\nUpkeep,Money spent on old machines.,Fix\n")
    done = lint("kpi.csv", "--no-model")
    assert done.returncode == 0
    assert "term = column 'KPI'" in done.stderr
    (here / "own.csv").write_text("A,B\nUpkeep,TBD\n")
    assert "missing: term, definition" in refused(lint("own.csv", "--no-model"))
    chosen = lint("own.csv", "--no-model", "--column", "term=A", "--column", "definition=B")
    assert (chosen.returncode, chosen.stdout.count("placeholder")) == (1, 1)


def test_lint_refuses_what_it_cannot_read(here: Path) -> None:
    (here / "head.csv").write_text("term,definition\n")
    (here / "open.csv").write_text('term,definition\nTax,"Money\n')
    (here / "latin.csv").write_bytes(b"term,definition\nTax,caf\xe9\n")
    (here / "notes.txt").write_text("Tax\n")
    for name, message in {
        "none.csv": "No such file",
        "head.csv": "at least one term",
        "open.csv": "open.csv:2",
        "latin.csv": "latin.csv:2: expected text in UTF-8",
        "notes.txt": "'.txt'",
    }.items():
        assert message in refused(lint(name, "--no-model"))
    assert "none of them" in refused(lint("terms.csv", "--model", "nope"))
    assert "{nope}" in refused(lint("terms.csv", "--no-model", "--template", "{nope}"))
    assert "--column FIELD=COLUMN" in refused(lint("terms.csv", "--column", "term"))
    assert lint().returncode == 2


def diff(
    old: str, new: str, *more: str, asked: str = "questions.txt"
) -> subprocess.CompletedProcess[str]:
    return glossrank("diff", old, new, "--questions", asked, "--model", "tiny", *more)


@pytest.fixture
def judged(here: Path) -> str:
    """Named by the whole question, so that any model answers with that term."""
    rows: list[dict[str, Any]] = [
        {"question": "Tax?", "relevant": ["tax"]},
        {"question": "Cash?", "relevant": ["cash"]},
        {"question": "Lease?", "relevant": []},
    ]
    (here / "judged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "judged.jsonl"


def test_diff_of_a_shuffled_glossary_finds_nothing(here: Path, judged: str) -> None:
    header, *rows = TERMS.splitlines()
    (here / "shuffled.csv").write_text("\n".join([header, *reversed(rows)]))
    done = diff("terms.csv", "shuffled.csv", asked=judged)
    assert done.returncode == 0
    assert done.stdout == "0 of 3 questions get another first answer\n"
    (here / "owner.csv").write_text(TERMS.replace(",C\n", ",D\n"))
    owner = diff("terms.csv", "owner.csv", asked=judged)
    assert owner.returncode == 0
    assert "0 of 3 questions" in owner.stdout


def test_diff_of_a_removed_term(judged: str) -> None:
    done = diff("terms.csv", "less.csv", asked=judged)
    assert done.returncode == 1
    assert done.stdout.startswith("removed: tax\n")
    [row] = [line for line in done.stdout.splitlines() if line.startswith("\u2502 Tax?")]
    assert "worse" in row
    assert done.stdout.endswith(
        "1 of 3 questions get another first answer, 1 of them a worse one\n"
    )
    assert diff("terms.csv", "less.csv", "--only-worse", asked=judged).returncode == 1


def test_diff_of_an_added_term_is_better(judged: str) -> None:
    done = diff("less.csv", "terms.csv", asked=judged)
    assert done.returncode == 1
    assert done.stdout.startswith("added: tax\n")
    assert "better" in done.stdout and "worse" not in done.stdout
    only_worse = diff("less.csv", "terms.csv", "--only-worse", asked=judged)
    assert only_worse.returncode == 0
    assert only_worse.stdout == done.stdout


def test_diff_as_json(here: Path, judged: str) -> None:
    (here / "renamed.csv").write_text(TERMS.replace("tax,Tax", "levy,Tax").replace("days", "years"))
    done = diff("terms.csv", "renamed.csv", "--json", asked=judged)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "terms": {"added": ["levy"], "removed": ["tax"], "changed": ["lease"]},
        "questions": 3,
        "answers": [
            {
                "question": "Tax?",
                "old": "tax",
                "new": "levy",
                "old_term": "Tax",
                "new_term": "Tax",
                "verdict": "worse",
            }
        ],
        "worse": 1,
    }


def test_diff_without_right_answers_gives_no_verdict(here: Path) -> None:
    (here / "asked.txt").write_text("Tax?\nCash?\n")
    done = diff("terms.csv", "less.csv", asked="asked.txt")
    assert done.returncode == 1
    assert done.stdout.endswith("1 of 2 questions get another first answer\n")
    assert "which --only-worse needs" in refused(
        diff("terms.csv", "less.csv", "--only-worse", asked="asked.txt")
    )


def test_diff_of_two_models(here: Path, tiny_model: Path) -> None:
    words = ("money", "goods", "net", "asset")
    (here / "asked.txt").write_text("".join(f"how much {word} is that\n" for word in words))
    # What the one finds best, the other finds worst.
    other = shutil.copytree(tiny_model, here / "other")
    weights = load_file(other / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = -weights[name]
    save_file(weights, other / "model.safetensors")

    def compared(old: str, new: str) -> list[tuple[str, str]]:
        more = ("--model", old, "--new-model", new, "--json")
        done = glossrank("diff", "terms.csv", "terms.csv", "-q", "asked.txt", *more)
        assert done.returncode == (old != new)
        document = json.loads(done.stdout)
        assert document["terms"] == {"added": [], "removed": [], "changed": []}
        return [(answer["old"], answer["new"]) for answer in document["answers"]]

    assert compared("tiny", "tiny") == []
    there = compared("tiny", "other")
    assert len(there) == len(words)
    assert compared("other", "tiny") == [(new, old) for old, new in there]


def test_square_brackets_in_a_diff_are_text(here: Path) -> None:
    (here / "old.csv").write_text("id,term,definition\na,[bold]Tax[/],Money.\nb,Fee,Money due.\n")
    (here / "new.csv").write_text("id,term,definition\n[red]b[/],Fee,Money due.\n")
    (here / "asked.txt").write_text("[bold]Tax[/]\n")
    done = diff("old.csv", "new.csv", asked="asked.txt")
    assert done.returncode == 1
    assert "added: [red]b[/]" in done.stdout
    assert done.stdout.count("[bold]Tax[/]") == 2


def test_diff_refuses_wrong_input(here: Path) -> None:
    assert "No such file" in refused(diff("terms.csv", "none.csv"))
    assert "No such file" in refused(diff("none.csv", "terms.csv"))
    assert "faulty.csv:4" in refused(diff("terms.csv", "faulty.csv"))
    assert "No such file" in refused(diff("terms.csv", "less.csv", asked="none.txt"))
    assert "none of them" in refused(diff("terms.csv", "less.csv", "--new-model", "nope"))
    (here / "stranger.jsonl").write_text('{"question": "Tax?", "relevant": ["taxx"]}\n')
    assert "'taxx'" in refused(diff("terms.csv", "less.csv", asked="stranger.jsonl"))
    (here / "half.jsonl").write_text(
        '{"question": "Tax?", "relevant": ["tax"]}\n{"question": "A"}\n'
    )
    assert "half.jsonl:2" in refused(diff("terms.csv", "less.csv", asked="half.jsonl"))
    assert glossrank("diff", "terms.csv", "less.csv").returncode == 2


def test_a_reader_that_goes_away_is_no_traceback(here: Path) -> None:
    (here / "long.txt").write_text("".join(f"how much tax is {n}\n" for n in range(2000)))
    command = ["ask-many", "long.txt", "-o", "-", "-g", "terms.csv", "-m", "tiny"]
    with subprocess.Popen(
        [sys.executable, "-m", "glossrank", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(b'{"number": 1, ')
        process.stdout.close()
        stderr = process.stderr.read().decode()
        process.wait(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in stderr and "Exception" not in stderr
