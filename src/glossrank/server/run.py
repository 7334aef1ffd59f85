"""Runs the application with uvicorn, and its log."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from glossrank.errors import InputError
from glossrank.server.app import create_app
from glossrank.server.settings import ServerSettings

HEADER_SECONDS = 10.0
"""In which the first lines of a request must have come, else its connection is closed."""
READING_SECONDS = 30.0
"""In which a client must have read some of its answer, else its connection is closed."""
_KEPT_ALIVE = 15
_LOGGED = ("route", "status", "seconds", "question")


class _ImpatientProtocol(H11Protocol):
    """Uvicorn waits for ever for a request's headers, and for a client to read; this does not."""

    _headers: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._await_headers()
        elif self._headers is not None:
            self._headers.cancel()
            self._headers = None

    def _await_headers(self) -> None:
        if self._headers is None:
            self._headers = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reading()

    def _await_reading(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(READING_SECONDS, self._go_on, unread)

    def _go_on(self, unread: int) -> None:
        if self.transport.get_write_buffer_size() < unread:
            self._await_reading()
        else:
            # Not closed: that would wait until all is read.
            self.transport.abort()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._headers, self._reading):
            if timer is not None:
                timer.cancel()
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
        InputError: the address cannot be listened at.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JSONLines())
    for name in ("glossrank.server", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    # Requests are in threads of their own: a tokenizer's threads beside them cost 4 % of the pairs.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Before anything is loaded: as the first process of a container it would else not hear SIGTERM while it loads.
    # Uvicorn puts its own handler in, drains, and raises the signal again for this one, so that the
    # process ends with 0 and not by the signal.
    signal.signal(signal.SIGTERM, _end)
    # Before the models: what is wrong with the address is told at once.
    listener = _listen(settings.host, settings.port)
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
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InputError(
            expected="an address that can be listened at",
            found=f"{host}:{port}, {error.strerror or error}",
            fix="Choose another with --host and --port.",
        ) from error


def _end(_: int, __: FrameType | None) -> None:
    sys.exit(0)
