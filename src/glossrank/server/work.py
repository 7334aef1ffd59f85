"""Runs the work of requests in threads, as much of it as there is room for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.requests import Request

from glossrank.server.problems import Problem
from glossrank.server.queue import AbandonedError, StoppedError, given_up_by

Result = TypeVar("Result")

THREADS = 32
"""Requests that can be in the queue at once; the others wait for a thread."""
CLIENT_GONE = 499
"""nginx's status for a client that has left; nobody reads it."""
_RETRY_SECONDS = 1


class Work:
    """
    Args:
        most: requests that run or wait; more are refused.
        seconds: that one may take.
        threads: requests that run at once.
    """

    def __init__(self, *, most: int, seconds: float, threads: int = THREADS) -> None:
        self._most = most
        self._seconds = seconds
        self._running = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="request")

    @property
    def running(self) -> int:
        """Requests that run or wait."""
        return self._running

    async def run(self, request: Request, work: Callable[[], Result]) -> Result:
        """What ``work`` returns; it ends early if the client leaves or it takes too long.

        Args:
            request: its body has been read.

        Raises:
            Problem: 429, 503, or the client has gone; or what ``work`` raises.
        """
        if self._running >= self._most:
            raise Problem(
                429,
                f"expected at most {self._most} requests at once, found one more. Try again.",
                retry_after=_RETRY_SECONDS,
            )
        self._running += 1
        given_up = threading.Event()

        def task() -> Result:
            with given_up_by(given_up):
                return work()

        future = asyncio.ensure_future(asyncio.wrap_future(self._pool.submit(task)))
        leaving = asyncio.ensure_future(_left(request))
        try:
            both: set[asyncio.Future[Any]] = {future, leaving}
            done, _ = await asyncio.wait(
                both, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if future in done:
                return await future
            if leaving in done:
                raise Problem(CLIENT_GONE, "The client has left.")
            raise Problem(
                503,
                f"expected an answer within {self._seconds:g} s, found more work than that. "
                "Send less, or try again later.",
                retry_after=_RETRY_SECONDS,
            )
        except (AbandonedError, StoppedError):
            raise Problem(503, "The server ends. Try again.", retry_after=_RETRY_SECONDS) from None
        finally:
            given_up.set()
            leaving.cancel()
            # A thread that has not begun never will; one that has ends at its next batch.
            future.cancel()
            self._running -= 1

    def close(self) -> None:
        """Wait for what runs."""
        self._pool.shutdown(wait=True, cancel_futures=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
