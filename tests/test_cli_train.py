from __future__ import annotations

import csv
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from glossrank import CrossEncoder
from glossrank.calibration import load_calibration
from glossrank.cli import main
from glossrank.cli.output import INTERRUPTED, REFUSED
from glossrank.glossary import Glossary
from glossrank.judgments import read_questions
from glossrank.training.examples import Example, TrainingSet, from_questions
from glossrank.training.listwise_run import train_listwise
from glossrank.training.recipe import ListwiseRecipe
from tests.conftest import write_tiny_model
from tests.test_listwise import TERMS, WORDINGS, marked_set, right_share

ASKED = TERMS[:10]
DATA = marked_set(ASKED, wordings=WORDINGS[:4])


class Done(NamedTuple):
    code: int
    stdout: str
    stderr: str


@pytest.fixture
def glossrank(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Done]:
    """Runs a command in this process, in ``tmp_path``: importing torch takes seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr("sys.argv", ["glossrank", *map(str, arguments)])
        try:
            main()
            code: int | str | None = 0
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        assert isinstance(code, int)
        return Done(code, captured.out, captured.err)

    return run


def refused(done: Done) -> str:
    """The message of a refused command: exit code 2, one line, nothing on stdout."""
    assert (done.code, done.stdout) == (2, ""), done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model; one layer and 48 tokens, because the guard ranks 3,600 definitions."""
    return write_tiny_model(tmp_path_factory.mktemp("base") / "model", layers=1, positions=48)


def asked_share(model: Path) -> float:
    """Share of the questions whose first document answers at least another question."""
    answers = {row for example in DATA.examples for row in example.right}
    anything = tuple(Example(e.question, tuple(answers)) for e in DATA.examples)
    return right_share(model, TrainingSet(DATA.candidates, anything))


def write_pairs(file: Path, data: TrainingSet = DATA) -> Path:
    """Each question with its right answer and two wrong ones."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sentence_0", "sentence_1", "label"])
        answers = {row for example in data.examples for row in example.right}
        wrong = itertools.cycle(set(range(len(data.candidates))) - answers)
        for example in data.examples:
            for row, label in ((example.right[0], 1), (next(wrong), 0), (next(wrong), 0)):
                writer.writerow([example.question, data.candidates[row].texts[0], label])
    return file


def write_questions(folder: Path) -> Path:
    """``DATA`` as judged questions with two glossaries, one wording of the terms in each."""
    for name, right, wrong in (("one", "paid by customers", "goods of suppliers"),
                               ("two", "customers paid", "suppliers days")):  # fmt: skip
        with (folder / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id", "term", "definition", "family", "split"])
            for candidate in DATA.candidates[: len(ASKED)]:
                writer.writerow([candidate.id, candidate.id, right, "asked", "train"])
            for candidate in DATA.candidates[len(ASKED) :]:
                writer.writerow([candidate.id, candidate.id, wrong, "", ""])
            writer.writerow(["held-back", "held back", "what is", "", "test"])
    lines = [
        {"question": e.question, "relevant": [DATA.candidates[e.right[0]].id]}
        for e in DATA.examples
    ]
    lines += [
        {"question": f"{word} {term} services?", "relevant": []}
        for word in ("is", "the", "our")
        for term in TERMS
    ]
    file = folder / "questions.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.fixture(scope="module")
def good_base(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows the questions' answers, so that training can only make it worse."""
    folder = tmp_path_factory.mktemp("good")
    file = write_questions(folder)
    glossaries = [Glossary.load(folder / name) for name in ("one.csv", "two.csv")]
    questions = read_questions(file, glossaries[0], allow_none=True)
    recipe = ListwiseRecipe(
        epochs=40, learning_rate=1e-2, questions_per_step=8, typo_share=0.0, case_share=0.0
    )
    data = from_questions(questions, glossaries)
    train_listwise(data, base=base, output=folder / "model", recipe=recipe)
    return folder / "model"


QUESTIONS = ("train", "questions.jsonl", "-g", "one.csv", "-g", "two.csv", "-o", "model")
LEARN = ("--set", "learning_rate=1e-2", "--set")
LISTWISE = (
    "--recipe",
    "finance-terms",
    "--set",
    "questions_per_step=8",
    "--set",
    "typo_share=0",
    *LEARN,
    "epochs=12",
)
CARD = (*LEARN, "num_train_epochs=4", "--set", "per_device_train_batch_size=8")
FAST = ("--recipe", "fast", *CARD)


@pytest.mark.parametrize(
    ("recipe", "data"), [(CARD, "120 pairs"), (FAST, "120 pairs"), (LISTWISE, "40 questions")]
)
def test_the_guard_lets_a_better_model_pass(
    glossrank: Callable[..., Done], base: Path, tmp_path: Path, recipe: Sequence[str], data: str
) -> None:
    write_pairs(tmp_path / "pairs.csv")
    done = glossrank(
        "train", "pairs.csv", "-o", "model", "--base", base, "--guard-seeds", "1", *recipe
    )
    assert (done.code, done.stdout) == (0, ""), done
    lines = done.stderr.splitlines()
    assert lines[0] == "checking on held-out questions, 1 seeds ..."
    assert lines[1] == "better"
    assert lines[-1].startswith(f"{data}, ")
    assert lines[-1].endswith("-> model")
    assert names(tmp_path) == ["model", "pairs.csv"]
    card = (tmp_path / "model" / "README.md").read_text()
    assert "**better**" in card
    figures = [line.strip() for line in lines[2:-1]]
    assert len(figures) >= 2
    for line in figures:
        assert f"- {line}" in card.splitlines()
    assert asked_share(base) < 0.5
    assert asked_share(tmp_path / "model") > 0.9


@pytest.mark.parametrize("recipe", [CARD, FAST, LISTWISE], ids=["card", "fast", "finance-terms"])
def test_without_the_guard_the_card_says_so(
    glossrank: Callable[..., Done], base: Path, tmp_path: Path, recipe: Sequence[str]
) -> None:
    write_pairs(tmp_path / "pairs.csv", marked_set(TERMS[:3], wordings=WORDINGS[:1]))
    done = glossrank(
        "train", "pairs.csv", "-o", "model", "--base", base, "--guard-seeds", "0", *recipe
    )
    assert (done.code, done.stdout) == (0, ""), done
    assert done.stderr.count("\n") == 1
    assert names(tmp_path) == ["model", "pairs.csv"]
    assert "Not made" in (tmp_path / "model" / "README.md").read_text()
    assert load_calibration(tmp_path / "model") is None


def test_questions_with_two_glossaries_and_a_teacher(
    glossrank: Callable[..., Done], base: Path, tmp_path: Path
) -> None:
    write_questions(tmp_path)
    teacher = {"query": "how quick", "documents": ["goods", "net equity"], "scores": [2, -1.5]}
    (tmp_path / "teacher.jsonl").write_text(json.dumps(teacher) + "\n")
    test = {"question": "what is our tax", "relevant": ["tax"]}
    (tmp_path / "test.jsonl").write_text(json.dumps(test) + "\n")
    inputs = names(tmp_path)
    done = glossrank(
        *QUESTIONS, "-b", base, "--guard-seeds", "1", *LISTWISE,
        "--teacher", "teacher.jsonl", "--test", "test.jsonl",
    )  # fmt: skip
    assert done.code == 0, done
    assert "better" in done.stderr.splitlines()
    assert "ranking 1 test questions against 43 terms ..." in done.stderr
    assert names(tmp_path) == sorted([*inputs, "model"])
    card = (tmp_path / "model" / "README.md").read_text()
    assert "Questions: 88, of which 48 have no answer" in card
    # The term that is held back is no candidate.
    assert "Documents to choose from: 42, 84 wordings" in card
    assert "Teacher-scored groups of general text: 1" in card
    assert "Test file `test.jsonl`: 1 questions" in card
    engine = CrossEncoder(tmp_path / "model")
    asked, other = engine.logits(
        [
            ("what is our tax", "tax can be defined as customers paid"),
            ("what is our tax", "goods tax can be defined as suppliers days"),
        ]
    )
    assert asked > other


GENTLE = ("--recipe", "finance-terms", "--set", "learning_rate=1e-7", "--set", "epochs=1")
RUINOUS = ("--recipe", "finance-terms", "--set", "learning_rate=0.5", "--set", "epochs=1")


def test_held_out_questions_calibrate_the_model(
    glossrank: Callable[..., Done], good_base: Path, tmp_path: Path
) -> None:
    write_questions(tmp_path)
    done = glossrank(*QUESTIONS, "-b", good_base, "--guard-seeds", "3", *GENTLE)
    assert done.code == 0, done
    assert "no difference shown" in done.stderr.splitlines()
    calibration = load_calibration(tmp_path / "model")
    assert calibration is not None
    assert "3 seeds" in calibration.fitted_on
    assert 0 < calibration.threshold < 1


def test_a_worse_model_is_refused_unless_forced(
    glossrank: Callable[..., Done], good_base: Path, tmp_path: Path
) -> None:
    write_questions(tmp_path)
    inputs = names(tmp_path)
    train = (*QUESTIONS, "-b", good_base, "--guard-seeds", "1", *RUINOUS)
    done = glossrank(*train)
    assert (done.code, done.stdout) == (REFUSED, ""), done
    assert "Traceback" not in done.stderr
    message = done.stderr.splitlines()[-1]
    assert message.startswith("error: ")
    assert "model: expected a model that is no worse than its base, found a worse one." in message
    assert re.search(r"held-out questions \(\d+, 1 seeds\): nDCG@10 0\.\d+ -> 0\.\d+", message)
    assert "shipped finance questions: difference" in message
    assert "--force" in message
    # No model, only what the check found.
    assert names(tmp_path) == sorted([*inputs, "model.guard"])
    assert not list(tmp_path.rglob("*.safetensors"))
    done = glossrank(*train, "--force")
    assert (done.code, done.stdout) == (0, ""), done
    assert "worse" in done.stderr.splitlines()
    assert names(tmp_path) == sorted([*inputs, "model"])
    assert "**worse**" in (tmp_path / "model" / "README.md").read_text()


def test_data_that_cannot_be_divided_need_the_check_left_out(
    glossrank: Callable[..., Done], base: Path, tmp_path: Path
) -> None:
    write_pairs(tmp_path / "pairs.csv", marked_set(TERMS[:1], wordings=WORDINGS[:1]))
    for recipe in (CARD, FAST, LISTWISE):
        done = glossrank("train", "pairs.csv", "-o", "model", "-b", base, *recipe)
        assert (done.code, done.stdout) == (2, ""), done
        assert done.stderr.splitlines()[-1].startswith("error: expected ")
        assert names(tmp_path) == ["pairs.csv"]


GOOD_QUESTION = {"question": "what is our tax", "relevant": ["tax"]}
GROUP = {"query": "q", "documents": ["a", "b"], "scores": [1, 0]}
BAD_INPUT: dict[str, tuple[dict[str, object], Sequence[str], str]] = {
    "unknown id": (
        {"questions.jsonl": [GOOD_QUESTION, {"question": "who?", "relevant": ["taxx"]}]},
        (),
        "questions.jsonl:2: expected different ids of terms",
    ),
    "held-back id": (
        {"questions.jsonl": [GOOD_QUESTION, {"question": "who?", "relevant": ["held-back"]}]},
        (),
        "found 'held-back' in 'who?'",
    ),
    "no id": (
        {"questions.jsonl": [GOOD_QUESTION, {"question": "who?", "relevant": None}]},
        (),
        "questions.jsonl:2: expected different ids of terms",
    ),
    "no question": (
        {"questions.jsonl": [GOOD_QUESTION, {"question": " ", "relevant": ["tax"]}]},
        (),
        "questions.jsonl:2: expected a text under 'question'",
    ),
    "a broken glossary": (
        {"one.csv": "term,definition\ntax\n"},
        (),
        "one.csv:2: expected 2 cells",
    ),
    "a glossary that is not there": ({}, ("-g", "three.csv"), "three.csv: "),
    "questions that are not there": ({"questions.jsonl": None}, (), "questions.jsonl: "),
    "a broken teacher": (
        {"teacher.jsonl": [GROUP, GROUP | {"scores": [1]}]},
        ("--teacher", "teacher.jsonl"),
        "teacher.jsonl:2: expected a query, two or more documents",
    ),
    "a teacher that is cut off": (
        {"teacher.jsonl": '{"query": "q", "docu'},
        ("--teacher", "teacher.jsonl"),
        "teacher.jsonl:1: expected one JSON object",
    ),
    "a teacher that is not there": ({}, ("--teacher", "teacher.jsonl"), "teacher.jsonl: "),
    "a test question about an unknown term": (
        {"test.jsonl": [{"question": "who?", "relevant": ["taxx"]}]},
        ("--test", "test.jsonl"),
        "test.jsonl:1: expected different ids of terms",
    ),
    "a key of the other recipe": ({}, ("--set", "num_train_epochs=1"), "Keys: epochs, "),
    "a value beyond the limits": ({}, ("--set", "negatives=0"), "negatives from 1 to 1000"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_message_and_nothing_is_written(
    glossrank: Callable[..., Done], base: Path, tmp_path: Path, name: str
) -> None:
    files, arguments, message = BAD_INPUT[name]
    write_questions(tmp_path)
    for file, content in files.items():
        path = tmp_path / file
        if content is None:
            path.unlink()
        elif isinstance(content, str):
            path.write_text(content)
        else:
            assert isinstance(content, list)
            path.write_text("".join(json.dumps(row) + "\n" for row in content))
    inputs = names(tmp_path)
    done = glossrank(*QUESTIONS, "-b", base, *LISTWISE, *arguments)
    assert message in refused(done)
    assert names(tmp_path) == inputs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--recipe", "cards"), "'cards' is not one of"),
        (("--guard-seeds", "-1"), "--guard-seeds"),
        (("--guard-seeds", "few"), "--guard-seeds"),
    ],
)
def test_an_option_that_is_wrong_is_refused(
    glossrank: Callable[..., Done],
    base: Path,
    tmp_path: Path,
    arguments: Sequence[str],
    message: str,
) -> None:
    write_pairs(tmp_path / "pairs.csv")
    done = glossrank("train", "pairs.csv", "-o", "model", "-b", base, *arguments)
    assert (done.code, done.stdout) == (2, ""), done
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert names(tmp_path) == ["pairs.csv"]


@pytest.mark.parametrize("recipe", ["card", "fast"])
def test_recipes_for_pairs_take_no_questions(
    glossrank: Callable[..., Done], base: Path, tmp_path: Path, recipe: str
) -> None:
    write_questions(tmp_path)
    inputs = names(tmp_path)
    done = glossrank("train", "questions.jsonl", "-o", "model", "-b", base, "--recipe", recipe)
    assert "sentence_0" in refused(done)
    assert names(tmp_path) == inputs


def test_the_fast_recipe_goes_on_after_a_stop_and_says_what_it_is(
    glossrank: Callable[..., Done], base: Path, tmp_path: Path
) -> None:
    write_pairs(tmp_path / "pairs.csv")
    train = ("train", "pairs.csv", "-o", "model", "-b", base, "--guard-seeds", "0", *FAST)
    command = [sys.executable, "-m", "glossrank", *map(str, train)]
    # So many epochs that it cannot end before it is stopped.
    endless = [*command, "--set", "num_train_epochs=10000"]
    with subprocess.Popen(endless, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "model.training" / "run.json").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    assert process.returncode == INTERRUPTED, stderr
    assert "--resume" in stderr.splitlines()[-1]
    assert "Traceback" not in stderr
    assert (tmp_path / "model.training" / "checkpoint.pt").exists()
    assert "another recipe" in refused(glossrank(*train, "--resume"))
    shutil.rmtree(tmp_path / "model.training")
    test = {"question": "what is our tax", "relevant": ["tax"]}
    (tmp_path / "test.jsonl").write_text(json.dumps(test) + "\n")
    (tmp_path / "one.csv").write_text("id,term,definition\ntax,tax,paid by customers\n")
    done = glossrank(*train, "--test", "test.jsonl", "--glossary", "one.csv")
    assert done.code == 0, done
    card = (tmp_path / "model" / "README.md").read_text()
    assert "recipe `fast`" in card
    assert "Test file `test.jsonl`: 1 questions" in card


def test_a_teacher_needs_the_listwise_recipe(
    glossrank: Callable[..., Done], base: Path, tmp_path: Path
) -> None:
    write_pairs(tmp_path / "pairs.csv")
    (tmp_path / "teacher.jsonl").write_text(json.dumps(GROUP) + "\n")
    inputs = names(tmp_path)
    train = ("train", "pairs.csv", "-o", "model", "-b", base, "--teacher", "teacher.jsonl")
    assert "Add --recipe finance-terms" in refused(glossrank(*train))
    assert "the recipe fast, which has no teacher" in refused(glossrank(*train, "--recipe", "fast"))
    assert names(tmp_path) == inputs


def test_an_output_that_is_there_is_refused_before_the_check(
    glossrank: Callable[..., Done], base: Path, tmp_path: Path
) -> None:
    write_pairs(tmp_path / "pairs.csv")
    done = glossrank("train", "pairs.csv", "-o", tmp_path, "-b", base)
    assert done.code == 2
    assert "does not exist yet" in done.stderr.splitlines()[-1]
    assert not tmp_path.with_name(f"{tmp_path.name}.guard").exists()
    assert names(tmp_path) == ["pairs.csv"]
