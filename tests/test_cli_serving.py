"""The commands around the server that do not serve: options, pairs from-verdicts, retrain."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glossrank.cli.serving import named_sources, read_tokens
from glossrank.cli.verdicts import _told
from glossrank.errors import InputError
from glossrank.evaluation import PairedDifference
from glossrank.judgments import read_pairs
from glossrank.training.guard import SAME, GuardResult
from glossrank.verdicts.models import ModelHistory
from glossrank.verdicts.store import Verdict, VerdictStore

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import loop  # noqa: E402


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glossrank", *arguments], capture_output=True, text=True, check=False
    )


def judged(data: Path) -> None:
    store = VerdictStore(f"sqlite:///{data / 'verdicts.sqlite'}")
    for number in range(3):
        store.add(
            Verdict(
                glossary="shop", fingerprint="f", model="m", question=f"question {number}",
                verdict="right", term_id="churn", shown=[{"id": "mrr"}, {"id": "churn"}],
            )
        )  # fmt: skip
    store.close()
    (data / "glossaries").mkdir()
    (data / "glossaries" / "shop.csv").write_text(
        "id,term,definition\nchurn,Churn,Customers who leave.\nmrr,MRR,Recurring revenue.\n"
    )


def test_glossaries_by_name() -> None:
    assert named_sources(None) == {"finance-terms": None}
    assert named_sources(["a=b.csv", "c=d=e"]) == {"a": "b.csv", "c": "d=e"}
    with pytest.raises(InputError, match="NAME=SOURCE"):
        named_sources(["b.csv"])


def test_tokens_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("\n one-token \n\nanother\n")
    assert read_tokens(file) == ("one-token", "another")
    file.write_text("\n")
    with pytest.raises(InputError, match="a token in each line"):
        read_tokens(file)
    with pytest.raises(InputError, match="can be read"):
        read_tokens(tmp_path / "none")


def test_pairs_from_verdicts(tmp_path: Path) -> None:
    judged(tmp_path)
    done = run(
        "pairs",
        "from-verdicts",
        "-g",
        "shop",
        "--data",
        str(tmp_path),
        "-o",
        str(tmp_path / "p.csv"),
    )
    assert done.returncode == 0, done.stderr
    pairs = read_pairs(tmp_path / "p.csv")
    assert [pair.label for pair in pairs] == [1.0, 0.0] * 3
    assert "3 questions, 6 pairs" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("retrain", "-g", "finance-terms"), "expected verdicts on the glossary"),
        (("retrain", "--rollback"), "nothing to take back"),
        (("retrain", "--database", "postgresql://somebody@127.0.0.1:1/x"), "somebody@127.0.0.1"),
        (("pairs", "from-verdicts", "-o", "p.csv", "-g", "../x"), "expected"),
        (("serve", "--glossary", "x"), "NAME=SOURCE"),
        (("serve", "--glossary", "X=terms.csv"), "small letters"),
        (("serve", "--token-file", "none"), "can be read"),
        (("serve", "--database", "nonsense"), "database URL"),
        (("serve", "--model", "no-such-model"), "no-such-model"),
    ],
)
def test_what_cannot_be_done_is_told(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = run(*arguments, "--data", str(tmp_path))
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, "--data", str(tmp_path))
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "address already in use" in done.stderr.lower()


# ---- retrain


@pytest.mark.parametrize("options", [("-g", "shop"), ("--rollback",)])
def test_a_second_retrain_leaves_the_first_alone(tmp_path: Path, options: tuple[str, ...]) -> None:
    judged(tmp_path)
    history = ModelHistory(tmp_path / "models")
    with history.locked():
        # What the first one works in.
        (history.folder / "next.guard").mkdir()
        done = run("retrain", "--data", str(tmp_path), *options)
        assert (history.folder / "next.guard").is_dir()
    assert done.returncode == 2
    assert "Wait until it has ended" in done.stderr


def test_a_check_of_too_few_questions_is_told_as_such() -> None:
    difference = PairedDifference(difference=0.0, low=-0.1, high=0.1, p_value=1.0)
    facts: dict[str, Any] = {
        "verdict": SAME, "seeds": 3, "questions": 4, "base": 0.5, "trained": 0.5, "own": None,
        "new_terms": None, "new_questions": None, "reference": difference,
        "shown_logits": np.zeros((0, 0), np.float32), "shown_right": np.zeros((0, 0), bool),
        "asked": 4, "unanswerable": 0,
    }  # fmt: skip
    told = _told(GuardResult(**facts))
    assert "too few questions to check (4 held out)" in told
    assert "on the shipped finance questions only" in told
    assert _told(GuardResult(**{**facts, "own": difference})) == SAME


def test_what_retrain_compares_is_in_its_help() -> None:
    words = " ".join(run("retrain", "--help").stdout.split())
    assert "does not compare with the model in use" in words


# ---- benchmarks/loop.py


def test_a_server_that_never_answers_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(_: list[str], **options: Any) -> subprocess.Popen[bytes]:
        script = "import sys, time; print('odd', file=sys.stderr, flush=True); time.sleep(99)"
        started.append(popen([sys.executable, "-c", script], **options))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(loop, "WAIT", 2.0)
    with pytest.raises(SystemExit, match=r"waited in vain.*\nodd"):
        loop.Server(tmp_path)
    assert started[0].returncode is not None


def test_a_folder_to_keep_must_be_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["loop.py", "--keep", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        loop.main()
    assert end.value.code == 2
    assert "not there yet" in capsys.readouterr().err


def test_questions_come_in_one_order_that_is_not_the_file_s() -> None:
    questions = loop.shuffled_questions()
    assert questions == loop.shuffled_questions()
    in_file = [json.loads(line) for line in loop.QUESTIONS.read_text().splitlines()]
    assert questions != in_file
    assert sorted(map(str, questions)) == sorted(map(str, in_file))
