"""The application: everything above put together. Uvicorn runs what :func:`create_app` returns."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glossrank.server.asking import asking_routes
from glossrank.server.cohere import cohere_routes
from glossrank.server.jina import jina_routes
from glossrank.server.judging import judging_routes
from glossrank.server.limits import DOCS_FILES, BodyLimit, BrowserCheck, TokenCheck
from glossrank.server.metrics import Metrics
from glossrank.server.page import page_routes
from glossrank.server.problems import Problem, error_body
from glossrank.server.reranking import Reranker
from glossrank.server.serving import ServedModel
from glossrank.server.settings import ServerSettings
from glossrank.server.shelf import Shelf
from glossrank.server.tei import tei_routes
from glossrank.server.work import CLIENT_GONE, Work
from glossrank.verdicts.store import VerdictStore

logger = logging.getLogger("glossrank.server")

_UPLOADS_AT_ONCE = 2


def create_app(settings: ServerSettings) -> FastAPI:
    """Everything loaded: models, glossaries, verdict store.

    Raises:
        GlossrankError: a model, a glossary or the store cannot be used.
    """
    work = Work(most=settings.most_requests, seconds=settings.request_seconds)
    # Of its own, so that a database that hangs keeps nobody else waiting.
    storing = Work(most=settings.most_requests, seconds=settings.database_seconds)
    # And an upload of many terms nobody who asks.
    uploading = Work(
        most=settings.most_uploads, seconds=settings.request_seconds, threads=_UPLOADS_AT_ONCE
    )
    metrics = Metrics(
        waiting=lambda: float(served.waiting),
        running=lambda: float(work.running + storing.running + uploading.running),
    )
    served = ServedModel(settings, metrics.observe_batch)
    shelf = Shelf(
        served.now, settings.data / "glossaries",
        most_terms=settings.most_terms, most_glossaries=settings.most_glossaries,
    )  # fmt: skip
    shelf.open(settings.glossaries)
    store = VerdictStore(settings.database_url)
    reranker = Reranker(served, work, settings, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(served.follow(shelf.use))
        yield
        following.cancel()
        # Uvicorn has waited for the running requests.
        await run_in_threadpool(work.close)
        await run_in_threadpool(storing.close)
        await run_in_threadpool(uploading.close)
        await run_in_threadpool(served.close)
        store.close()

    # FastAPI's own page of the API loads its scripts from the internet; this one brings them along.
    app = FastAPIOffline(
        redoc_url=None,
        favicon_url="/page/icon.svg",
        static_url=DOCS_FILES,
        title="glossrank",
        version=version("glossrank"),
        lifespan=lifespan,
    )
    app.include_router(tei_routes(reranker, settings))
    app.include_router(cohere_routes(reranker))
    app.include_router(jina_routes(reranker))
    app.include_router(asking_routes(shelf, work, uploading, metrics, settings))
    app.include_router(judging_routes(shelf, store, storing, metrics))
    app.include_router(page_routes())

    @app.get("/metrics", tags=["text-embeddings-inference"], response_class=PlainTextResponse)
    async def figures() -> Response:
        """Figures for Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    app.add_exception_handler(HTTPException, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(Exception, _answer_fault)
    # The last one added is the first that sees a request.
    app.add_middleware(
        BodyLimit, most_bytes=settings.most_body_bytes, seconds=settings.body_seconds
    )
    app.add_middleware(TokenCheck, tokens=settings.tokens)
    app.add_middleware(BrowserCheck, hosts=settings.names, origins=settings.origins)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(settings.origins), allow_methods=["*"],
            allow_headers=["Authorization", "Content-Type"],
        )  # fmt: skip
    app.add_middleware(_Watch, metrics=metrics)
    return app


async def _answer_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = str(error.detail)
    if error.status_code == 400 and not isinstance(error, Problem):
        # FastAPI's own, which does not say what it could not read.
        message = "expected JSON in UTF-8, found bytes that are none, or lists or numbers too long to be read."
    body = error_body(request.url.path, error.status_code, message, getattr(error, "kind", None))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # The router names the methods of the first route of a path only.
        headers["Allow"] = ", ".join(_methods(request)) or headers.get("Allow", "")
    return JSONResponse(body, error.status_code, headers)


def _methods(request: Request) -> list[str]:
    given = request.url.path.split("/")
    for path, methods in request.app.openapi()["paths"].items():
        wanted = path.split("/")
        if len(wanted) == len(given) and all(
            w == g or w.startswith("{") for w, g in zip(wanted, given, strict=True)
        ):
            return [method.upper() for method in methods]
    return []


async def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    status = 400 if first["type"] == "json_invalid" else 422
    message = f"{place}: {first['msg']}" if place else str(first["msg"])
    if status == 400:
        message = f"expected JSON, found an error at character {place}: {first['ctx']['error']}."
    return JSONResponse(error_body(request.url.path, status, message, None), status)


async def _answer_nobody(_: Request, __: Exception) -> Response:
    # In the middle of a body; there is a status for the log.
    return Response(status_code=CLIENT_GONE)


async def _answer_fault(request: Request, _: Exception) -> Response:
    # A fault of glossrank's own. The server's log has the traceback, the client has no part in it.
    body = error_body(request.url.path, 500, "The server made a mistake; its log says which.", None)
    return JSONResponse(body, 500)


class _Watch:
    """Counts, times and logs every request: route, status, seconds; never what was asked."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - start
            # Of an unknown path there is no route: its name must not become a label.
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(route, status).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            logger.info(
                "request",
                extra={"route": route, "status": status, "seconds": round(seconds, 6)},
            )
