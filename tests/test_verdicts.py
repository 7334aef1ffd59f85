"""Verdicts in both databases, pairs of them, and the models that come out of them."""

from __future__ import annotations

import csv
import json
import logging
import random
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from glossrank import Glossary, Term
from glossrank.errors import InputError, OutputError
from glossrank.judgments import read_pairs
from glossrank.verdicts.models import ModelHistory
from glossrank.verdicts.pairs import MOST_NEGATIVES, judgments_of, write_pairs
from glossrank.verdicts.store import StoreError, Verdict, VerdictKind, VerdictStore, _waiting
from tests.postgresql import Cluster

GLOSSARY = Glossary(
    "shop", tuple(Term(name, name.upper(), f"What {name} is.") for name in "abcdefghijkl")
)
WRITER = """
import sys
from glossrank.verdicts.store import Verdict, VerdictStore
store = VerdictStore(sys.argv[1])
number = 0
while True:
    number += 1
    store.add(Verdict(glossary=sys.argv[2], fingerprint="f", model="m", question=str(number),
                      verdict="none", term_id=None))
    print(number, flush=True)
"""


def verdict(
    question: str = "what?", kind: VerdictKind = "right", term: str | None = "a", shown: str = ""
) -> Verdict:
    return Verdict(
        glossary="shop",
        fingerprint="f" * 64,
        model="m" * 64,
        question=question,
        verdict=kind,
        term_id=term,
        shown=[{"id": name, "probability": 0.5} for name in shown],
        person="ann",
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'sub' / 'verdicts.sqlite'}"
    cluster: Cluster = request.getfixturevalue("cluster")
    name = f"v{abs(hash(request.node.name)) % 10**9}"
    cluster.run(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    return cluster.url(name=name)


def test_what_is_stored_is_read(url: str) -> None:
    store = VerdictStore(url)
    kept = [verdict("who owes us?", shown="ab"), verdict("naïve 😀 \" '; --", "none", None)]
    for one in kept:
        assert store.add(one).new
        assert not store.add(one).new
    store.close()
    again = VerdictStore(url)
    assert again.read() == kept
    assert again.read(limit=1) == kept[1:]
    assert again.read(glossary="other") == []
    assert again.delete(person="bob") == 0
    assert again.delete(person="ann") == 2
    assert again.read() == []
    again.close()


def test_verdicts_since_a_time_and_without_what_was_shown(url: str) -> None:
    store = VerdictStore(url)
    now = datetime.now(timezone.utc)
    kinds: list[tuple[VerdictKind, str | None]] = [("right", "a"), ("wrong", "a"), ("none", None)]
    for days, (kind, term) in zip((3, 2, 1), kinds, strict=True):
        store.add(
            replace(verdict(kind, kind, term, shown="ab"), created=now - timedelta(days=days))
        )
    # The same moment on another clock.
    at = (now - timedelta(days=2)).astimezone(timezone(timedelta(hours=9)))
    assert [one.question for one in store.read(since=at)] == ["wrong", "none"]
    assert store.read(since=now) == []
    found = store.read(shown_of="right")
    assert [[s["id"] for s in one.shown] for one in found] == [["a", "b"], [], []]
    store.close()


def files_with(text: str, folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if text.encode() in file.read_bytes()]


def test_what_is_deleted_is_in_no_file(tmp_path: Path) -> None:
    rng = random.Random(1)
    store = VerdictStore(f"sqlite:///{tmp_path / 'v.sqlite'}")
    for number in range(300):
        # Of many lengths, so that pages divide and some texts have pages of their own.
        who = rng.choice(["ann-s-secret", "bob-s-text"])
        question = f"{who} {number} " + "x" * rng.randint(0, 9_000)
        store.add(replace(verdict(question, shown="ab" * rng.randint(0, 9)), person=who))
    assert files_with("ann-s-secret", tmp_path)
    assert store.delete(person="ann-s-secret") > 100
    # The store is open still: there is a log.
    assert (tmp_path / "v.sqlite-wal").exists()
    assert files_with("ann-s-secret", tmp_path) == []
    assert files_with("bob-s-text", tmp_path) == ["v.sqlite"]
    store.close()


def test_a_log_that_others_use_does_not_fail_a_deletion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("glossrank.verdicts.store._EMPTYING_SECONDS", 0.1)
    store = VerdictStore(f"sqlite:///{tmp_path / 'v.sqlite'}")
    store.add(verdict("a secret"))
    with closing(sqlite3.connect(tmp_path / "v.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM verdicts").fetchone()
        with caplog.at_level(logging.WARNING, "glossrank.verdicts"):
            assert store.delete(person="ann") == 1
    assert "others use it" in caplog.text
    assert store.delete(person="ann") == 0
    assert files_with("a secret", tmp_path) == []
    store.close()


def test_many_write_at_once(url: str) -> None:
    store = VerdictStore(url)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: store.add(verdict(str(number))), range(200)))
    assert sorted(int(one.question) for one in store.read()) == list(range(200))
    store.close()


def test_a_killed_writer_loses_nothing_it_has_acknowledged(url: str) -> None:
    for round_ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, f"r{round_}"], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(10 + 7 * round_)]
        writer.kill()
        acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
        writer.wait()
        writer.stdout.close()
        store = VerdictStore(url)
        found = {int(one.question) for one in store.read(glossary=f"r{round_}")}
        store.close()
        assert found >= set(acknowledged)


def test_nul_in_a_text_is_refused(url: str) -> None:
    store = VerdictStore(url)
    with pytest.raises(InputError, match="without NUL"):
        store.add(verdict("a\0b"))
    for look in (lambda: store.read(glossary="a\0b"), lambda: store.delete(person="a\0b")):
        with pytest.raises(InputError, match="without NUL"):
            look()
    assert store.read() == []
    store.close()


def test_one_id_sent_by_many_at_once_is_stored_once(url: str) -> None:
    store = VerdictStore(url)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            one = verdict()
            sent = [pool.submit(store.add, one) for _ in range(8)]
            assert sum(done.result().new for done in sent) == 1
    assert len(store.read()) == 20
    store.close()


def test_nothing_is_acknowledged_into_a_file_that_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "v.sqlite"
    store = VerdictStore(f"sqlite:///{file}")
    store.add(verdict())
    file.rename(tmp_path / "away")
    with pytest.raises(OutputError, match="Put it back"):
        store.add(verdict())
    assert not file.exists()
    (tmp_path / "away").rename(file)
    store.add(verdict())
    assert len(store.read()) == 2
    store.close()


def test_a_file_that_replaces_another_is_used(tmp_path: Path) -> None:
    for name, count in (("a", 1), ("b", 2)):
        made = VerdictStore(f"sqlite:///{tmp_path / name}")
        for _ in range(count):
            made.add(verdict())
        made.close()
    store = VerdictStore(f"sqlite:///{tmp_path / 'a'}")
    assert len(store.read()) == 1
    (tmp_path / "b").replace(tmp_path / "a")
    assert len(store.read()) == 2
    store.close()


@pytest.mark.parametrize(
    "bad", ["nonsense", "oracle://u:secret@h/d", "sqlite:////proc/nowhere/v.sqlite"]
)
def test_databases_that_cannot_be_used(bad: str) -> None:
    with pytest.raises((InputError, OutputError)) as error:
        VerdictStore(bad)
    assert "secret" not in str(error.value)


def test_a_database_that_is_gone_is_told_and_back_is_used(tmp_path: Path) -> None:
    store = VerdictStore(f"sqlite:///{tmp_path / 'v.sqlite'}")
    holder = sqlite3.connect(tmp_path / "v.sqlite", isolation_level=None)
    holder.execute("DROP TABLE verdicts")
    with pytest.raises(OutputError, match="no such table"):
        store.add(verdict())
    holder.close()
    store.close()


def test_an_error_names_the_database_in_its_message_only(tmp_path: Path) -> None:
    store = VerdictStore(f"sqlite:///{tmp_path / 'v.sqlite'}")
    (tmp_path / "v.sqlite").rename(tmp_path / "away")
    with pytest.raises(OutputError) as gone:
        store.read()
    with pytest.raises(OutputError) as unreachable:
        VerdictStore("postgresql://somebody:secret@127.0.0.1:1/somewhere")
    for error, words in (
        (gone.value, ("v.sqlite", str(tmp_path))),
        (unreachable.value, ("somebody", "127.0.0.1", "somewhere")),
    ):
        told = f"{error.expected} {error.found} {error.fix}"
        assert all(word in str(error) for word in words)
        assert not any(word in told for word in words)
        assert "secret" not in str(error)
    assert "efused" in str(unreachable.value)
    store.close()


def test_an_error_has_no_user_of_a_database_that_refuses(cluster: Cluster) -> None:
    with pytest.raises(StoreError) as error:
        VerdictStore(cluster.url(user="nobody-here"))
    assert 'user "nobody-here"' in str(error.value)
    assert "nobody-here" not in f"{error.value.expected} {error.value.found} {error.value.fix}"


def test_a_statement_of_postgresql_does_not_take_for_ever(cluster: Cluster) -> None:
    cluster.run("DROP DATABASE IF EXISTS slow", "CREATE DATABASE slow")
    url = cluster.url(name="slow")
    usual, quick = VerdictStore(url), VerdictStore(f"{url}?options=-c%20statement_timeout%3D300")
    with usual._talking() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "15s"
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE verdicts")
        with pytest.raises(StoreError, match="statement timeout"):
            quick.add(verdict())
    assert quick.add(verdict()).new
    usual.close()
    quick.close()


def test_what_a_connection_to_postgresql_waits_for() -> None:
    options = _waiting(sa.make_url("postgresql://h/d?keepalives_idle=60"))
    assert options["connect_args"]["tcp_user_timeout"] == 25_000
    assert options["connect_args"]["connect_timeout"] == 5
    assert "keepalives_idle" not in options["connect_args"]


# ---- pairs


def test_pairs_of_verdicts() -> None:
    made = judgments_of(
        [
            verdict("q1", "right", "b", shown="abcd"),
            verdict("q2", "none", None, shown="ab"),
            verdict("q3", "wrong", "c", shown="cd"),
            verdict("q3", "right", "gone", shown="cd"),
        ],
        GLOSSARY,
    )
    texts = dict(zip("abcdefghijkl", GLOSSARY.documents, strict=True))
    found = [(pair.question, pair.document, pair.label) for pair in made.pairs()]
    assert found == [
        ("q1", texts["b"], 1.0),
        ("q1", texts["a"], 0.0),
        ("q1", texts["c"], 0.0),
        ("q1", texts["d"], 0.0),
        ("q2", texts["a"], 0.0),
        ("q2", texts["b"], 0.0),
        ("q3", texts["c"], 0.0),
    ]
    assert (len(made.judged), made.gone) == (3, 1)


def test_examples_of_verdicts() -> None:
    made = judgments_of(
        [
            verdict("q1", "right", "b", shown="abc"),
            verdict("q2", "none", None, shown="ab"),
            # Wrong alone does not say what is right.
            verdict("q3", "wrong", "c", shown="cd"),
            verdict("q4", "none", None, shown="ab"),
            verdict("q4", "right", "d", shown="ab"),
        ],
        GLOSSARY,
    )
    data = made.training_set()
    assert [c.id for c in data.candidates] == list("abcdefghijkl")
    assert [(e.question, e.right, e.wrong) for e in data.examples] == [
        ("q1", (1,), (0, 2)),
        ("q2", (), (0, 1)),
        ("q4", (3,), (0, 1)),
    ]


def test_the_later_verdict_counts_and_negatives_are_few() -> None:
    made = judgments_of(
        [
            verdict("q", "right", "a", shown="abcdefghijkl"),
            verdict("q", "wrong", "a"),
            verdict("q"),
        ],
        GLOSSARY,
    )
    labels = [pair.label for pair in made.pairs()]
    assert labels == [1.0] + [0.0] * MOST_NEGATIVES


def test_written_pairs_are_read_by_training_and_run_nothing(tmp_path: Path) -> None:
    made = judgments_of([verdict("=cmd|' /C calc'!A0", shown="ab")], GLOSSARY)
    for name in ("pairs.csv", "pairs.jsonl"):
        write_pairs(made.pairs(), tmp_path / name)
        assert len(read_pairs(tmp_path / name)) == 2
    with (tmp_path / "pairs.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    returns = judgments_of([verdict("a\r=1+1"), verdict("\r=1+1")], GLOSSARY)
    write_pairs(returns.pairs(), tmp_path / "returns.csv")
    with (tmp_path / "returns.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)][1:] == ["a\r=1+1", "'\r=1+1"]
    first = json.loads((tmp_path / "pairs.jsonl").read_text().splitlines()[0])
    assert first["sentence_0"] == "=cmd|' /C calc'!A0"
    with pytest.raises(InputError, match=r"\.csv or \.jsonl"):
        write_pairs(made.pairs(), tmp_path / "pairs.txt")


# ---- models


def new_model(history: ModelHistory, content: str) -> Path:
    folder = history.folder / "next"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(content)
    return history.take_in(folder)


def test_models_follow_each_other_and_are_taken_back(tmp_path: Path) -> None:
    history = ModelHistory(tmp_path / "models")
    assert history.current is None
    with pytest.raises(InputError, match="nothing to take back"):
        history.take_back()
    first, second = new_model(history, "1"), new_model(history, "2")
    assert (first.name, second.name) == ("0001", "0002")
    assert ModelHistory(tmp_path / "models").current == second
    assert history.take_back() == first
    assert (second / "config.json").read_text() == "2"
    # A number is not given twice, so that nothing is overwritten.
    assert new_model(history, "3").name == "0003"
    assert history.take_back() == first
    assert history.take_back() is None
    assert history.current is None


@pytest.mark.parametrize("content", ["{", "{}", "[1]", '["../x"]', '["0009"]'])
def test_a_broken_list_of_models_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "used.json").write_text(content)
    with pytest.raises(InputError, match=r"used\.json"):
        _ = ModelHistory(tmp_path).current


def test_one_command_at_a_time_changes_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = ModelHistory(tmp_path / "models")
    with history.locked():
        with pytest.raises(InputError, match="Wait until"), ModelHistory(history.folder).locked():
            pass
        # Neither does the refused one free it.
        with pytest.raises(InputError, match="Wait until"), history.locked():
            pass
        # A system that has no such locks.
        monkeypatch.setitem(sys.modules, "fcntl", None)
        with history.locked():
            pass
        monkeypatch.undo()
    with history.locked():
        assert new_model(history, "1").name == "0001"


def test_a_folder_that_cannot_be_locked_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError), ModelHistory(tmp_path / "file" / "models").locked():
        pass
