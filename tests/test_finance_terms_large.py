"""finance-terms-large is what was asked for, and its checker notices when it is not."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
# The scripts are no package; mypy finds them by mypy_path.
sys.path.insert(0, str(ROOT / "scripts"))

import check_finance_terms as checker  # noqa: E402

README = checker.FOLDER / "README.md"
# Every file of the set that the checker reads.
FILES = ("*.csv", "*.jsonl")


@pytest.fixture(scope="module")
def data() -> checker.DataSet:
    return checker.load(checker.FOLDER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy to plant faults in."""
    for pattern in FILES:
        for file in checker.FOLDER.glob(pattern):
            shutil.copy(file, tmp_path)
    return tmp_path


def change(file: Path, line: int, **values: Any) -> None:
    """Overwrite values of one record, given by its 1-based line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[line - 1] = json.dumps({**json.loads(lines[line - 1]), **values})
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def record(file: Path, line: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8").splitlines()[line - 1])
    return found


def failing(checks: list[checker.Check]) -> dict[str, tuple[str, ...]]:
    return {check.requirement: check.faults for check in checks if check.ok is False}


@pytest.mark.parametrize("measure", checker.CHECKS, ids=lambda measure: measure.__name__)
def test_the_data_set_is_what_was_asked_for(
    data: checker.DataSet, measure: Callable[[checker.DataSet], list[checker.Check]]
) -> None:
    checks = measure(data)
    assert checks
    assert failing(checks) == {}


def test_the_readme_states_what_is_measured(data: checker.DataSet) -> None:
    table = checker.markdown([check for measure in checker.CHECKS for check in measure(data)])
    assert table in README.read_text(encoding="utf-8")


def test_a_test_term_in_a_training_question_fails(folder: Path) -> None:
    # A further right answer is as bad as the first one.
    known = record(folder / "train.jsonl", 3)["relevant"]
    change(folder / "train.jsonl", 3, relevant=[*known, "factoring-of-receivables"])
    faults = failing(checker.ids(checker.load(folder)))
    assert list(faults) == ["dev and test terms in training pairs"]
    (fault,) = faults["dev and test terms in training pairs"]
    assert fault.startswith("train.jsonl:3: 'factoring-of-receivables' is of test")


def test_a_question_in_two_splits_fails_whatever_its_case(folder: Path) -> None:
    question = record(folder / "test.jsonl", 5)["question"]
    change(folder / "train.jsonl", 7, question=question.upper().rstrip("?") + " !")
    faults = failing(checker.across(checker.load(folder)))
    assert len(faults) == 2
    for (fault,) in faults.values():
        assert "train.jsonl:7" in fault
        assert "test.jsonl:5" in fault


def test_a_question_with_one_word_changed_in_another_split_fails(folder: Path) -> None:
    words = record(folder / "unanswerable-dev.jsonl", 4)["question"].split()
    change(folder / "test.jsonl", 2, question=" ".join([*words, "please"]))
    faults = failing(checker.across(checker.load(folder)))
    (near,) = faults.values()
    assert len(near) == 1
    assert near[0].startswith("unanswerable-dev.jsonl:4 and test.jsonl:2")


@pytest.mark.parametrize("length", [29, 121])
def test_a_question_of_the_wrong_length_fails(folder: Path, length: int) -> None:
    change(folder / "dev.jsonl", 9, question="w" * length)
    faults = failing(checker.lengths(checker.load(folder)))
    assert [f.split(": ")[0] for f in faults["length of questions, dev"]] == ["dev.jsonl:9"]


def test_an_auxiliary_term_named_as_a_test_term_fails(folder: Path) -> None:
    for first, _ in checker.AUXILIARY.values():
        file = folder / first
        text = file.read_text(encoding="utf-8")
        assert "Process Costing" in text
        file.write_text(text.replace("Process Costing", "Factored Receivable"), encoding="utf-8")
    faults = failing(checker.auxiliary(checker.load(folder)))
    (fault,) = faults["auxiliary terms named as a dev or test term"]
    assert fault == "x-process-costing: the name of factoring-of-receivables (test)"


def test_an_auxiliary_term_in_both_files_fails(folder: Path) -> None:
    row = (folder / "auxiliary-long.csv").read_text(encoding="utf-8").splitlines()[1]
    with (folder / "auxiliary-2-long.csv").open("a", encoding="utf-8") as file:
        file.write(row + "\n")
    faults = failing(checker.auxiliary(checker.load(folder)))
    (fault,) = faults["auxiliary terms named as a dev or test term"]
    assert fault == "x-process-costing: 2 times in auxiliary, long"


def test_a_fault_in_the_second_training_file_is_found_there(folder: Path) -> None:
    change(folder / "train-2.jsonl", 4, relevant=["factoring-of-receivables"])
    faults = failing(checker.ids(checker.load(folder)))
    assert any(
        f.startswith("train-2.jsonl:4: 'factoring-of-receivables' is of test")
        for fault in faults.values()
        for f in fault
    )


def test_an_unknown_id_fails_by_file_and_line(folder: Path) -> None:
    change(folder / "dev.jsonl", 1, relevant=["finished-good"])
    faults = failing(checker.ids(checker.load(folder)))
    assert faults["ids under 'relevant'"] == ("dev.jsonl:1: no term has the id 'finished-good'",)


def test_the_exit_code_says_whether_a_requirement_fails(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checker.main([str(folder)]) == 0
    change(folder / "dev.jsonl", 9, question="What is it?")
    assert checker.main([str(folder)]) == 1
    assert "dev.jsonl:9: 11 characters: What is it?" in capsys.readouterr().out
    (folder / "test.jsonl").write_text('{"question": "Why?"}\n', encoding="utf-8")
    assert checker.main([str(folder)]) == 2
    assert "test.jsonl:1: expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("payable", "payments", True),
        ("depreciation", "depreciates", True),
        ("capitalisation", "capitalized", True),
        ("paid", "paying", True),
        ("inventories", "inventory", True),
        ("losses", "loss", True),
        ("profit", "profitability", True),
        ("cost", "coast", False),
        ("asset", "assess", False),
    ],
)
def test_stems_join_the_forms_of_a_word(one: str, other: str, same: bool) -> None:
    assert (checker.stem(one) == checker.stem(other)) is same


def test_an_acronym_in_brackets_is_a_word_of_the_name() -> None:
    assert "dso" in checker.stems("Days Sales Outstanding (DSO)")
    assert checker.names("Value at Risk (VaR)") & checker.names("VaR")
    assert checker.names("Green Shoe Option") & checker.names("Greenshoe Option")
    assert checker.names("Will") == {frozenset(["will"])}
