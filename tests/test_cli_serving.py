"""The commands around the server that do not serve: options, pairs from-verdicts, retrain."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glossrank.cli.serving import named_sources, read_tokens
from glossrank.errors import InputError
from glossrank.judgments import read_pairs
from glossrank.verdicts.store import Verdict, VerdictStore


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
