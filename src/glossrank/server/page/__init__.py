"""The page for people: static files of the package, under a policy that lets nothing else in."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from glossrank.server.problems import Problem

_FOLDER = Path(__file__).parent
_FILES = {
    "app.js": "text/javascript",
    "app.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page_routes() -> APIRouter:
    """The routes, for an application; not part of the API's description."""
    router = APIRouter(include_in_schema=False)

    @router.head("/")
    @router.get("/")
    async def index() -> Response:
        return FileResponse(
            _FOLDER / "index.html", media_type="text/html; charset=utf-8", headers=_HEADERS
        )

    @router.get("/page/{name}")
    async def asset(name: str) -> Response:
        if name not in _FILES:
            raise Problem(404, "There is no such file.")
        return FileResponse(_FOLDER / name, media_type=_FILES[name], headers=_HEADERS)

    return router
