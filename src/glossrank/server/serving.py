"""The model that answers, and its exchange for a newer one while the server runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from glossrank.cross_encoder import CrossEncoder
from glossrank.errors import GlossrankError
from glossrank.server.queue import QueuedEngine, ScoringQueue
from glossrank.server.settings import ServerSettings
from glossrank.verdicts.models import ModelHistory

logger = logging.getLogger("glossrank.server")

LOOK_SECONDS = 2.0
"""How often the server looks whether another model is in use."""

RETRY_SECONDS = 30.0
"""After a model could not be loaded."""

Observe = Callable[[int, int, float, float], None]


@dataclass(frozen=True)
class Served:
    """A loaded model behind its queue.

    Attributes:
        name: as the server was told it, or the name of the folder that ``retrain`` made.
        shared: batches of several requests may be computed together.
        alone: they are not, so that a search is equal to the last bit, whatever else is asked.
    """

    name: str
    shared: CrossEncoder
    alone: CrossEncoder
    queue: ScoringQueue


class ServedModel:
    """The model in use: what ``retrain`` made last, else the one that the server was started with.

    Raises:
        GlossrankError: it cannot be loaded.
    """

    def __init__(self, settings: ServerSettings, observe: Observe) -> None:
        self._settings = settings
        self._observe = observe
        self._history = ModelHistory(settings.data / "models")
        self._folder = self._history.current
        self.now = self._load(self._folder)
        self._queues = [self.now.queue]
        self._retiring: set[asyncio.Task[None]] = set()
        if self._folder is not None:
            logger.warning(
                "answering: %s, which retrain made, not %s; glossrank retrain --rollback takes it back",
                self.now.name,
                settings.model,
            )

    @property
    def waiting(self) -> int:
        """Batches that wait."""
        return sum(map(len, self._queues))

    async def follow(self, use: Callable[[Served], None]) -> None:
        """Look for ever whether another model is in use, and exchange it.

        A model that cannot be loaded is logged and tried again later; the one before it goes on
        answering.

        Args:
            use: makes all that answers use a model; called in a thread of its own.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                folder = await run_in_threadpool(lambda: self._history.current)
                if folder != self._folder:
                    before = self.now
                    await run_in_threadpool(self._exchange, folder, use)
                    retiring = asyncio.create_task(self._retire(before))
                    self._retiring.add(retiring)
                    retiring.add_done_callback(self._retiring.discard)
            except GlossrankError as error:
                logger.error("another model is in use, but %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                # Whatever it is, it must not end the looking.
                logger.exception("another model is in use, but cannot be loaded")
                await asyncio.sleep(RETRY_SECONDS)

    def _exchange(self, folder: Path | None, use: Callable[[Served], None]) -> None:
        served = self._load(folder)
        try:
            use(served)
        except BaseException:
            served.queue.close()
            raise
        self._queues.append(served.queue)
        self.now, self._folder = served, folder
        logger.info("now answering: %s", served.name)

    async def _retire(self, before: Served) -> None:
        """Let go of a model once no request can still hold it."""
        await asyncio.sleep(self._settings.request_seconds + LOOK_SECONDS)
        self._queues.remove(before.queue)
        await run_in_threadpool(before.queue.close)

    def _load(self, folder: Path | None) -> Served:
        name = self._settings.model if folder is None else folder.name
        model = CrossEncoder(folder or self._settings.model, precision=self._settings.precision)
        # Its hash is read from the disk: here, and not when the first request asks for it.
        _ = model.fingerprint
        queue = ScoringQueue(model.engine, observe=self._observe)
        return Served(
            name=name,
            shared=model.with_engine(QueuedEngine(queue, joinable=True)),
            alone=model.with_engine(QueuedEngine(queue, joinable=False)),
            queue=queue,
        )

    def close(self) -> None:
        """Compute what waits, then end."""
        for queue in self._queues:
            queue.close()
