"""Kills, full disks and databases that go away: what becomes of verdicts."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from tests.postgresql import Cluster

from fault_injection.outcomes import Outcomes
from fault_injection.process import VERDICT, Answer, Neighbour, Server, launch, serving, wait

CLIENTS = 8
GLOSSARY = b"term,definition\nChurn,Customers who leave.\n"
# As root no permission stops a process, unless it gives up that right.
WITHOUT_ROOTS_RIGHTS = (
    "setpriv", "--inh-caps=-dac_override,-dac_read_search",
    "--bounding-set=-dac_override,-dac_read_search",
)  # fmt: skip


class Store:
    """A database as seen past the server."""

    def __init__(self, data: Path, cluster: Cluster | None) -> None:
        self.data = data
        self.kind = "SQLite" if cluster is None else "PostgreSQL"
        self._cluster = cluster
        self.name = f"faults_{uuid.uuid4().hex[:8]}"
        self.options: tuple[str, ...] = ()
        if cluster is not None:
            cluster.run(f"CREATE DATABASE {self.name}")
            self.options = ("--database", cluster.url(name=self.name))

    def ids(self) -> set[str]:
        query = "SELECT id FROM verdicts"
        if self._cluster is None:
            with closing(sqlite3.connect(self.data / "verdicts.sqlite")) as connection:
                return {row[0] for row in connection.execute(query)}
        with psycopg.connect(self._cluster.url(name=self.name)) as found:
            return {row[0] for row in found.execute(query)}

    def check(self) -> str:
        """ "ok", or what is broken; of PostgreSQL that all rows and both indexes can be read."""
        if self._cluster is None:
            with closing(sqlite3.connect(self.data / "verdicts.sqlite")) as connection:
                return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
        with psycopg.connect(self._cluster.url(name=self.name), autocommit=True) as found:
            found.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
            found.execute(
                "SELECT bt_index_check(indexrelid, true) FROM pg_index"
                " WHERE indrelid = 'verdicts'::regclass"
            )
        return "ok"


def judge(port: int, acknowledged: list[str], end: threading.Event) -> None:
    """Send verdicts until the server is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps(VERDICT)
    while not end.is_set():
        try:
            connection.request("POST", "/v1/verdicts", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            break
        if answer.status == 201:
            acknowledged.append(json.loads(content)["id"])
    connection.close()


@contextmanager
def judging(server: Server, acknowledged: list[str]) -> Iterator[None]:
    """Clients that send verdicts during the block and at most until the server is gone."""
    end = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(CLIENTS):
            pool.submit(judge, server.port, acknowledged, end)
        try:
            yield
        finally:
            end.set()


def kills(folder: Path, outcomes: Outcomes, cluster: Cluster | None, rounds: int) -> None:
    """SIGKILL at a random moment of each round, then a start on the same data."""
    store = Store(folder / "killed", cluster)
    draw = random.Random(5)
    acknowledged: list[str] = []
    lost: set[str] = set()
    broken: list[str] = []
    counts = []
    for number in range(rounds):
        with serving(store.data, *store.options, log=folder / "killed.log") as server:
            # Started on what the kill before has left.
            lost |= set(acknowledged) - store.ids()
            state = store.check()
            broken += [state] if state != "ok" else []
            known = len(acknowledged)
            with judging(server, acknowledged):
                while len(acknowledged) == known:
                    time.sleep(0.002)
                time.sleep(draw.uniform(0, 0.5))
                server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            counts.append(len(acknowledged) - known)
        if number % 10 == 9:
            print(f"     {store.kind}, round {number + 1}: {len(acknowledged)} acknowledged, {len(lost)} lost", file=sys.stderr, flush=True)  # fmt: skip
    with serving(store.data, *store.options, log=folder / "killed.log") as server:
        stored = store.ids()
        lost |= set(acknowledged) - stored
        state = store.check()
        trouble = server.trouble()
    found = (
        f"{rounds} kills, {len(acknowledged)} verdicts acknowledged ({min(counts)} to {max(counts)} a"
        f" round), {len(lost)} lost, {len(stored) - len(acknowledged)} stored whose answer the kill"
        f" cut off; integrity check failed {len(broken)} times {broken[:1] or ''}{trouble}"
    )
    good = not lost and not broken and state == "ok" and not trouble
    outcomes.add(f"SIGKILL under {CLIENTS} writers, {store.kind}", found, good)


def postgresql_away(folder: Path, outcomes: Outcomes, cluster: Cluster) -> None:
    """Stopped in both modes while clients write, and started again."""
    store = Store(folder / "away", cluster)
    acknowledged: list[str] = []
    with serving(store.data, *store.options, log=folder / "away.log") as server:
        for mode in ("fast", "immediate"):
            with judging(server, acknowledged):
                _until_many(acknowledged)
                cluster.stop(mode)
                try:
                    away = _while_away(server)
                finally:
                    cluster.start()
                start = time.monotonic()
                back = _until_stored(server)
            seconds = time.monotonic() - start
            acknowledged.append(back.json["id"] if back.status == 201 else "none")
            lost = set(acknowledged) - store.ids()
            good = all(a.status == 503 and b"expected" in a.content for a in away)
            trouble = server.trouble()
            found = f"{away[0]}; after its return 201 within {seconds:.1f} s, {len(acknowledged)} acknowledged, {len(lost)} lost {trouble}"  # fmt: skip
            outcomes.add(f"PostgreSQL stopped ({mode}) under writers, and started", found, good and not lost and back.status == 201 and not trouble)  # fmt: skip


def _while_away(server: Server) -> list[Answer]:
    """What routes about verdicts answer; everything else must go on."""
    trouble = server.trouble()
    if trouble:
        return [Answer(0, trouble.encode())]
    return [
        server.call("/v1/verdicts", VERDICT),
        server.call("/v1/verdicts"),
        server.call("/v1/verdicts/quality"),
        server.send("DELETE", "/v1/verdicts?person=a"),
    ]


def _until_many(acknowledged: list[str], count: int = 50) -> None:
    """Until so many more are there."""
    known = len(acknowledged)
    end = time.monotonic() + 30
    while len(acknowledged) < known + count and time.monotonic() < end:
        time.sleep(0.01)


def _until_stored(server: Server, seconds: float = 30.0) -> Answer:
    end = time.monotonic() + seconds
    while True:
        answer = server.call("/v1/verdicts", VERDICT)
        if answer.status == 201 or time.monotonic() > end:
            return answer
        time.sleep(0.1)


def postgresql_hangs(folder: Path, outcomes: Outcomes, cluster: Cluster) -> None:
    """All of its processes are stopped (SIGSTOP): connections stay open, nothing answers."""
    store = Store(folder / "hangs", cluster)
    acknowledged: list[str] = []
    with serving(store.data, *store.options, log=folder / "hangs.log") as server:
        server.call("/v1/verdicts", VERDICT)
        pids = _processes(cluster)
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            with ThreadPoolExecutor(40) as pool:
                # More than the server has threads for them.
                asked = [pool.submit(server.call, "/v1/verdicts", VERDICT) for _ in range(40)]
                time.sleep(1)
                with Neighbour(server) as neighbour:
                    answers = [one.result() for one in asked]
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        back = _until_stored(server)
        acknowledged += [a.json["id"] for a in answers if a.status == 201]
        trouble = server.trouble()
        slowest = max(answer.seconds for answer in answers)
        found = f"{answers[0]} after at most {slowest:.1f} s; {neighbour}; afterwards {back.status} {trouble}"
        good = (
            {a.status for a in answers} <= {429, 503}
            and slowest < 30
            and neighbour.worst < 5
            and not neighbour.wrong
            and back.status == 201
            and not trouble
        )
        outcomes.add("PostgreSQL hangs (SIGSTOP) under 40 writers", found, good)


def _processes(cluster: Cluster) -> list[int]:
    """The postmaster last, so that it starts no new ones for those that stand still."""
    backends = [
        int(str(row[0]))
        for row in cluster.run("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    ]
    own = [pid for pid in backends if Path(f"/proc/{pid}").exists()]
    parent = int(
        Path(f"/proc/{own[0]}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[1]
    )
    return [parent, *own]


def postgresql_nul(folder: Path, outcomes: Outcomes, cluster: Cluster) -> None:
    """What PostgreSQL does not keep, SQLite does."""
    store = Store(folder / "nul", cluster)
    shown = {**VERDICT, "shown": [{"id": "a\0b"}]}
    with serving(store.data, *store.options, log=folder / "nul.log") as server:
        answers = [
            server.call("/v1/verdicts", {**VERDICT, "question": "a\0b"}),
            server.call("/v1/verdicts", {**VERDICT, "person": "a\0b"}),
            server.call("/v1/verdicts", shown),
            server.call("/v1/verdicts?glossary=a%00b"),
            server.call("/v1/verdicts/quality?glossary=a%00b"),
            server.send("DELETE", "/v1/verdicts?person=a%00b"),
            server.call("/v1/verdicts"),
        ]
        trouble = server.trouble()
    statuses = [answer.status for answer in answers]
    good = all(status < 500 and status for status in statuses) and not trouble
    outcomes.add("NUL in everything about verdicts, PostgreSQL", f"{statuses} {trouble}", good)


def one_id(folder: Path, outcomes: Outcomes, cluster: Cluster | None) -> None:
    """A verdict that clients send again while it is being stored."""
    store = Store(folder / "one-id", cluster)
    with serving(store.data, *store.options, log=folder / "one-id.log") as server:
        answers: list[Answer] = []
        for _ in range(50):
            body = {**VERDICT, "id": str(uuid.uuid4())}
            with ThreadPoolExecutor(CLIENTS) as pool:
                sent = [pool.submit(server.call, "/v1/verdicts", body) for _ in range(CLIENTS)]
                answers += [one.result() for one in sent]
        trouble = server.trouble()
        stored = len(store.ids())
    wrong = [answer for answer in answers if answer.status != 201]
    found = f"{len(answers) - len(wrong)} of {len(answers)} answered with 201, {stored} stored {wrong[0] if wrong else ''} {trouble}"  # fmt: skip
    outcomes.add(
        f"50 verdicts, each sent by {CLIENTS} clients at once under one id, {store.kind}",
        found, not wrong and stored == 50 and not trouble,
    )  # fmt: skip


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own; needs root."""
    place = folder / "disk"
    place.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], check=True
    )
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def disk_full(folder: Path, outcomes: Outcomes) -> None:
    """Filled up to the last byte under writers, then with room again."""
    with small_disk(folder, 8) as disk:
        store = Store(disk / "data", None)
        acknowledged: list[str] = []
        with serving(store.data, log=folder / "full.log", TMPDIR=str(disk)) as server:
            # Python looks for a folder for temporary files once.
            server.send("POST", "/v1/lint", GLOSSARY)
            with judging(server, acknowledged):
                _until_many(acknowledged)
                filler = disk / "filler"
                with filler.open("wb", buffering=0) as file:
                    fill(file)
                time.sleep(1)
            full = [server.call("/v1/verdicts", VERDICT) for _ in range(50)]
            acknowledged += [one.json["id"] for one in full if one.status == 201]
            answers = [one for one in full if one.status != 201]
            upload = server.send("PUT", "/v1/glossaries/shop", GLOSSARY)
            lint = server.send("POST", "/v1/lint", GLOSSARY)
            trouble = server.trouble()
            filler.unlink()
            back = _until_stored(server)
            again = server.send("PUT", "/v1/glossaries/shop", GLOSSARY)
            trouble += server.trouble()
            lost = set(acknowledged) - store.ids()
            state = store.check()
        clear = [
            a for a in (*answers, upload, lint) if a.status != 503 or b"expected" not in a.content
        ]
        found = f"{answers[-1] if answers else 'never refused'}; upload: {upload}; lint: {lint.status}; with room again {back.status} and {again.status}; {len(acknowledged)} acknowledged, {len(lost)} lost, integrity {state} {trouble}"  # fmt: skip
        good = bool(answers) and not clear and back.status == 201 and again.status == 200
        outcomes.add("the disk is full, and has room again (SQLite)", found, good and not lost and state == "ok" and not trouble)  # fmt: skip


def fill(file: Any) -> None:
    for size in (65536, 4096, 1):
        try:
            while True:
                file.write(b"\0" * size)
        except OSError:
            continue


def data_removed(folder: Path, outcomes: Outcomes) -> None:
    """The data folder is moved away, and put back."""
    store = Store(folder / "removed", None)
    away = folder / "elsewhere"
    acknowledged: list[str] = []
    with serving(store.data, log=folder / "removed.log") as server:
        with judging(server, acknowledged):
            _until_many(acknowledged)
        store.data.rename(away)
        answers = [server.call("/v1/verdicts", VERDICT), server.call("/v1/verdicts")]
        during = [a for a in answers if a.status != 503]
        trouble = server.trouble()
        shutil.rmtree(store.data, ignore_errors=True)
        away.rename(store.data)
        back = _until_stored(server)
        acknowledged.append(back.json["id"] if back.status == 201 else "none")
        lost = set(acknowledged) - store.ids()
        trouble += server.trouble()
        found = f"{answers[0]}; put back {back.status}, {len(lost)} lost {trouble}"
        outcomes.add("data folder moved away and back", found, not during and not lost and not trouble)  # fmt: skip
        shutil.rmtree(store.data)
        answers = [server.call("/v1/verdicts", VERDICT) for _ in range(3)]
        kept = store.ids() if (store.data / "verdicts.sqlite").exists() else set()
        gone = [a for a in answers if a.status == 201 and a.json["id"] not in kept]
        upload = server.send("PUT", "/v1/glossaries/shop", GLOSSARY)
        trouble = server.trouble()
        good = (
            not gone and {a.status for a in answers} <= {201, 503} and upload.status in (200, 503)
        )
        found = f"{answers[0]}; {len(gone)} acknowledged and lost; upload {upload.status} {trouble}"
        outcomes.add("data folder removed under the server", found, good and not trouble)


def read_only(folder: Path, outcomes: Outcomes) -> None:
    """Write permission is taken away under the server, and before its start."""
    store = Store(folder / "read-only", None)
    log = folder / "read-only.log"
    prefix = WITHOUT_ROOTS_RIGHTS if os.geteuid() == 0 else ()
    with serving(store.data, log=log, prefix=prefix) as server:
        server.call("/v1/verdicts", VERDICT)
        _permit(store.data, writing=False)
        with ThreadPoolExecutor(CLIENTS) as pool:
            sent = [pool.submit(server.call, "/v1/verdicts", VERDICT) for _ in range(50)]
            answers = [one.result() for one in sent]
        upload = server.send("PUT", "/v1/glossaries/shop", GLOSSARY)
        lost = {a.json["id"] for a in answers if a.status == 201} - store.ids()
        trouble = server.trouble()
        found = f"verdicts {sorted({a.status for a in answers})} (files that are open stay writable), {len(lost)} lost; upload: {upload} {trouble}"  # fmt: skip
        good = {a.status for a in answers} <= {201, 503} and upload.status == 503
        outcomes.add("data folder made read-only under the server", found, good and not lost and not trouble)  # fmt: skip
    with closing(sqlite3.connect(store.data / "verdicts.sqlite")) as connection:
        # The killed server's log, which SQLite reads though it cannot write.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _permit(store.data, writing=False)
    new = launch(store.data, log=folder / "start.log", prefix=prefix)
    try:
        code = new.process.wait(timeout=60)
    finally:
        new.process.kill()
        _permit(store.data, writing=True)
    said = new.log.read_text().strip()
    good = code not in (0, None) and "raceback" not in said and "expected" in said
    outcomes.add("start on a read-only data folder", f"exit code {code}: {said[-200:]}", good)


def _permit(folder: Path, *, writing: bool) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(
            (0o700 if writing else 0o500) if path.is_dir() else (0o600 if writing else 0o400)
        )


def two_servers(folder: Path, outcomes: Outcomes) -> None:
    """Both are started at once on one new SQLite file, then written to at once."""
    store = Store(folder / "two", None)
    acknowledged: list[str] = []
    servers = [launch(store.data, log=folder / f"two-{name}.log") for name in "ab"]
    try:
        for server in servers:
            wait(server)
        with judging(servers[0], acknowledged), judging(servers[1], acknowledged):
            time.sleep(5)
        trouble = "".join(server.trouble() for server in servers)
        lost = set(acknowledged) - store.ids()
        failed = sum(server.log.read_text().count('"status": 503') for server in servers)
        found = f"{len(acknowledged)} acknowledged in 5 s, {len(lost)} lost, {failed} refused with 503, integrity {store.check()} {trouble}"  # fmt: skip
        outcomes.add("two servers started and writing on one SQLite file at once", found, not lost and not failed and not trouble)  # fmt: skip
    except RuntimeError as error:
        outcomes.add("two servers started on one SQLite file at once", str(error), False)
    finally:
        for server in servers:
            server.process.kill()
            server.process.wait()


SQLITE: tuple[Callable[[Path, Outcomes], None], ...] = (
    disk_full, data_removed, read_only, two_servers,
)  # fmt: skip
POSTGRESQL: tuple[Callable[[Path, Outcomes, Cluster], None], ...] = (
    postgresql_nul, postgresql_away, postgresql_hangs,
)  # fmt: skip
