"""Cohere's dialect: POST /v2/rerank (cohere-python, src/cohere/v2).

Numbers of documents, lengths and what is done with long ones are those of Cohere's documentation:
a document up to ``max_tokens_per_doc``, in pieces that the model can
read, of which the best counts. Of a query half of what the model reads is used, some 250 tokens; Cohere's read 2,048.
"""

from __future__ import annotations

import math
import uuid
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from glossrank.server.problems import ALL_STATUSES, CohereError, Problem, described
from glossrank.server.reranking import Reranker
from glossrank.server.scoring import score_pieces
from glossrank.server.texts import NOT_EMPTY, Count, Priority, Sent, Text, Texts

DEFAULT_TOKENS_PER_DOCUMENT = 4_096
_UNIT = 100
"""Documents of Cohere's search unit."""


class CohereRequest(Sent):
    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "finance-terms", "query": "Who owes us money?", "documents": ["Sums that customers still owe.", "Import duties."], "top_n": 1}]})  # fmt: skip

    model: Text | None = Field(None, description="any name; this server has one model")
    query: Text = Field(min_length=1)
    documents: Texts = Field(json_schema_extra=NOT_EMPTY)
    top_n: Count | None = None
    # LangChain sends null for what its caller did not set.
    max_tokens_per_doc: Count | None = DEFAULT_TOKENS_PER_DOCUMENT
    priority: Priority | None = Field(0, description="accepted, without effect")


class CohereResult(BaseModel):
    index: int
    relevance_score: float


class CohereResponse(BaseModel):
    id: str
    results: list[CohereResult]
    meta: dict[str, Any]


def cohere_routes(reranker: Reranker) -> APIRouter:
    """The routes, for an application."""
    router = APIRouter(tags=["Cohere"])

    @router.post("/v2/rerank", responses=described(CohereError, *ALL_STATUSES))
    async def rerank(body: CohereRequest, request: Request) -> CohereResponse:
        """Relevance of documents for a query, best first."""
        if not body.documents:
            raise Problem(400, "invalid request: list of documents must not be empty")
        most_tokens = body.max_tokens_per_doc or DEFAULT_TOKENS_PER_DOCUMENT
        scores = await reranker.scores(
            request,
            body.query,
            body.documents,
            lambda model, query, documents: score_pieces(
                model, query, documents, most_tokens=most_tokens
            ),
        )
        relevance = scores.relevance
        return CohereResponse(
            id=str(uuid.uuid4()),
            results=[
                CohereResult(index=at, relevance_score=float(relevance[at]))
                for at in scores.order[: body.top_n]
            ],
            meta={
                "api_version": {"version": "2", "is_experimental": False},
                "billed_units": {"search_units": math.ceil(len(body.documents) / _UNIT)},
                "tokens": {"input_tokens": scores.tokens},
            },
        )

    return router
