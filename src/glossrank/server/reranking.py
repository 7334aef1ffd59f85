"""What the three dialects share: the limits of a request, and the way into the queue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from starlette.requests import Request

from glossrank.cross_encoder import CrossEncoder
from glossrank.server.metrics import Metrics
from glossrank.server.problems import Problem
from glossrank.server.scoring import Scores, TooLongError
from glossrank.server.serving import ServedModel
from glossrank.server.settings import ServerSettings
from glossrank.server.work import Work

logger = logging.getLogger("glossrank.server")


class Reranker:
    """The model in use, for requests of any dialect."""

    def __init__(
        self, served: ServedModel, work: Work, settings: ServerSettings, metrics: Metrics
    ) -> None:
        self._served = served
        self._work = work
        self._settings = settings
        self._metrics = metrics

    @property
    def model(self) -> CrossEncoder:
        """Computes through the queue, together with others' batches."""
        return self._served.now.shared

    @property
    def alive(self) -> bool:
        """Whether the thread that computes is there."""
        return self._served.now.queue.alive

    @property
    def name(self) -> str:
        """Of the model in use."""
        return self._served.now.name

    async def scores(
        self,
        request: Request,
        query: str,
        documents: Sequence[str],
        score: Callable[[CrossEncoder, str, Sequence[str]], Scores],
    ) -> Scores:
        """Scores of a request's documents.

        Raises:
            Problem: 413 or 422 for what is too much, or see :meth:`Work.run`.
        """
        self._check(query, documents)
        if self._settings.log_questions:
            logger.info("asked", extra={"route": request.url.path, "question": query})
        model = self.model
        try:
            scores = await self._work.run(request, lambda: score(model, query, documents))
        except TooLongError as error:
            raise Problem(
                413,
                f"expected at most {error.most} tokens of question and document together, found "
                f"{error.tokens}. Shorten them, or let the request cut them off.",
            ) from None
        return scores

    def _check(self, query: str, documents: Sequence[str]) -> None:
        most = self._settings.most_documents
        if len(documents) > most:
            raise Problem(
                422, f"expected at most {most} documents, found {len(documents)}. Send fewer."
            )
        longest = self._settings.most_text_characters
        for text in (query, *documents):
            if len(text) > longest:
                raise Problem(
                    413,
                    f"expected texts of at most {longest} characters, found {len(text)}. Shorten them.",
                )
