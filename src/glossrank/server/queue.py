"""One engine for the requests of many clients.

Every request scores its pairs in a thread of its own, a batch at a time, as everywhere in glossrank;
what it calls is a :class:`QueuedEngine`, which hands the batch to the one thread that computes.
That thread begins with the longest pairs of the batch that came first and fills up with pairs of like
length of the others, up to the engine's token budget: many small requests make batches as full and as
evenly long as one large one would. A request has one batch in the queue at a time, so a long one
does not keep a short one waiting for more than a batch; and one whose client has left, or that
waits too long, ends at its next batch.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glossrank.encoding import Batch, rounded_width
from glossrank.engines.engine import Engine

MOST_PADDING = 1.25
"""Pairs of other requests are taken into a batch if it pads them to so many times their length at most."""

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


@dataclass(eq=False)
class _Waiting:
    """A batch of a request.

    Attributes:
        rows: of its pairs those that are not computed yet, longest first.
        left: how many of its pairs have no logit yet.
    """

    batch: Batch
    joinable: bool
    abandoned: threading.Event | None
    since: float
    rows: NDArray[np.int64]
    logits: FloatArray
    left: int
    done: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    @property
    def is_abandoned(self) -> bool:
        return self.abandoned is not None and self.abandoned.is_set()

    def take(self, most: int, shortest: float, longest: int) -> _Part | None:
        """Up to ``most`` of its remaining pairs with that many tokens, if it has one."""
        lengths = self.batch.lengths[self.rows]
        start = int(np.searchsorted(-lengths, -longest))
        end = min(int(np.searchsorted(-lengths, -shortest, side="right")), start + most)
        if start >= end:
            return None
        taken = self.rows[start:end]
        self.rows = np.delete(self.rows, slice(start, end))
        return _Part(self, taken)


@dataclass(frozen=True)
class _Part:
    """Pairs of a waiting batch that are computed now."""

    item: _Waiting
    rows: NDArray[np.int64]


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
        count = len(batch.lengths)
        item = _Waiting(
            batch=batch,
            joinable=joinable,
            abandoned=_given_up.get(),
            since=time.perf_counter(),
            rows=np.argsort(-batch.lengths, kind="stable"),
            logits=np.empty(count, dtype=np.float32),
            left=count,
        )
        with self._changed:
            if self._closed:
                raise StoppedError
            self._waiting.append(item)
            self._changed.notify()
        item.done.wait()
        if item.error is not None:
            raise item.error
        if item.left:
            raise AbandonedError
        return item.logits

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                parts = self._take()
            if parts:
                self._compute(parts)

    def _take(self) -> list[_Part]:
        """The longest pairs of the oldest batch, and pairs of others that are about as long, up to
        the engine's budget; what was given up is dropped.
        """
        for item in self._waiting:
            if item.is_abandoned:
                item.done.set()
        self._waiting = deque(item for item in self._waiting if not item.is_abandoned)
        if not self._waiting:
            return []
        first = self._waiting[0]
        joinable = [item for item in self._waiting if item.joinable]
        if not first.joinable or joinable == [first]:
            # Alone it is computed as it came: it was cut to the budget already.
            parts = [_Part(first, np.sort(first.rows))]
            first.rows = first.rows[:0]
        else:
            parts = self._fill(joinable)
        self._waiting = deque(item for item in self._waiting if len(item.rows))
        return parts

    def _fill(self, items: list[_Waiting]) -> list[_Part]:
        longest = int(items[0].batch.lengths[items[0].rows[0]])
        room = max(1, self.engine.token_budget // rounded_width(longest))
        # Last of all shorter pairs of the oldest: better than a batch that is not full.
        wanted = [(item, longest / MOST_PADDING) for item in items] + [(items[0], 0.0)]
        parts = []
        for item, shortest in wanted:
            part = item.take(room, shortest, longest) if room else None
            if part is not None:
                parts.append(part)
                room -= len(part.rows)
        return parts

    def _compute(self, parts: list[_Part]) -> None:
        start = time.perf_counter()
        try:
            batch = joined([(part.item.batch, part.rows) for part in parts])
            logits = self.engine.logits(batch)
        except BaseException as error:
            # The thread lives on: without it every later request would wait for ever.
            self._fail([part.item for part in parts], error)
            return
        took = time.perf_counter() - start
        at = 0
        for part in parts:
            count = len(part.rows)
            part.item.logits[part.rows] = logits[at : at + count]
            part.item.left -= count
            at += count
            if not part.item.left:
                part.item.done.set()
        if self._observe is not None:
            waited = start - min(part.item.since for part in parts)
            self._observe(len(logits), int(batch.lengths.sum()), waited, took)

    def _fail(self, items: list[_Waiting], error: BaseException) -> None:
        with self._changed:
            # What is left of them is not computed either.
            self._waiting = deque(item for item in self._waiting if item not in items)
        for item in items:
            item.error = error
            item.done.set()


def joined(parts: Sequence[tuple[Batch, NDArray[np.int64]]]) -> Batch:
    """One batch of some pairs of several, in order, as long as the longest of them."""
    width = max(int(batch.lengths[rows].max()) for batch, rows in parts)

    def cut(array: NDArray[np.int32], rows: NDArray[np.int64]) -> NDArray[np.int32]:
        short = array[rows, :width]
        # Beyond its length a pair is masked: what is there does not matter.
        return np.pad(short, ((0, 0), (0, width - short.shape[1])))

    return Batch(
        rows=np.arange(sum(len(rows) for _, rows in parts)),
        input_ids=np.concatenate([cut(batch.input_ids, rows) for batch, rows in parts]),
        token_type_ids=np.concatenate([cut(batch.token_type_ids, rows) for batch, rows in parts]),
        lengths=np.concatenate([batch.lengths[rows] for batch, rows in parts]),
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
