"""Measures contenders in turns, round by round, so that a drift of the machine meets all alike.

Whatever goes wrong with one contender is noted with it, and the others go on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.artifacts import Artifacts
from suite.contenders import REFERENCE, Contender
from suite.failures import PeerError
from suite.figures import EXACT_TOLERANCE, agreement
from suite.fresh import Fresh
from suite.results import Result
from suite.stream_file import StreamFile
from suite.workers import Launcher, Worker
from suite.workloads import Workload

TIMED = ("short", "one", "many", "long", "mixed")
COLD_START_ROUNDS = 5
# Thread pools spin for a moment after their last task; nobody's spinning may meet the next one.
_PAUSE = 0.3


class Measurement:
    """One run: the contenders' processes, and the result that grows.

    Args:
        contenders: who is measured.
        workloads: by key, with "check", see :mod:`suite.workloads`.
        result: filled in place.
        save: called after every round.
        scratch: where scores are handed over.
        reference: whose logits are right; it is loaded and compared with, asked for or not.
    """

    def __init__(
        self,
        contenders: tuple[Contender, ...],
        workloads: dict[str, Workload],
        *,
        launcher: Launcher,
        artifacts: Artifacts,
        result: Result,
        save: Callable[[], None],
        scratch: Path,
        reference: Contender = REFERENCE,
    ) -> None:
        self._reference = reference
        self._contenders = contenders
        self._workloads = workloads
        self._launcher = launcher
        self._artifacts = artifacts
        self._result = result
        self._save = save
        self._scratch = scratch
        self._workers: dict[str, Worker] = {}
        self._right: dict[str, NDArray[np.float32]] = {}
        scratch.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers.values():
            worker.stop()
        self._workers.clear()

    def prepare(self) -> None:
        """Install, export, load, and compare with the reference, contender by contender.

        Raises:
            PeerError: the reference itself fails, so nothing can be compared.
        """
        others = [c for c in self._contenders if c.key != self._reference.key]
        for contender in (self._reference, *others):
            entry = _entry(contender)
            self._result["contenders"][contender.key] = entry
            note(f"{contender.name}: install, load, compare")
            try:
                entry["versions"] = self._load(contender)
                self._compare(contender, entry)
            except PeerError as error:
                if contender.key == self._reference.key:
                    raise
                self._give_up(contender, str(error))
            self._save()
        if self._reference.key not in (c.key for c in self._contenders):
            # Not asked for: it has shown what is right, and may go.
            self._workers.pop(self._reference.key).stop()
            del self._result["contenders"][self._reference.key]

    def _load(self, contender: Contender) -> dict[str, str]:
        worker = self._launcher.start(contender)
        self._workers[contender.key] = worker
        try:
            versions: dict[str, str] = self._ask_load(worker, contender)["versions"]
        except PeerError as error:
            raise PeerError(f"load: {error}") from error
        return {k: v for k, v in versions.items() if v != "not installed"}

    def _ask_load(self, worker: Worker, contender: Contender) -> dict[str, Any]:
        model = self._artifacts.path(contender.model)
        return worker.ask("load", model=str(model), options=contender.options)

    def _compare(self, contender: Contender, entry: dict[str, Any]) -> None:
        workload = self._workloads["check"]
        _, scores = self._score(contender, workload)
        reference = self._right.setdefault("check", scores)
        sizes = [len(documents) for _, documents in workload.groups]
        try:
            found = agreement(scores, reference, sizes)
        except ValueError as error:
            raise PeerError(f"agreement: {error}") from error
        entry["agreement"] = found.as_dict()
        self._refuse_inexact(contender, found.largest)

    def _refuse_inexact(self, contender: Contender, largest: float) -> None:
        if contender.exact and not largest <= EXACT_TOLERANCE:
            raise PeerError(
                f"FAILED: claims fp32's logits, differs by up to {largest:.2g} from the reference"
            )

    def _score(self, contender: Contender, workload: Workload) -> tuple[float, Any]:
        file = self._scratch / "scores.npy"
        file.unlink(missing_ok=True)
        reply = self._workers[contender.key].ask(
            "score", groups=str(workload.file), scores=str(file)
        )
        return reply["seconds"], np.load(file)

    def _give_up(self, contender: Contender, reason: str) -> None:
        note(f"{contender.name}: {reason}")
        self._result["contenders"][contender.key]["failed"] = reason
        worker = self._workers.pop(contender.key, None)
        if worker is not None:
            worker.stop()

    def rounds(self, keys: list[str], rounds: int | None) -> None:
        """All rounds of the given workloads; ``rounds`` instead of each workload's own number."""
        actions: dict[str, tuple[int, Callable[[Contender], None]]] = {}
        for key in keys:
            if key in TIMED:
                workload = self._workloads[key]
                actions[key] = (workload.rounds, self._timing(workload))
        if "latency" in keys:
            actions["latency"] = (self._workloads["latency"].rounds, self._latency)
        if "cold-start" in keys:
            actions["cold-start"] = (COLD_START_ROUNDS, self._cold_start)
        if "memory" in keys:
            actions["memory"] = (1, self._memory)
        most = max((rounds or own for own, _ in actions.values()), default=0)
        for number in range(most):
            for key, (own, action) in actions.items():
                if number < (rounds or own) and (key != "memory" or number == 0):
                    note(f"round {number + 1}: {key}")
                    self._round(key, number, action)
            self._save()

    def _round(self, key: str, number: int, action: Callable[[Contender], None]) -> None:
        for contender in self._in_turn(number):
            if key in self._result["contenders"][contender.key]["problems"]:
                continue
            with self._noting(contender, key), self._others_idle(contender):
                action(contender)
            self._save()

    def _in_turn(self, number: int) -> list[Contender]:
        """Those that have not failed, each round beginning with another one."""
        entries = self._result["contenders"]
        alive = [c for c in self._contenders if entries[c.key]["failed"] is None]
        start = number % len(alive) if alive else 0
        return alive[start:] + alive[:start]

    @contextmanager
    def _noting(self, contender: Contender, key: str) -> Iterator[None]:
        try:
            yield
        except PeerError as error:
            reason = str(error)
            if reason.startswith("FAILED"):
                self._give_up(contender, f"{reason} ({key})")
                return
            note(f"{contender.name}: {key}: {reason}")
            self._result["contenders"][contender.key]["problems"][key] = reason
            self._revive(contender)

    def _revive(self, contender: Contender) -> None:
        """A new process for a contender that may have died of one workload."""
        self._workers.pop(contender.key).stop()
        try:
            self._load(contender)
        except PeerError as error:
            self._give_up(contender, str(error))

    @contextmanager
    def _others_idle(self, contender: Contender) -> Iterator[None]:
        """Note how much CPU the waiting contenders take meanwhile; they should take none."""
        time.sleep(_PAUSE)
        others = [worker for key, worker in self._workers.items() if key != contender.key]
        before = sum(worker.cpu_seconds() for worker in others)
        start = time.monotonic()
        yield
        share = (sum(w.cpu_seconds() for w in others) - before) / (time.monotonic() - start)
        self._result["idle"] = max(self._result["idle"], share)

    def _timing(self, workload: Workload) -> Callable[[Contender], None]:
        def action(contender: Contender) -> None:
            seconds, scores = self._score(contender, workload)
            if contender.key == self._reference.key:
                self._right.setdefault(workload.key, scores)
            if not np.isfinite(scores).all() or len(scores) != workload.pairs:
                raise PeerError("FAILED: scores are missing or no finite numbers")
            if workload.key in self._right:
                difference = float(np.abs(scores - self._right[workload.key]).max())
                self._refuse_inexact(contender, difference)
            by_contender = self._result["seconds"].setdefault(workload.key, {})
            by_contender.setdefault(contender.key, []).append(seconds)

        return action

    def _latency(self, contender: Contender) -> None:
        file = str(self._workloads["latency"].file)
        seconds = self._workers[contender.key].ask("latency", groups=file)["seconds"]
        self._result["latency"].setdefault(contender.key, []).extend(seconds)

    def _fresh(self, contender: Contender) -> Fresh:
        return Fresh(contender, self._launcher, self._artifacts, self._scratch)

    def _cold_start(self, contender: Contender) -> None:
        seconds = self._fresh(contender).cold_start()
        self._result["cold_start"].setdefault(contender.key, []).append(seconds)

    def _memory(self, contender: Contender) -> None:
        entry = self._fresh(contender).memory(self._workloads["short"])
        self._result["memory"][contender.key] = entry

    def stream(self, file: StreamFile, flops: NDArray[np.float64]) -> None:
        """The whole file, for those that stream, their memory noted every second.

        Args:
            flops: ``[rows]``, what each pair needs.
        """
        for contender in self._in_turn(0):
            if not contender.streams:
                continue
            note(f"stream: {contender.name}, {len(file.tokens):,} pairs")
            with self._noting(contender, "stream"), self._others_idle(contender):
                found = self._fresh(contender).stream(file, flops)
                self._result["stream"][contender.key] = found
            self._save()


def note(text: str) -> None:
    """A line about the run's progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _entry(contender: Contender) -> dict[str, Any]:
    return {
        "name": contender.name,
        "family": contender.family,
        "precision": contender.precision,
        "exact": contender.exact,
        "versions": {},
        "agreement": None,
        "failed": None,
        "problems": {},
    }
