"""Jina's dialect: POST /v1/rerank, which vLLM, infinity and others serve too.

Documents are texts or objects with a ``text``. They come back by default, as Jina's documentation
and vLLM have it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, FailFast, Field

from glossrank.server.problems import ALL_STATUSES, Detail, Problem, described
from glossrank.server.reranking import Reranker
from glossrank.server.scoring import score_pieces
from glossrank.server.texts import NOT_EMPTY, Count, Sent, Text

MOST_TOKENS_PER_DOCUMENT = 8_192


class JinaDocument(Sent):
    text: Text


class JinaRequest(Sent):
    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "finance-terms", "query": "Who owes us money?", "documents": ["Sums that customers still owe.", {"text": "Import duties."}], "top_n": 1}]})  # fmt: skip

    model: Text | None = Field(None, description="any name; this server has one model")
    query: Text = Field(min_length=1)
    documents: Annotated[list[Text | JinaDocument], FailFast()] = Field(json_schema_extra=NOT_EMPTY)
    top_n: Count | None = None
    return_documents: bool = True


class JinaUsage(BaseModel):
    total_tokens: int


class JinaResult(BaseModel):
    index: int
    relevance_score: float
    document: JinaDocument | None = None


class JinaResponse(BaseModel):
    model: str
    object: str = "list"
    usage: JinaUsage
    results: list[JinaResult]


def jina_routes(reranker: Reranker) -> APIRouter:
    """The routes, for an application."""
    router = APIRouter(tags=["Jina"])

    @router.post(
        "/v1/rerank",
        response_model=JinaResponse,
        response_model_exclude_none=True,
        responses=described(Detail, *ALL_STATUSES),
    )
    async def rerank(body: JinaRequest, request: Request) -> JinaResponse:
        """Relevance of documents for a query, best first."""
        if not body.documents:
            raise Problem(422, "expected at least one document, found none. Send some.")
        texts = [d if isinstance(d, str) else d.text for d in body.documents]
        scores = await reranker.scores(
            request,
            body.query,
            texts,
            lambda model, query, documents: score_pieces(
                model, query, documents, most_tokens=MOST_TOKENS_PER_DOCUMENT
            ),
        )
        relevance = scores.relevance
        return JinaResponse(
            model=body.model or reranker.name,
            usage=JinaUsage(total_tokens=scores.tokens),
            results=[
                JinaResult(
                    index=at,
                    relevance_score=float(relevance[at]),
                    document=JinaDocument(text=texts[at]) if body.return_documents else None,
                )
                for at in scores.order[: body.top_n]
            ],
        )

    return router
