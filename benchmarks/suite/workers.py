"""The driver's side of a contender's process, see ``benchmarks/peers/start.py``."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from suite.contenders import OURS, Contender
from suite.environments import environment_python, run_logged
from suite.failures import PeerError
from suite.paths import BENCH_BUILD, PEERS, ROOT

# No hub is ever asked, nothing is reported to anybody, and no peer sees this checkout.
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
LONGEST_REQUEST = 4 * 3600.0
# Characters of a reason; some libraries put a page into an exception.
_REASON = 500
# Seconds for a process to leave by itself.
_PATIENCE = 5.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Launcher:
    """Starts contenders, each in its environment with the variables that all share.

    Args:
        variables: of the instruction-set switch, see :mod:`suite.isa`.
        logs: where what the processes print is kept.
    """

    def __init__(self, variables: dict[str, str], *, logs: Path | None = None) -> None:
        self._variables = variables
        self._logs = logs or BENCH_BUILD / "logs"
        self._pythons: dict[str, Path | PeerError] = {}

    def python(self, environment: str) -> Path:
        """The Python of an environment; a failure is remembered and raised again.

        Raises:
            PeerError: the environment cannot be made.
        """
        if environment not in self._pythons:
            try:
                self._pythons[environment] = environment_python(environment)
            except PeerError as error:
                self._pythons[environment] = PeerError(f"install: {error}")
        found = self._pythons[environment]
        if isinstance(found, PeerError):
            raise found
        return found

    def variables(self, environment: str) -> dict[str, str]:
        """All environment variables of a contender's process."""
        inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        ours = {"PYTHONPATH": str(ROOT / "src")} if environment == OURS else {}
        return inherited | _OFFLINE | self._variables | ours

    def run_script(self, environment: str, script: str, arguments: list[str]) -> None:
        """Run a script of ``benchmarks/peers`` to its end.

        Raises:
            PeerError: it failed.
        """
        log = self._log(Path(script).stem)
        command = [str(self.python(environment)), str(PEERS / script), *arguments]
        try:
            run_logged(command, log, env=self.variables(environment))
        except PeerError as error:
            raise PeerError(f"{script}: {error}") from error

    def start(self, contender: Contender) -> Worker:
        """A process of a contender that waits for its first request.

        Raises:
            PeerError: its environment cannot be made.
        """
        command = [
            str(self.python(contender.environment)),
            str(PEERS / "start.py"),
            contender.runner,
        ]
        return Worker(
            command, log=self._log(contender.key), env=self.variables(contender.environment)
        )

    def _log(self, name: str) -> Path:
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        log.write_bytes(b"")
        return log


class Worker:
    """A process that answers requests, one at a time."""

    def __init__(self, command: list[str], *, log: Path, env: dict[str, str]) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env=env,
                text=True,
                encoding="utf-8",
                # Ctrl-C is the driver's, which ends all workers itself.
                start_new_session=True,
            )
        self._replies: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._replies.put(line)
        self._replies.put(None)

    def ask(
        self,
        do: str,
        *,
        every_second: Callable[[], None] | None = None,
        limit: float = LONGEST_REQUEST,
        **request: Any,
    ) -> dict[str, Any]:
        """Send a request and wait for its reply.

        Args:
            every_second: called once a second meanwhile, in this thread.
            limit: seconds after which the process is ended.

        Raises:
            PeerError: the contender failed, died, or took too long.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            # The pipe is broken, or closed by :meth:`stop`.
            raise PeerError(self._death()) from None
        start = time.monotonic()
        while True:
            wait = 1.0 if every_second is not None else limit
            try:
                line = self._replies.get(timeout=wait)
                break
            except queue.Empty:
                if time.monotonic() - start >= limit:
                    self.stop(patience=0)
                    raise PeerError(f"no answer to {do!r} in {limit:.0f} s") from None
                if every_second is not None:
                    every_second()
        if line is None:
            raise PeerError(self._death())
        reply: dict[str, Any] = json.loads(line)
        if not reply.pop("ok"):
            lines = [line.strip() for line in str(reply["reason"]).splitlines() if line.strip()]
            raise PeerError("; ".join(lines)[:_REASON])
        return reply

    def _death(self) -> str:
        status = self._process.wait()
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"its process ended ({how}){': ' + last[:300] if last else ''}"

    def rss(self) -> int:
        """Bytes of the process in memory, or 0 if it has ended."""
        with suppress(OSError):
            text = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
            for line in text.splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far, or 0 if it has ended."""
        with suppress(OSError):
            text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
            fields = text.rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / _TICKS
        return 0.0

    def stop(self, *, patience: float = _PATIENCE) -> None:
        """End the process; harmless if it has ended.

        Args:
            patience: seconds after which it is killed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # Its end of the pipe may be gone, or this method was called before.
        with suppress(OSError, ValueError):
            self._process.stdin.write('{"do": "quit"}\n')
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()
