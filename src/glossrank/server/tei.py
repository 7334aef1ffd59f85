"""The dialect of Hugging Face's text-embeddings-inference (router/src/http): /rerank, /health, /info.

Its clients send at most 32 texts unless its server was told otherwise; here more are split. One
difference: ``truncate`` is on by default there and here, but with ``false`` a text that is too long
is answered with 413, as its OpenAPI page says, not with 422.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from glossrank.server.problems import ALL_STATUSES, Problem, TEIError, described
from glossrank.server.reranking import Reranker
from glossrank.server.scoring import score_cut
from glossrank.server.settings import ServerSettings
from glossrank.server.texts import NOT_EMPTY, Sent, Text, Texts


class RerankRequest(Sent):
    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "Who owes us money?", "texts": ["Sums that customers still owe.", "Import duties."]}]})  # fmt: skip

    query: Text
    texts: Texts = Field(json_schema_extra=NOT_EMPTY)
    truncate: bool | None = None
    truncation_direction: Literal["right", "left", "Right", "Left"] = "right"
    raw_scores: bool = Field(False, description="logits instead of numbers between 0 and 1")
    return_text: bool = False


class Rank(BaseModel):
    index: int
    text: str | None = None
    score: float


class ModelType(BaseModel):
    reranker: dict[str, dict[str, str]]


class Info(BaseModel):
    model_id: str
    model_sha: str | None
    model_dtype: str
    model_type: ModelType
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_batch_requests: int | None
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: int
    version: str
    sha: str | None
    docker_label: str | None


def tei_routes(reranker: Reranker, settings: ServerSettings) -> APIRouter:
    """The routes, for an application."""
    router = APIRouter(tags=["text-embeddings-inference"])

    @router.post(
        "/rerank",
        response_model=list[Rank],
        response_model_exclude_none=True,
        responses=described(TEIError, *ALL_STATUSES),
    )
    async def rerank(body: RerankRequest, request: Request, response: Response) -> list[Rank]:
        """Scores of texts for a query, best first."""
        if not body.texts:
            raise Problem(400, "`texts` cannot be empty", kind="Empty")
        left = body.truncation_direction.lower() == "left"
        scores = await reranker.scores(
            request,
            body.query,
            body.texts,
            lambda model, query, texts: score_cut(
                model,
                query,
                texts,
                cut="left" if left else "right",
                may_cut=body.truncate is not False,
            ),
        )
        values = scores.logits if body.raw_scores else scores.relevance
        response.headers["x-compute-characters"] = str(
            len(body.query) + sum(len(text) for text in body.texts)
        )
        response.headers["x-compute-tokens"] = str(scores.tokens)
        return [
            Rank(
                index=at, score=float(values[at]), text=body.texts[at] if body.return_text else None
            )
            for at in scores.order
        ]

    @router.head("/health", include_in_schema=False)
    @router.get("/health", response_class=Response, responses=described(TEIError, 503))
    async def health() -> Response:
        """200 while the server computes."""
        if not reranker.alive:
            raise Problem(503, "The thread that computes has ended. Restart the server.")
        return Response(status_code=200)

    @router.get("/info")
    async def info() -> Info:
        """What is served."""
        model = reranker.model
        return Info(
            model_id=reranker.name,
            model_sha=model.fingerprint,
            model_dtype={"fp32": "float32", "bf16": "bfloat16"}.get(
                model.precision, model.precision
            ),
            model_type=ModelType(
                reranker={"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": "0"}}
            ),
            max_concurrent_requests=settings.most_requests,
            max_input_length=model.max_seq_length,
            max_batch_tokens=model.engine.token_budget,
            max_batch_requests=None,
            max_client_batch_size=settings.most_documents,
            auto_truncate=True,
            tokenization_workers=1,
            version=version("glossrank"),
            sha=None,
            docker_label=None,
        )

    return router
