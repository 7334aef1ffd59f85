"""The own routes about verdicts: give one, read them, take one's own back, and what they say."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from glossrank.server.asking import LONGEST_QUESTION, MOST_ANSWERS, find, refusing
from glossrank.server.metrics import Metrics
from glossrank.server.problems import ALL_STATUSES, Detail, Problem, described
from glossrank.server.shelf import Loaded, Shelf
from glossrank.server.texts import Sent, Text
from glossrank.server.work import Work
from glossrank.verdicts.store import Added, Verdict, VerdictStore

MOST_VERDICTS = 1_000
"""That one request returns."""
DEFAULT_DAYS, MOST_DAYS = 365, 3_660
"""That the quality is told of."""
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
# For the API's description; the store refuses NUL in plainer words.
_NO_NUL: dict[str, Any] = {"pattern": r"^[^\u0000]*$"}
Stored = Annotated[Text, Field(max_length=LONGEST_QUESTION, json_schema_extra=_NO_NUL)]


class Shown(Sent):
    id: Stored
    probability: float | None = Field(None, ge=0, le=1)


Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Given(Sent):
    question: Stored = Field(min_length=1)
    glossary: Text | None = None
    shown: list[Shown] = Field(default_factory=list, max_length=MOST_ANSWERS)
    person: Stored | None = None
    id: Id | None = Field(None, description="a UUID; sent again, it is stored once")
    fingerprint: Hash | None = Field(
        None, description="of the glossary that was asked, as /v1/ask said; else the present one"
    )
    model: Hash | None = Field(
        None, description="the model_sha that /v1/ask said; else the present one"
    )


class OfTerm(_Given):
    """A term is an answer to the question, or is not."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"question": "How quick are we getting paid by customers?", "verdict": "right", "term_id": "days-sales-outstanding", "shown": [{"id": "days-sales-outstanding", "probability": 0.9}]}]})  # fmt: skip

    verdict: Literal["right", "wrong"]
    term_id: Stored


class OfNone(_Given):
    """Nothing in the glossary answers the question."""

    verdict: Literal["none"]
    term_id: None = None


VerdictRequest = Annotated[OfTerm | OfNone, Field(discriminator="verdict")]


class VerdictBody(BaseModel):
    id: str
    created: datetime
    glossary: str
    fingerprint: str
    model: str
    question: str
    verdict: Literal["right", "wrong", "none"]
    term_id: str | None
    shown: list[Shown]
    person: str | None


class Deleted(BaseModel):
    deleted: int


class Quality(BaseModel):
    """Of the verdicts of one day (UTC) on answers of one model.

    Of what one person said of one question of one glossary, on that day and of that model, only the
    last counts (but that another term is wrong takes back nothing); people without a name are one.
    ``verdicts`` counts all that were given, and
    ``questions`` the different ones. Of the last verdicts that name a right term, ``first`` is the
    share whose term stood first among the answers that were shown, ``found`` the share whose term
    was among them at all; both are null where there is none. ``none`` counts the last verdicts
    that say that nothing fits. A last verdict that calls a term wrong is in none of these three.
    """

    day: date
    model: str
    verdicts: int
    questions: int
    first: float | None
    found: float | None
    none: int


def judging_routes(shelf: Shelf, store: VerdictStore, work: Work, metrics: Metrics) -> APIRouter:
    """The routes, for an application."""
    router = APIRouter(prefix="/v1/verdicts", tags=["verdicts"])
    errors = described(Detail, *ALL_STATUSES, 404)

    @router.post("", status_code=201, responses={**errors, **described(Detail, 409)})
    async def give(body: VerdictRequest, request: Request) -> VerdictBody:
        """Store a verdict; once this is answered, it is kept."""
        loaded = find(shelf, body.glossary)
        terms = loaded.searcher.glossary.terms
        if body.term_id is not None and all(term.id != body.term_id for term in terms):
            raise Problem(
                404, f"expected the id of a term of {loaded.name}, found {body.term_id!r}."
            )
        verdict = _verdict(body, loaded)

        def keep() -> Verdict:
            added: Added = refusing(store.add, verdict)
            # Counted in the thread: a client that has left meanwhile sends it again, and then it
            # is not new.
            if added.new:
                metrics.verdicts.labels(body.verdict).inc()
            return added.stored

        stored = await work.run(request, keep)
        if stored.said != verdict.said:
            raise Problem(
                409,
                f"expected an id of its own for each verdict, found {verdict.id} of another one. "
                "Leave it out, or send that one again.",
            )
        return _body(stored)

    @router.get("", responses=errors)
    async def read(
        request: Request,
        glossary: Annotated[str | None, Query(json_schema_extra=_NO_NUL)] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_VERDICTS)] = 100,
    ) -> list[VerdictBody]:
        """The newest verdicts, oldest first."""
        found = await work.run(
            request, functools.partial(refusing, store.read, glossary=glossary, limit=limit)
        )
        return [_body(verdict) for verdict in found]

    @router.delete("", responses=errors)
    async def delete(
        request: Request, person: Annotated[str, Query(min_length=1, json_schema_extra=_NO_NUL)]
    ) -> Deleted:
        """Remove all that one person said."""
        count = await work.run(request, functools.partial(refusing, store.delete, person=person))
        return Deleted(deleted=count)

    @router.get("/quality", responses=errors)
    async def quality(
        request: Request,
        glossary: Annotated[str | None, Query(json_schema_extra=_NO_NUL)] = None,
        days: Annotated[
            int, Query(ge=1, le=MOST_DAYS, description="the last ones, today included")
        ] = DEFAULT_DAYS,
    ) -> list[Quality]:
        """What the verdicts say of each day's answers, by model, oldest first."""

        def look() -> list[Quality]:
            found = refusing(store.read, glossary=glossary, since=_start_of(days), shown_of="right")
            # In the thread: of many verdicts it takes its time.
            return quality_by_day(found)

        return await work.run(request, look)

    return router


def _start_of(days: int) -> datetime:
    """When the first of the last so many days began; whole days, so that none is told of in part."""
    today = datetime.now(timezone.utc).date()
    return datetime.combine(today - timedelta(days=days - 1), time.min, timezone.utc)


def quality_by_day(found: Sequence[Verdict]) -> list[Quality]:
    """Days in order; see :class:`Quality`.

    Args:
        found: oldest first; ``shown`` is needed of those that say "right" only.
    """
    groups: dict[tuple[date, str], list[Verdict]] = defaultdict(list)
    for verdict in found:
        groups[verdict.created.date(), verdict.model].append(verdict)
    rows = []
    for (day, model), verdicts in sorted(groups.items(), key=lambda item: item[1][0].created):
        last = _last(verdicts)
        places = [_place(verdict) for verdict in last if verdict.verdict == "right"]
        rows.append(
            Quality(
                day=day,
                model=model,
                verdicts=len(verdicts),
                questions=len({(v.glossary, v.question) for v in verdicts}),
                first=_share([place == 1 for place in places]),
                found=_share([place is not None for place in places]),
                none=sum(v.verdict == "none" for v in last),
            )
        )
    return rows


def _last(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Of each question and person the last verdict; that another term is wrong takes nothing back."""
    last: dict[tuple[str, str, str | None], Verdict] = {}
    for verdict in verdicts:
        key = verdict.glossary, verdict.question, verdict.person
        before = last.get(key)
        aside = (
            verdict.verdict == "wrong" and before is not None and before.term_id != verdict.term_id
        )
        if not aside:
            last[key] = verdict
    return list(last.values())


def _place(verdict: Verdict) -> int | None:
    """Where the right term stood among the answers that were shown, from 1, if it did."""
    ids = [str(one["id"]) for one in verdict.shown]
    return ids.index(verdict.term_id) + 1 if verdict.term_id in ids else None


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _verdict(body: OfTerm | OfNone, loaded: Loaded) -> Verdict:
    given: dict[str, Any] = {} if body.id is None else {"id": body.id}
    return Verdict(
        glossary=loaded.name,
        fingerprint=body.fingerprint or loaded.searcher.glossary.fingerprint,
        model=body.model or loaded.searcher.model.fingerprint,
        question=body.question,
        verdict=body.verdict,
        term_id=body.term_id,
        shown=[one.model_dump() for one in body.shown],
        person=body.person,
        **given,
    )


def _body(verdict: Verdict) -> VerdictBody:
    return VerdictBody(
        id=verdict.id,
        created=verdict.created,
        glossary=verdict.glossary,
        fingerprint=verdict.fingerprint,
        model=verdict.model,
        question=verdict.question,
        verdict=verdict.verdict,
        term_id=verdict.term_id,
        shown=[Shown(**one) for one in verdict.shown],
        person=verdict.person,
    )
