"""What needs a process of its own: start, memory, and the long file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.artifacts import Artifacts
from suite.contenders import Contender
from suite.stream_file import StreamFile
from suite.workers import Launcher, Worker
from suite.workloads import Workload

_FIRST_PAIR = [["Who owes us money?", ["Sums that customers still owe."]]]


class Fresh:
    """Starts a contender anew for each measurement, and ends it afterwards.

    Every method raises PeerError if the contender fails.

    Args:
        scratch: where scores are handed over.
    """

    def __init__(
        self, contender: Contender, launcher: Launcher, artifacts: Artifacts, scratch: Path
    ) -> None:
        self._contender = contender
        self._launcher = launcher
        self._model = str(artifacts.path(contender.model))
        self._scratch = scratch

    @contextmanager
    def _loaded(self) -> Iterator[Worker]:
        worker = self._launcher.start(self._contender)
        try:
            worker.ask("load", model=self._model, options=self._contender.options)
            yield worker
        finally:
            worker.stop()

    def cold_start(self) -> float:
        """Seconds from the start of the process to the first pair's score.

        Files are in the page cache: an earlier process of the same contender has read them.
        """
        groups = self._scratch / "first.json"
        groups.write_text(json.dumps(_FIRST_PAIR), encoding="utf-8")
        start = time.perf_counter()
        with self._loaded() as worker:
            worker.ask("score", groups=str(groups), scores=str(self._scratch / "first.npy"))
            return time.perf_counter() - start

    def memory(self, workload: Workload) -> dict[str, int]:
        """Resident bytes once loaded, after scoring the workload, and at most."""
        with self._loaded() as worker:
            loaded = worker.ask("memory")["rss"]
            scores = str(self._scratch / "memory.npy")
            worker.ask("score", groups=str(workload.file), scores=scores)
            after = worker.ask("memory")
        return {"loaded": loaded, "after": after["rss"], "peak": after["peak"]}

    def stream(self, file: StreamFile, flops: NDArray[np.float64]) -> dict[str, Any]:
        """Seconds of every chunk of the file, and resident bytes once a second meanwhile.

        Args:
            flops: ``[rows]``, what each pair needs.
        """
        rss: list[int] = []
        with self._loaded() as worker:
            reply = worker.ask(
                "stream",
                every_second=lambda: rss.append(worker.rss()),
                parquet=str(file.file),
                rows=file.chunk,
                scores=str(self._scratch / "stream.npy"),
            )
        shape = (-1, file.chunk)
        return {
            "chunks": reply["chunks"],
            "tokens": file.tokens.reshape(shape).sum(axis=1).tolist(),
            "flops": flops.reshape(shape).sum(axis=1).tolist(),
            "mixed": file.mixed.tolist(),
            "rss": rss,
        }
