"""One engine for the requests of many clients.

Every request scores its pairs in a thread of its own, a batch at a time, as everywhere in glossrank;
what it calls is a :class:`QueuedEngine`, which hands the batch to the one thread that computes.
That thread takes the batches that wait in the order in which they came, and joins small ones of like
length up to the engine's token budget. A request has one batch in the queue at a time, so a long one
does not keep a short one waiting for more than a batch; and one whose client has left, or that
waits too long, ends at its next batch.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glossrank.encoding import Batch
from glossrank.engines.engine import Engine

MOST_PADDING = 1.25
"""Batches are joined only if the padded tokens are at most so many times those of the parts."""

FloatArray = NDArray[np.float32]


class AbandonedError(Exception):
    """Nobody waits for these scores any more."""


class StoppedError(Exception):
    """The queue is closed: the server ends."""


_given_up: ContextVar[threading.Event | None] = ContextVar("given_up", default=None)


def refuse_given_up() -> None:
    """
    Raises:
        AbandonedError: nobody waits for the work of this thread any more, see :func:`given_up_by`.
    """
    given_up = _given_up.get()
    if given_up is not None and given_up.is_set():
        raise AbandonedError


@contextmanager
def given_up_by(event: threading.Event) -> Iterator[None]:
    """Within the block, scoring ends with :class:`AbandonedError` once the event is set."""
    token = _given_up.set(event)
    try:
        yield
    finally:
        _given_up.reset(token)


@dataclass
class _Waiting:
    batch: Batch
    joinable: bool
    abandoned: threading.Event | None
    since: float
    done: threading.Event = field(default_factory=threading.Event)
    logits: FloatArray | None = None
    error: BaseException | None = None

    @property
    def is_abandoned(self) -> bool:
        return self.abandoned is not None and self.abandoned.is_set()


class ScoringQueue:
    """The batches that wait for an engine, and the thread that computes them.

    Args:
        engine: computes one batch at a time, on all of its cores.
        observe: told of every computed batch: pairs, tokens without padding, seconds it
            waited (the longest of its parts) and seconds it took.
    """

    def __init__(
        self, engine: Engine, *, observe: Callable[[int, int, float, float], None] | None = None
    ) -> None:
        self.engine = engine
        self._observe = observe
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Batches that wait."""
        return len(self._waiting)

    @property
    def alive(self) -> bool:
        """Whether its thread still computes."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Compute what waits, then end the thread; later batches are refused."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def logits(self, batch: Batch, *, joinable: bool) -> FloatArray:
        """fp32 ``[n]``, once the batch has been computed.

        Args:
            joinable: whether it may be computed together with others'. In bf16 that moves
                a logit by up to 0.03 (benchmarks/LOG.md).

        Raises:
            AbandonedError: see :func:`given_up_by`.
            StoppedError: the queue is closed.
        """
        item = _Waiting(batch, joinable, _given_up.get(), time.perf_counter())
        with self._changed:
            if self._closed:
                raise StoppedError
            self._waiting.append(item)
            self._changed.notify()
        item.done.wait()
        if item.error is not None:
            raise item.error
        if item.logits is None:
            raise AbandonedError
        return item.logits

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                items = self._take()
            if items:
                self._compute(items)

    def _take(self) -> list[_Waiting]:
        """The oldest batch and what is computed with it; what was given up is dropped."""
        taken: list[_Waiting] = []
        left: deque[_Waiting] = deque()
        pairs = width = tokens = 0
        for item in self._waiting:
            if item.is_abandoned:
                item.done.set()
                continue
            count, length = item.batch.input_ids.shape
            wide = max(width, length)
            padded = (pairs + count) * wide
            fits = not taken or (
                taken[0].joinable
                and item.joinable
                and padded <= self.engine.token_budget
                and padded <= MOST_PADDING * (tokens + count * length)
            )
            if fits:
                taken.append(item)
                pairs, width, tokens = pairs + count, wide, tokens + count * length
            else:
                left.append(item)
        self._waiting = left
        return taken

    def _compute(self, items: list[_Waiting]) -> None:
        start = time.perf_counter()
        try:
            batch = items[0].batch if len(items) == 1 else joined([item.batch for item in items])
            logits = self.engine.logits(batch)
        except BaseException as error:
            # The thread lives on: without it every later request would wait for ever.
            for item in items:
                item.error = error
                item.done.set()
            return
        took = time.perf_counter() - start
        at = 0
        for item in items:
            count = len(item.batch.rows)
            item.logits = logits[at : at + count]
            at += count
            item.done.set()
        if self._observe is not None:
            waited = start - min(item.since for item in items)
            self._observe(len(logits), int(batch.lengths.sum()), waited, took)


def joined(batches: list[Batch]) -> Batch:
    """One batch of all pairs, in order, padded to the longest; padding is masked by lengths."""
    width = max(batch.input_ids.shape[1] for batch in batches)

    def wide(array: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.pad(array, ((0, 0), (0, width - array.shape[1])))

    return Batch(
        rows=np.arange(sum(len(batch.rows) for batch in batches)),
        input_ids=np.concatenate([wide(batch.input_ids) for batch in batches]),
        token_type_ids=np.concatenate([wide(batch.token_type_ids) for batch in batches]),
        lengths=np.concatenate([batch.lengths for batch in batches]),
    )


class QueuedEngine:
    """An engine that computes in the thread of a queue. Safe to call from several threads.

    Args:
        joinable: whether its batches may be computed together with others'.
    """

    def __init__(self, queue: ScoringQueue, *, joinable: bool) -> None:
        self._queue = queue
        self._joinable = joinable

    @property
    def precision(self) -> str:
        """See :class:`glossrank.engines.engine.Engine`."""
        return self._queue.engine.precision

    @property
    def device(self) -> str:
        """See :class:`glossrank.engines.engine.Engine`."""
        return self._queue.engine.device

    @property
    def token_budget(self) -> int:
        """See :class:`glossrank.engines.engine.Engine`."""
        return self._queue.engine.token_budget

    def logits(self, batch: Batch) -> FloatArray:
        """See :meth:`ScoringQueue.logits`."""
        return self._queue.logits(batch, joinable=self._joinable)
