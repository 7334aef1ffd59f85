from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from glossrank.glossary import FINANCE_TERMS
from tests.conftest import write_tiny_model

QUESTION = "Are we giving investors a good return via dividends?"
GOOD = "sentence_0,sentence_1,label\nhow much tax?,Tax is owed.,1\nhow much tax?,Cash is held.,0\n"


def glossrank(
    *arguments: str | Path, stdin: str | bytes | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "glossrank", *map(str, arguments)],
        input=stdin.encode() if isinstance(stdin, str) else stdin or b"",
        capture_output=True,
        cwd=cwd,
        check=False,
        env=os.environ | {"COLUMNS": "100"},
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one message of a command that was refused: exit code 2, nothing on stdout."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


def test_ask_prints_terms_about_dividends_first() -> None:
    done = glossrank("ask", QUESTION, "--top", "3")
    assert done.returncode == 0
    rows = [line for line in done.stdout.splitlines() if "│" in line]
    assert "ividend" in rows[0]
    assert "256 terms of finance-terms" in done.stdout


def test_ask_says_how_it_read_a_question_with_slips(tiny_model: Path) -> None:
    typed = "how mcuh taax?"
    done = glossrank("ask", typed, "--model", tiny_model)
    assert "read as: how much tax?" in done.stdout
    raw = glossrank("ask", typed, "--model", tiny_model, "--as-typed")
    assert raw.returncode == 0
    assert "read as" not in raw.stdout


def test_ask_loads_neither_torch_nor_transformers() -> None:
    program = (
        "import sys\n"
        "from glossrank.cli import app\n"
        f"app(['ask', {QUESTION!r}, '--json'], standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'datasets'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_json_is_one_document_and_nothing_else(tiny_model: Path) -> None:
    done = glossrank("ask", "how much tax?", "--model", tiny_model, "--json", "--top", "2")
    document = json.loads(done.stdout)
    assert [a["place"] for a in document["answers"]] == [1, 2]
    keys = {"place", "id", "term", "definition", "score", "logit", "probability", "named"}
    assert set(document["answers"][0]) == keys
    # A model without a calibration claims nothing.
    assert document["answers"][0]["probability"] is None
    assert document["none_of_these"] is None
    assert document["answered"] is None
    assert document["read_as"] == document["question"] == "how much tax?"
    assert document["question"] == "how much tax?"
    assert done.stderr == ""
    ranked = json.loads(
        glossrank("rank", "tax?", "-d", "-", "-m", tiny_model, "--json", stdin="cash\ntax\n").stdout
    )
    assert sorted(r["corpus_id"] for r in ranked["results"]) == [0, 1]
    assert {m["name"] for m in json.loads(glossrank("models", "--json").stdout)["models"]} == {
        "finance-terms",
        "finance-terms-indexed",
        "minilm-l6-base",
    }
    described = json.loads(
        glossrank("pairs", "describe", FINANCE_TERMS / "train.csv", "--json").stdout
    )
    assert described["pairs"] == 563
    assert described["problems"] == []


def test_ask_reads_a_glossary_of_your_own(tiny_model: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("term,definition\n[bold]Churn[/],Customers lost.\n")
    done = glossrank("ask", "who left?", "--glossary", own, "--model", tiny_model)
    assert done.returncode == 0
    # Square brackets are text, not markup.
    assert "[bold]Churn[/]" in done.stdout


def test_rank_reads_a_file_of_lines_or_of_rows(tiny_model: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("cash\n\ntax\n")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "cash"}\n{"text": "tax"}\n')
    results = [
        json.loads(glossrank("rank", "tax?", "-d", f, "-m", tiny_model, "--json").stdout)["results"]
        for f in (lines, rows)
    ]
    assert results[0] == results[1]
    assert {r["text"] for r in results[0]} == {"cash", "tax"}


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_predict_writes_the_scores(tiny_model: Path, tmp_path: Path, kind: str) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(GOOD)
    output = tmp_path / f"scores.{kind}"
    output.write_text("an older file")
    assert glossrank("predict", pairs, "-o", output, "-m", tiny_model).returncode == 0
    text = output.read_text()
    if kind == "jsonl":
        rows = [json.loads(line) for line in text.splitlines()]
    else:
        rows = list(csv.DictReader(text.splitlines(), delimiter="\t" if kind == "tsv" else ","))
    assert [r["sentence_1"] for r in rows] == ["Tax is owed.", "Cash is held."]
    assert float(rows[0]["score"]) != float(rows[1]["score"])


def test_describe_shows_the_statistics_and_every_problem(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(GOOD + "why?,Because.,yes\nwho?,,1\n")
    done = glossrank("pairs", "describe", pairs)
    assert done.returncode == 2
    assert "2 good pairs" in done.stdout
    assert "pairs.csv:4: expected a label" in done.stdout
    assert "pairs.csv:5: expected a text" in done.stdout
    assert "13 characters" in done.stdout


LARGE = "x" * 10_000_000
BAD_PAIRS: dict[str, tuple[bytes, str]] = {
    "empty.csv": (b"", "an empty file"),
    "no-column.csv": (b"sentence_0,label\na,1\n", "missing: sentence_1"),
    "yes.csv": (GOOD.encode() + b"a,b,yes\n", "yes.csv:4: expected a label"),
    "two.csv": (GOOD.encode() + b"a,b,2\n", "two.csv:4: expected a label"),
    "nan.csv": (GOOD.encode() + b"a,b,NaN\n", "nan.csv:4: expected a label"),
    "twice.csv": (GOOD.encode() + b"how much tax?,Tax is owed.,0\n", "twice.csv:4: expected the label 1.0 that the same pair has on line 2"),
    "large.csv": (GOOD.encode() + f"{LARGE},b,1\n".encode(), "large.csv:4: "),
    "latin.csv": (GOOD.encode() + b"caf\xe9,b,1\n", "latin.csv:4: expected text in UTF-8"),
    "broken.jsonl": (b'{"sentence_0": "a", "sentence_1": "b", "label": 1}\n{"sentence_0": \n', "broken.jsonl:2: expected one JSON object"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_PAIRS)
def test_bad_pairs_are_refused_and_nothing_is_written(
    tiny_model: Path, tmp_path: Path, name: str
) -> None:
    content, message = BAD_PAIRS[name]
    (tmp_path / name).write_bytes(content)
    done = glossrank("train", name, "--output", "model", "--base", tiny_model, cwd=tmp_path)
    assert message in refused(done)
    assert len(done.stderr) < 2000
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_predict_refuses_and_keeps_what_was_there(tiny_model: Path, tmp_path: Path) -> None:
    pairs, output = tmp_path / "pairs.csv", tmp_path / "scores.csv"
    pairs.write_text("sentence_0,sentence_1\na,\n")
    output.write_text("an older file")
    assert "pairs.csv:2" in refused(glossrank("predict", pairs, "-o", output, "-m", tiny_model))
    pairs.write_text(GOOD)
    assert "scores.xlsx" in refused(
        glossrank("predict", pairs, "-o", tmp_path / "scores.xlsx", "-m", tiny_model)
    )
    assert output.read_text() == "an older file"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pairs.csv", "scores.csv"]


def truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-500])


def replace_tokenizer(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 20}))


@pytest.mark.parametrize(
    ("fault", "message"), [(truncate, "cut short"), (replace_tokenizer, "ids of at most 19")]
)
def test_a_broken_model_is_refused(
    tmp_path: Path, fault: Callable[[Path], None], message: str
) -> None:
    folder = write_tiny_model(tmp_path / "model")
    fault(folder)
    (tmp_path / "pairs.csv").write_text(GOOD)
    assert message in refused(glossrank("ask", "tax?", "--model", folder))
    assert message in refused(
        glossrank(
            "train",
            tmp_path / "pairs.csv",
            "-o",
            tmp_path / "new",
            "--base",
            folder,
            "--guard-seeds",
            "0",
        )
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "pairs.csv"]


def test_other_wrong_input_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"\x80\x04.")
    assert "a pickle" in refused(glossrank("ask", "tax?", "--model", tmp_path / "model.pt"))
    assert "none of them" in refused(glossrank("ask", "tax?", "--model", "finance-trems"))
    assert "out of reach" in refused(glossrank("ask", "tax?", "--model", "team/model"))
    assert "as the question, found nothing" in refused(
        glossrank("ask", "  ", "--model", tiny_model)
    )
    assert "No such file" in refused(glossrank("ask", "tax?", "--glossary", tmp_path / "none.csv"))
    assert "at least one text" in refused(glossrank("rank", "tax?", "-d", "-", stdin="\n"))
    assert "UTF-8" in refused(glossrank("rank", "tax?", "-d", "-", stdin=b"caf\xe9\n"))
    broken = os.fsdecode(b"caf\xe9")
    assert "broken characters" in refused(glossrank("ask", broken, "--model", tiny_model))
    assert "broken characters" in refused(glossrank("rank", broken, "-d", "-", stdin="tax"))
    assert "too long" in refused(glossrank("ask", "tax?", "--model", "x" * 5000))
    nulls = tmp_path / "nulls.jsonl"
    nulls.write_text('{"text": null}\n')
    assert "nulls.jsonl:1: expected a text" in refused(glossrank("rank", "tax?", "-d", nulls))
    nulls.unlink()
    (tmp_path / "pairs.csv").write_text(GOOD)
    train = (
        "train",
        tmp_path / "pairs.csv",
        "--base",
        tiny_model,
        "--guard-seeds",
        "0",
        "--output",
    )
    assert "does not exist yet" in refused(glossrank(*train, tmp_path))
    assert "Keys: " in refused(glossrank(*train, tmp_path / "new", "--set", "lr=1"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.pt", "pairs.csv"]


def test_unknown_options_and_missing_arguments_end_with_2() -> None:
    for arguments in (["ask"], ["ask", "x", "--nope"], ["ask", "x", "--top", "0"], ["bogus"]):
        done = glossrank(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_train_writes_a_model_with_its_card(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(GOOD)
    done = glossrank(
        "train",
        "pairs.csv",
        "-o",
        "model",
        "--base",
        tiny_model,
        "--set",
        "num_train_epochs=1",
        "--guard-seeds",
        "0",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    # No bar where stderr is not a terminal: one closing line.
    assert done.stderr.count("\n") == 1
    assert "2 pairs" in done.stderr
    assert "- `num_train_epochs`: 1.0" in (tmp_path / "model" / "README.md").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "pairs.csv"]
    assert glossrank("ask", "how much tax?", "--model", tmp_path / "model").returncode == 0


def test_ctrl_c_leaves_a_checkpoint_and_a_way_to_resume(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(GOOD)
    command = [
        "train",
        "pairs.csv",
        "-o",
        "model",
        "--base",
        str(tiny_model),
        "--set",
        "num_train_epochs=3000",
        "--guard-seeds",
        "0",
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "glossrank", *command],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 120
        while (
            not list(tmp_path.glob("model.training/checkpoint-*")) and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        process.send_signal(2)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in stderr
    assert "Traceback" not in stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.training", "pairs.csv"]


def test_a_question_that_nothing_answers_is_told_so() -> None:
    done = glossrank("ask", "Who paints the office walls?", "--top", "1")
    assert "Perhaps none of these" in done.stdout
    assert "answers it." in done.stdout
    sure = glossrank("ask", "Which customer debts turned bad for good?", "--top", "1")
    assert "Perhaps none of these" not in sure.stdout
    assert "Bad Debts Written Off" in sure.stdout
