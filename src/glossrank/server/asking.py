"""The own routes about glossaries: ask, look, upload, check."""

from __future__ import annotations

import functools
import logging
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from glossrank.errors import GlossrankError, InputError
from glossrank.glossary import DEFAULT_TOP_K, Glossary
from glossrank.server.metrics import Metrics
from glossrank.server.problems import ALL_STATUSES, Detail, Problem, described
from glossrank.server.settings import ServerSettings
from glossrank.server.shelf import NAME_PATTERN, Loaded, Shelf
from glossrank.server.texts import Sent, Text, Whole
from glossrank.server.work import Work

logger = logging.getLogger("glossrank.server")

MOST_ANSWERS = 100
RETRY_SECONDS = 5
"""After which a client may try again what the server could not do."""
LONGEST_QUESTION = 2_000
EXAMPLES = (
    "What are we spending to keep the business running this year?",
    "Are we giving investors a good return via dividends?",
    "How much are things like our patents worth?",
    "How quick are we getting paid by customers?",
    "How has our provit after production been trending lately?",
)
"""The model card's questions, typo included."""
_EXAMPLES_FROM_TERMS = 3

Name = Annotated[str, Path(pattern=f"^{NAME_PATTERN}$", examples=["finance-terms"])]
Format = Annotated[Literal["csv", "tsv", "jsonl", "json", "yaml", "xlsx"], Query()]


class AskRequest(Sent):
    model_config = ConfigDict(json_schema_extra={"examples": [{"question": "How quick are we getting paid by customers?", "top_k": 3}]})  # fmt: skip

    question: Text = Field(min_length=1, max_length=LONGEST_QUESTION)
    glossary: Text | None = Field(None, description="by default the server's first")
    top_k: Whole = Field(DEFAULT_TOP_K, ge=1, le=MOST_ANSWERS)
    explain: bool = False
    as_typed: bool = Field(False, description="leave slips in the question as they are")


class AskResponse(BaseModel):
    """What ``glossrank ask --json`` prints."""

    question: str
    model: str
    model_sha: str
    glossary: str
    fingerprint: str
    read_as: str
    answered: float | None
    none_of_these: bool | None
    ambiguous: list[str]
    scored: int
    answers: list[dict[str, Any]]


class Summary(BaseModel):
    name: str
    terms: int
    fingerprint: str
    uploaded: bool
    examples: list[str]


class TermBody(BaseModel):
    id: str
    term: str
    definition: str
    synonyms: list[str]
    family: str
    formula: str


class GlossaryBody(Summary):
    entries: list[TermBody]


class FindingBody(BaseModel):
    kind: str
    id: str
    line: int | None
    text: str
    fix: str


class LintResponse(BaseModel):
    terms: int
    notes: list[str]
    findings: list[FindingBody]


def asking_routes(
    shelf: Shelf, work: Work, uploading: Work, metrics: Metrics, settings: ServerSettings
) -> APIRouter:
    """The routes, for an application.

    Args:
        work, uploading: what asks, and what reads files.
    """
    router = APIRouter(prefix="/v1", tags=["glossaries"])
    errors = described(Detail, *ALL_STATUSES, 404)

    @router.post("/ask", responses=errors)
    async def ask(body: AskRequest, request: Request) -> AskResponse:
        """The terms of a glossary that answer a question, best first."""
        loaded = find(shelf, body.glossary)
        if settings.log_questions:
            logger.info("asked", extra={"route": "/v1/ask", "question": body.question})
        answers = await work.run(
            request,
            functools.partial(
                refusing, loaded.searcher.search, body.question, body.top_k,
                as_typed=body.as_typed, explain=body.explain,
            ),
        )  # fmt: skip
        # Uploads may have any name: those must not become a label.
        name = loaded.name if loaded.fixed else "uploaded"
        metrics.questions.labels(name, "no" if answers.none_of_these else "yes").inc()
        return AskResponse(
            question=body.question,
            model=loaded.model,
            model_sha=loaded.searcher.model.fingerprint,
            glossary=loaded.name,
            fingerprint=loaded.searcher.glossary.fingerprint,
            **answers.to_dict(),
        )

    @router.get("/glossaries", responses=described(Detail, 401))
    def glossaries() -> list[Summary]:
        """All glossaries that can be asked."""
        return [Summary(**summary(find(shelf, name))) for name in shelf.names]

    @router.get("/glossaries/{name}", responses=described(Detail, 401, 404, 422))
    def glossary(name: Name) -> GlossaryBody:
        """One of them with its terms."""
        loaded = find(shelf, name)
        entries = [
            TermBody(
                id=t.id, term=t.term, definition=t.definition, synonyms=list(t.synonyms),
                family=t.family, formula=t.formula,
            )
            for t in loaded.searcher.glossary.terms
        ]  # fmt: skip
        return GlossaryBody(**summary(loaded), entries=entries)

    @router.put(
        "/glossaries/{name}", responses={**errors, **described(Detail, 409)}, openapi_extra=_FILE
    )
    async def put(name: Name, request: Request, format: Format = "csv") -> Summary:
        """Upload a glossary, or replace one that was uploaded: the body is the file."""
        known = shelf.get(name)
        if known is not None and known.fixed:
            raise Problem(
                409,
                f"expected another name, found {name!r}, with which the server was started. Give another.",
            )
        content = await request.body()
        loaded = await uploading.run(
            request, functools.partial(refusing, shelf.put, name, content, format)
        )
        return Summary(**summary(loaded))

    @router.delete("/glossaries/{name}", responses={**errors, **described(Detail, 409)})
    async def delete(name: Name, request: Request) -> Summary:
        """Remove a glossary that was uploaded; the verdicts on it stay."""
        loaded = find(shelf, name)
        if loaded.fixed:
            raise Problem(
                409,
                f"expected an uploaded glossary, found {name!r}, with which the server was started.",
            )
        await uploading.run(request, functools.partial(refusing, shelf.remove, name))
        return Summary(**summary(loaded))

    @router.post("/lint", responses=errors, openapi_extra=_FILE)
    async def lint(request: Request, format: Format = "csv", model: bool = False) -> LintResponse:
        """What is wrong with a glossary: the body is the file. It is not kept."""
        content = await request.body()
        read, findings = await uploading.run(
            request, functools.partial(refusing, shelf.lint, content, format, with_model=model)
        )
        return LintResponse(
            terms=len(read.terms),
            notes=list(read.notes),
            findings=[
                FindingBody(kind=f.kind, id=f.id, line=f.line, text=f.text, fix=f.fix)
                for f in findings
            ],
        )

    return router


_FILE = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def find(shelf: Shelf, name: str | None) -> Loaded:
    """A glossary by name, or the first.

    Raises:
        Problem: 404.
    """
    loaded = shelf.get(shelf.names[0] if name is None else name)
    if loaded is None:
        known = ", ".join(shelf.names[:10])
        raise Problem(404, f"expected one of the glossaries {known}, found {name!r}.")
    return loaded


def refusing(function: Any, *arguments: Any, **options: Any) -> Any:
    """``function``'s result; what is wrong with the input is a :class:`Problem`.

    Raises:
        Problem: 422, or 503 where it is the server that cannot.
    """
    try:
        return function(*arguments, **options)
    except InputError as error:
        raise Problem(422, str(error)) from None
    except GlossrankError as error:
        logger.error("%s", error)
        # Without the file: where the server keeps things is nobody's business.
        message = f"expected {error.expected}, found {error.found}. {error.fix}"
        raise Problem(503, message, retry_after=RETRY_SECONDS) from None


def summary(loaded: Loaded) -> dict[str, Any]:
    glossary = loaded.searcher.glossary
    return {
        "name": loaded.name,
        "terms": len(glossary),
        "fingerprint": glossary.fingerprint,
        "uploaded": not loaded.fixed,
        "examples": examples(glossary),
    }


def examples(glossary: Glossary) -> list[str]:
    """Questions to begin with: the model card's of the shipped glossary, else of a few terms."""
    if glossary.fingerprint == _shipped():
        return list(EXAMPLES)
    step = max(1, len(glossary) // _EXAMPLES_FROM_TERMS)
    return [f"What is {term.term}?" for term in glossary.terms[::step][:_EXAMPLES_FROM_TERMS]]


@functools.cache
def _shipped() -> str:
    return Glossary.load().fingerprint
