"""Runs the application with uvicorn, and its log."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from glossrank.server.app import create_app
from glossrank.server.settings import ServerSettings

HEADER_SECONDS = 10.0
"""In which a new connection must have sent a request's first lines, else it is closed."""
_KEPT_ALIVE = 15
_LOGGED = ("route", "status", "seconds", "question")


class _ImpatientProtocol(H11Protocol):
    """Uvicorn waits for ever for the headers of a connection's first request; this does not."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._first = loop.call_later(HEADER_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self.scope is None and not self.transport.is_closing():
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._first.cancel()
        super().connection_lost(exc)


class _JSONLines(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: getattr(record, name) for name in _LOGGED if hasattr(record, name)}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def serve(settings: ServerSettings) -> None:
    """Serve until SIGTERM or Ctrl-C; running requests are answered first.

    Raises:
        GlossrankError: a model, a glossary or the verdict store cannot be used.
        OSError: the address cannot be listened at.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JSONLines())
    for name in ("glossrank.server", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=_ImpatientProtocol,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=_KEPT_ALIVE,
        timeout_graceful_shutdown=round(settings.drain_seconds),
    )
    # Uvicorn drains at SIGTERM, then raises the signal again for the handler it found: this one,
    # so that the process ends with 0 and not by the signal.
    signal.signal(signal.SIGTERM, _end)
    uvicorn.Server(config).run()


def _end(*_: object) -> None:
    sys.exit(0)
