"""What can go wrong with a request, and how each dialect says it.

A :class:`Problem` is raised anywhere below a route. The handler of the application answers in the
form that the clients of that route know: TEI's ``error`` and ``error_type``, Cohere's
``message``, Jina's and the own routes' ``detail``.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

_TEI_PATHS = ("/rerank", "/health", "/info", "/metrics")
_COHERE_PATHS = ("/v2/rerank",)
# TEI's own names; its statuses are 400, 413, 422, 424, 429 and 503.
_TEI_TYPES = {400: "Validation", 413: "Validation", 422: "Validation", 424: "Backend", 429: "Overloaded", 500: "Backend", 503: "Unhealthy"}  # fmt: skip


class Problem(HTTPException):
    """A request that cannot be answered.

    Args:
        status: of HTTP.
        message: what was expected, what was found, what to do.
        kind: TEI's ``error_type``, where it is not the usual one of the status.
        retry_after: seconds after which to try again.
    """

    def __init__(
        self, status: int, message: str, *, kind: str | None = None, retry_after: int | None = None
    ) -> None:
        headers = None if retry_after is None else {"Retry-After": str(retry_after)}
        super().__init__(status, message, headers)
        self.kind = kind


class TEIError(BaseModel):
    """text-embeddings-inference's ``ErrorResponse``."""

    error: str
    error_type: str


class CohereError(BaseModel):
    """Cohere's form of an error."""

    message: str


class Detail(BaseModel):
    """The form of an error of Jina's and the own routes."""

    detail: str = Field(examples=["expected at least one document, found none. Send some."])


def error_body(path: str, status: int, message: str, kind: str | None) -> dict[str, Any]:
    """The JSON that a client of this route expects."""
    if path in _TEI_PATHS:
        return TEIError(
            error=message, error_type=kind or _TEI_TYPES.get(status, "Validation")
        ).model_dump()
    if path in _COHERE_PATHS:
        return CohereError(message=message).model_dump()
    return Detail(detail=message).model_dump()


def described(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's possible errors, for the OpenAPI page."""
    return {status: {"model": model, "description": _MEANINGS[status]} for status in statuses}


_MEANINGS = {
    400: "The request is no JSON in UTF-8, or has no documents",
    401: "No token, or a wrong one",
    404: "There is no such thing",
    408: "The body did not arrive in time",
    409: "It is there already",
    413: "The body or a text is too long",
    422: "A field is missing or wrong",
    429: "Too many requests at once: try again after Retry-After seconds",
    503: "It took too long, the server ends, or its database is gone",
}
ALL_STATUSES = (400, 401, 408, 413, 422, 429, 503)
"""What every route that takes a body can answer with."""
