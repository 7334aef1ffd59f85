"""What a request must not do: be too large, too slow, or come without a token. Pure ASGI."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glossrank.server.problems import Problem, error_body

DOCS_FILES = "/docs-files"
_OPEN_PATHS = ("/health", "/", "/docs", "/openapi.json")
_OPEN_FOLDERS = ("/page/", f"{DOCS_FILES}/")
"""These need no token: a load balancer asks for /health, a browser cannot send one for a page, and
the page asks people for theirs."""

_SLOWEST = 50_000
"""Bytes a second of a body that is still waited for."""


class BodyLimit:
    """Ends the reading of a body that is too large or too slow with 413 or 408."""

    def __init__(self, app: ASGIApp, *, most_bytes: int, seconds: float) -> None:
        self._app = app
        self._most = most_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self._most:
            await _refuse(scope, receive, send, self._too_large())
            return
        read = 0
        whole = False
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def limited() -> Message:
            nonlocal read, whole
            if whole:
                # From here on it waits for the client to leave.
                return await receive()
            # The longer a body, the longer it may take, as long as it comes.
            left = deadline + read / _SLOWEST - asyncio.get_running_loop().time()
            try:
                message = await asyncio.wait_for(receive(), max(left, 0))
            except asyncio.TimeoutError:
                raise Problem(
                    408,
                    f"expected the whole body within {self._seconds:g} s and a second for each "
                    f"{_SLOWEST} bytes, found a part of it.",
                ) from None
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > self._most:
                raise self._too_large()
            return message

        await self._app(scope, limited, send)

    def _too_large(self) -> Problem:
        return Problem(
            413,
            f"expected a body of at most {self._most} bytes, found more. Send fewer or shorter texts.",
        )


class BrowserCheck:
    """Keeps other web pages out, whose requests a browser on this machine would send along.

    A page that has made its own name point here (DNS rebinding) is known by the ``Host`` header,
    any other one by the ``Origin`` of what it sends. Programs send no ``Origin``.

    Args:
        hosts: names that clients may call the server by; empty for any.
        origins: other web origins that may send.
    """

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], origins: Sequence[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await _refuse(scope, receive, send, problem)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            return Problem(
                403,
                f"expected one of the names {', '.join(sorted(self._hosts))} in 'Host', found "
                f"{host[:80]!r}. Start the server with --allowed-host for another name.",
            )
        origin = headers.get("origin")
        sends = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        if sends and origin is not None and origin not in self._origins:
            if urlsplit(origin).netloc.lower() == host.lower():
                return None
            return Problem(
                403,
                f"expected a request of the server's own page, found one of {origin[:80]!r}. Start "
                "the server with --origin to allow it.",
            )
        return None


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


class TokenCheck:
    """Asks for ``Authorization: Bearer TOKEN`` where the server has tokens."""

    def __init__(self, app: ASGIApp, *, tokens: Sequence[str]) -> None:
        self._app = app
        self._digests = [_digest(token) for token in tokens]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        free = path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS)
        if scope["type"] != "http" or not self._digests or free or self._known(scope):
            await self._app(scope, receive, send)
            return
        found = "another" if "authorization" in Headers(scope=scope) else "none"
        await _refuse(
            scope, receive, send,
            Problem(401, f"expected a known token in 'Authorization: Bearer ...', found {found}."),
        )  # fmt: skip

    def _known(self, scope: Scope) -> bool:
        kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        given = _digest(token.strip())
        # All are compared, each in constant time: how long it takes says nothing.
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        return kind.lower() == "bearer" and any(matches)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


async def _refuse(scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
    """Answer without reading the body; the connection is of no further use."""
    headers = {"Connection": "close"}
    if problem.status_code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = error_body(scope["path"], problem.status_code, problem.detail, problem.kind)
    await JSONResponse(body, problem.status_code, headers)(scope, receive, send)
