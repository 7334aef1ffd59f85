"""Figures for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)
_PAIRS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters of one application; not the process's, so that tests can have several.

    Args:
        waiting, running: batches in the queue and requests at work, asked when they are read.
    """

    def __init__(self, *, waiting: Callable[[], float], running: Callable[[], float]) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "glossrank_requests", "Requests", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "glossrank_request_seconds", "From a request's header to its answer's last byte",
            ["route"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.pairs = Counter("glossrank_pairs", "Pairs scored", registry=registry)
        self.tokens = Counter(
            "glossrank_tokens", "Tokens read, special tokens included", registry=registry
        )
        self.batch_pairs = Histogram(
            "glossrank_batch_pairs", "Pairs of a batch", buckets=_PAIRS, registry=registry
        )
        self.batch_wait = Histogram(
            "glossrank_batch_wait_seconds", "What a batch waited for the engine",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.batch_seconds = Histogram(
            "glossrank_batch_seconds", "What a batch took", buckets=_SECONDS, registry=registry
        )
        self.questions = Counter(
            "glossrank_questions", "Questions against a glossary", ["glossary", "answered"],
            registry=registry,
        )  # fmt: skip
        self.verdicts = Counter(
            "glossrank_verdicts", "Verdicts stored", ["verdict"], registry=registry
        )
        Gauge("glossrank_queue_batches", "Batches that wait", registry=registry).set_function(
            waiting
        )
        Gauge(
            "glossrank_requests_running", "Requests that run or wait", registry=registry
        ).set_function(running)

    def observe_batch(self, pairs: int, tokens: int, waited: float, took: float) -> None:
        """See :class:`glossrank.server.queue.ScoringQueue`."""
        self.pairs.inc(pairs)
        self.tokens.inc(tokens)
        self.batch_pairs.observe(pairs)
        self.batch_wait.observe(waited)
        self.batch_seconds.observe(took)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)
