"""What a request must not do: be too large, too slow, or come without a token. Pure ASGI."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glossrank.server.problems import Problem, error_body

DOCS_FILES = "/docs-files"
_OPEN_PATHS = ("/health", "/", "/docs", "/openapi.json")
_OPEN_FOLDERS = ("/page/", f"{DOCS_FILES}/")
"""These need no token: a load balancer asks for /health, a browser cannot send one for a page, and
the page asks people for theirs."""


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
            left = deadline - asyncio.get_running_loop().time()
            try:
                message = await asyncio.wait_for(receive(), max(left, 0))
            except asyncio.TimeoutError:
                raise Problem(
                    408, f"expected the whole body within {self._seconds:g} s, found a part of it."
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
