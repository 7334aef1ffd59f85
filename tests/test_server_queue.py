from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossrank.encoding import Batch
from glossrank.server.queue import (
    MOST_PADDING,
    AbandonedError,
    QueuedEngine,
    ScoringQueue,
    StoppedError,
    given_up_by,
    joined,
)


class Sums:
    """A logit is the sum of a pair's tokens, counted by length, so that padding must not matter."""

    precision, device, token_budget = "fp32", "cpu", 64

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def logits(self, batch: Batch) -> np.ndarray:
        self.entered.set()
        self.gate.wait(10)
        self.batches.append(batch.input_ids.shape)
        if (batch.input_ids == 666).any():
            raise RuntimeError("broken")
        real = np.arange(batch.input_ids.shape[1]) < batch.lengths[:, None]
        logits: np.ndarray = (batch.input_ids * real).sum(axis=1).astype(np.float32)
        return logits


def batch_of(*pairs: list[int]) -> Batch:
    width = max(map(len, pairs))
    ids = np.array([pair + [999] * (width - len(pair)) for pair in pairs], dtype=np.int32)
    lengths = np.array([len(pair) for pair in pairs], dtype=np.int32)
    return Batch(np.arange(len(pairs)), ids, np.zeros_like(ids), lengths)


def all_at_once(engine: Sums, queue: ScoringQueue, batches: list[Batch]) -> list[np.ndarray]:
    """Their logits, with all of them waiting before the second is computed."""
    engine.gate.clear()
    engine.entered.clear()
    with ThreadPoolExecutor(len(batches) + 1) as pool:
        first = pool.submit(QueuedEngine(queue, joinable=False).logits, batch_of([1]))
        engine.entered.wait(10)
        scorer = QueuedEngine(queue, joinable=True)
        found = []
        for number, batch in enumerate(batches, start=1):
            found.append(pool.submit(scorer.logits, batch))
            while len(queue) < number:
                time.sleep(0.001)
        engine.gate.set()
        first.result(10)
        return [one.result(10) for one in found]


tokens = st.lists(st.integers(1, 500), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(tokens, min_size=1, max_size=5), min_size=1, max_size=12))
def test_everybody_gets_their_own_scores_whatever_is_joined(groups: list[list[list[int]]]) -> None:
    engine = Sums()
    queue = ScoringQueue(engine)
    found = all_at_once(engine, queue, [batch_of(*pairs) for pairs in groups])
    queue.close()
    for pairs, logits in zip(groups, found, strict=True):
        assert logits.tolist() == [sum(pair) for pair in pairs]
    # What one request sends may be over the budget, then a part of it too.
    alone = [(len(pairs), max(map(len, pairs))) for pairs in groups]
    for rows, width in engine.batches:
        fits = rows * width <= engine.token_budget
        assert fits or any(rows <= count and width <= longest for count, longest in alone)


def test_small_batches_of_like_length_share_one() -> None:
    engine = Sums()
    queue = ScoringQueue(engine)
    all_at_once(engine, queue, [batch_of([number] * 8) for number in range(1, 9)])
    queue.close()
    assert engine.batches == [(1, 1), (8, 8)]


def test_short_ones_do_not_pay_for_long_ones() -> None:
    engine = Sums()
    queue = ScoringQueue(engine)
    all_at_once(engine, queue, [batch_of([1] * 4), batch_of([1] * 30), batch_of([1] * 4)])
    queue.close()
    assert engine.batches == [(1, 1), (2, 4), (1, 30)]
    assert MOST_PADDING < 2


def test_what_must_not_be_joined_is_not() -> None:
    engine = Sums()
    queue = ScoringQueue(engine)
    engine.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        alone = QueuedEngine(queue, joinable=False)
        found = [pool.submit(alone.logits, batch_of([number])) for number in (1, 2, 3)]
        time.sleep(0.05)
        engine.gate.set()
        assert [one.result(10).tolist() for one in found] == [[1], [2], [3]]
    queue.close()
    assert engine.batches == [(1, 1)] * 3


def test_an_error_reaches_those_it_concerns_and_the_queue_goes_on() -> None:
    engine = Sums()
    queue = ScoringQueue(engine)
    scorer = QueuedEngine(queue, joinable=True)
    with pytest.raises(RuntimeError, match="broken"):
        scorer.logits(batch_of([666]))
    assert scorer.logits(batch_of([1, 2])).tolist() == [3]
    queue.close()


def test_what_is_given_up_is_not_computed() -> None:
    engine = Sums()
    queue = ScoringQueue(engine)
    engine.gate.clear()
    left = threading.Event()

    def abandoned() -> None:
        with given_up_by(left):
            QueuedEngine(queue, joinable=True).logits(batch_of([5, 5]))

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(QueuedEngine(queue, joinable=True).logits, batch_of([1]))
        engine.entered.wait(10)
        second = pool.submit(abandoned)
        while not len(queue):
            time.sleep(0.001)
        left.set()
        engine.gate.set()
        assert first.result(10).tolist() == [1]
        with pytest.raises(AbandonedError):
            second.result(10)
    queue.close()
    assert engine.batches == [(1, 1)]


def test_a_closed_queue_computes_what_waits_and_refuses_the_rest() -> None:
    engine = Sums()
    queue = ScoringQueue(engine)
    scorer = QueuedEngine(queue, joinable=True)
    engine.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(scorer.logits, batch_of([7]))
        engine.entered.wait(10)
        closing = pool.submit(queue.close)
        engine.gate.set()
        assert waiting.result(10).tolist() == [7]
        closing.result(10)
    with pytest.raises(StoppedError):
        scorer.logits(batch_of([7]))


def test_what_goes_wrong_beside_the_engine_does_not_end_the_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Sums()
    queue = ScoringQueue(engine)
    scorer = QueuedEngine(queue, joinable=True)

    def out_of_memory(_: object) -> Batch:
        raise MemoryError

    engine.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(scorer.logits, batch_of([1]))
        engine.entered.wait(10)
        monkeypatch.setattr("glossrank.server.queue.joined", out_of_memory)
        others = [pool.submit(scorer.logits, batch_of([at])) for at in (2, 3)]
        while len(queue) < 2:
            time.sleep(0.01)
        engine.gate.set()
        assert first.result(10).tolist() == [1]
        for other in others:
            with pytest.raises(MemoryError):
                other.result(10)
    monkeypatch.undo()
    assert queue.alive
    assert scorer.logits(batch_of([4])).tolist() == [4]
    queue.close()


def test_measurements_are_of_what_was_computed() -> None:
    seen: list[tuple[int, int, float, float]] = []
    engine = Sums()
    queue = ScoringQueue(engine, observe=lambda *figures: seen.append(figures))
    QueuedEngine(queue, joinable=True).logits(batch_of([1, 2, 3], [4]))
    queue.close()
    ((pairs, tokens_of, waited, took),) = seen
    assert (pairs, tokens_of) == (2, 4)
    assert 0 <= waited < 1
    assert 0 <= took < 1


def test_joining_keeps_order_and_lengths() -> None:
    both = joined(
        [(batch_of([1, 2, 3]), np.array([0])), (batch_of([4], [5, 6], [7]), np.array([1, 0]))]
    )
    assert both.lengths.tolist() == [3, 2, 1]
    real = np.arange(3) < both.lengths[:, None]
    assert (both.input_ids * real).tolist() == [[1, 2, 3], [5, 6, 0], [4, 0, 0]]


def test_pairs_of_like_length_of_many_requests_share_batches() -> None:
    engine = Sums()
    queue = ScoringQueue(engine)
    mixed = [batch_of([1] * 40, [2] * 10) for _ in range(4)]
    found = all_at_once(engine, queue, mixed)
    queue.close()
    assert [logits.tolist() for logits in found] == [[40, 20]] * 4
    # The engine's budget is two pairs of 40 or eight of 10; the oldest request goes first.
    room = engine.token_budget // 40
    assert engine.batches[0] == (1, 1)
    assert engine.batches[1] == (room, 40)
    assert (4, 10) in engine.batches
    assert sum(rows for rows, _ in engine.batches) == 1 + 8


def test_a_batch_is_filled_with_shorter_pairs_of_the_oldest() -> None:
    engine = Sums()
    queue = ScoringQueue(engine)
    all_at_once(engine, queue, [batch_of([1] * 20, [1] * 5), batch_of([1] * 6)])
    queue.close()
    assert engine.batches == [(1, 1), (2, 20), (1, 6)]
