"""The application as its clients meet it, with the shipped model: dialects, limits, own routes."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from glossrank import CrossEncoder, Glossary
from glossrank.errors import InputError
from glossrank.search import Searcher
from glossrank.server import judging
from glossrank.server.app import create_app
from glossrank.server.settings import ServerSettings
from glossrank.server.shelf import MOST_UNPACKED, read_content
from glossrank.verdicts.store import Verdict, VerdictKind, VerdictStore

QUESTION = "How quick are we getting paid by customers?"
TEXTS = [
    "Import duties are taxes on goods that enter a country.",
    "Days sales outstanding is the average number of days that customers take to pay.",
    "A lease is a contract to use an asset for a time.",
]
GLOSSARY = "term,definition\nChurn,The share of customers who leave in a month.\nMRR,Monthly recurring revenue.\n"
URL = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def model() -> CrossEncoder:
    return CrossEncoder("finance-terms")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = ServerSettings(
        data=tmp_path_factory.mktemp("data"), most_body_bytes=400_000, most_documents=500,
        most_text_characters=50_000,
    )  # fmt: skip
    with TestClient(create_app(settings), URL, raise_server_exceptions=False) as client:
        yield client


# ---- text-embeddings-inference


def test_tei_ranks_as_the_model_does(client: TestClient, model: CrossEncoder) -> None:
    answer = client.post("/rerank", json={"query": QUESTION, "texts": TEXTS})
    assert answer.status_code == 200
    ranks = answer.json()
    assert [sorted(rank) for rank in ranks] == [["index", "score"]] * 3
    logits = model.logits([(QUESTION, text) for text in TEXTS])
    assert [rank["index"] for rank in ranks] == np.argsort(-logits).tolist()
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(
        [r["score"] for r in ranks], expected[np.argsort(-logits)], atol=1e-6
    )
    assert int(answer.headers["x-compute-tokens"]) > 30


def test_tei_options(client: TestClient, model: CrossEncoder) -> None:
    body = {"query": QUESTION, "texts": TEXTS, "raw_scores": True, "return_text": True}
    ranks = client.post("/rerank", json=body).json()
    assert [rank["text"] for rank in ranks] == [TEXTS[rank["index"]] for rank in ranks]
    logits = model.logits([(QUESTION, text) for text in TEXTS])
    np.testing.assert_allclose([r["score"] for r in ranks], sorted(logits)[::-1], atol=1e-5)


def test_tei_cuts_at_the_end_that_is_asked_for(client: TestClient) -> None:
    filler = "the weather was fine " * 300
    body = {"query": QUESTION, "texts": [f"{TEXTS[1]} {filler}", f"{filler} {TEXTS[1]}"], "raw_scores": True}  # fmt: skip
    right = {r["index"]: r["score"] for r in client.post("/rerank", json=body).json()}
    left = {
        r["index"]: r["score"]
        for r in client.post("/rerank", json={**body, "truncation_direction": "Left"}).json()
    }
    assert right[0] > right[1] + 1
    assert left[1] > left[0] + 1
    refused = client.post("/rerank", json={**body, "truncate": False})
    assert refused.status_code == 413
    assert refused.json()["error_type"] == "Validation"


def test_tei_health_info_metrics(client: TestClient) -> None:
    assert client.get("/health").status_code == 200
    assert client.head("/health").status_code == 200
    info = client.get("/info").json()
    assert info["model_id"] == "finance-terms"
    assert "reranker" in info["model_type"]
    client.post("/rerank", json={"query": QUESTION, "texts": TEXTS})
    text = client.get("/metrics").text
    assert 'glossrank_requests_total{route="/rerank",status="200"}' in text
    assert "glossrank_request_seconds_bucket" in text


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"query": "a", "texts": []}, 400, "Empty"),
        ({"query": "a"}, 422, "Validation"),
        ({"query": "a", "texts": "b"}, 422, "Validation"),
        ({"query": "a", "texts": ["b"], "raw_scores": 0}, 422, "Validation"),
        ({"query": "a", "texts": ["b"] * 501}, 422, "Validation"),
        ({"query": "a", "texts": ["b" * 50_001]}, 413, "Validation"),
        ({"query": "a\ud800", "texts": ["b"]}, 422, "Validation"),
    ],
)
def test_tei_errors(client: TestClient, body: Any, status: int, kind: str) -> None:
    answer = client.post(
        "/rerank", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "error_type"}
    assert answer.json()["error_type"] == kind


# ---- Cohere


def test_cohere(client: TestClient) -> None:
    body = {"model": "any", "query": QUESTION, "documents": TEXTS, "top_n": 2}
    found = client.post("/v2/rerank", json=body).json()
    assert found["results"][0]["index"] == 1
    assert len(found["results"]) == 2
    assert all(0 <= result["relevance_score"] <= 1 for result in found["results"])
    assert found["meta"]["api_version"]["version"] == "2"
    unset = {**body, "max_tokens_per_doc": None, "priority": None}
    assert client.post("/v2/rerank", json=unset).json()["results"] == found["results"]
    empty = client.post("/v2/rerank", json={**body, "documents": []})
    assert (empty.status_code, list(empty.json())) == (400, ["message"])


def test_cohere_reads_long_documents_to_the_end(client: TestClient) -> None:
    filler = "the weather was fine " * 600
    body = {"query": QUESTION, "documents": [f"{filler} {TEXTS[1]} {filler}", filler]}
    found = client.post("/v2/rerank", json=body).json()["results"]
    assert found[0]["index"] == 0
    assert found[0]["relevance_score"] > 2 * found[1]["relevance_score"]
    short = client.post("/v2/rerank", json={**body, "max_tokens_per_doc": 100}).json()["results"]
    assert short[0]["relevance_score"] == pytest.approx(short[1]["relevance_score"], abs=1e-6)


# ---- Jina


def test_jina(client: TestClient) -> None:
    documents = [TEXTS[0], {"text": TEXTS[1]}, TEXTS[2]]
    found = client.post("/v1/rerank", json={"query": QUESTION, "documents": documents}).json()
    assert found["object"] == "list"
    assert found["results"][0]["document"] == {"text": TEXTS[1]}
    assert found["usage"]["total_tokens"] > 0
    bare = client.post(
        "/v1/rerank", json={"query": QUESTION, "documents": documents, "return_documents": False}
    )
    assert all("document" not in result for result in bare.json()["results"])
    wrong = client.post("/v1/rerank", json={"query": QUESTION, "documents": []})
    assert (wrong.status_code, list(wrong.json())) == (422, ["detail"])


# ---- what no client should send


@pytest.mark.parametrize("path", ["/rerank", "/v2/rerank", "/v1/rerank", "/v1/ask", "/v1/verdicts"])
@pytest.mark.parametrize(
    ("content", "statuses"),
    [
        (b"", {422}),
        (b"\xff\xfe{", {400}),
        (b"{", {400}),
        (b"[" * 100_000, {400}),
        (b'{"query": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", {400, 422}),
        (b"null", {422}),
        (b" " * 400_001, {413}),
        (b'{"query": NaN, "texts": [1e999]}', {400, 422}),
    ],
    ids=["empty", "not utf-8", "cut", "deep", "deep value", "null", "large", "numbers"],
)
def test_broken_bodies(client: TestClient, path: str, content: bytes, statuses: set[int]) -> None:
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in statuses, answer.text
    assert answer.json()


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_the_name_of_a_model_is_a_sound_text(client: TestClient, path: str) -> None:
    body = {"query": "a", "documents": ["b"], "model": "\ud800"}
    answer = client.post(
        path, content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422


def test_nul_bytes_are_texts_like_others(client: TestClient) -> None:
    answer = client.post("/rerank", json={"query": "a\0b", "texts": ["\0", "x"]})
    assert answer.status_code == 200


def test_unknown_paths_and_methods(client: TestClient) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.get("/rerank").status_code == 405


def test_tokens(tmp_path: Path) -> None:
    token = "a" * 20
    app = create_app(ServerSettings(data=tmp_path, tokens=(token,)))
    with TestClient(app, URL) as client:
        body = {"query": QUESTION, "texts": TEXTS}
        for headers in ({}, {"Authorization": "Bearer b"}, {"Authorization": token}):
            answer = client.post("/rerank", json=body, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["error"].endswith("found another." if headers else "found none.")
        good = {"Authorization": f"Bearer {token}"}
        assert client.post("/rerank", json=body, headers=good).status_code == 200
        assert client.get("/health").status_code == 200
        assert client.get("/").status_code == 200
        assert client.get("/v1/glossaries").status_code == 401


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_many_wrong_texts_are_one_error(client: TestClient, path: str) -> None:
    name = "texts" if path == "/rerank" else "documents"
    start = time.monotonic()
    answer = client.post(path, json={"query": "a", name: [1] * 100_000})
    assert answer.status_code == 422
    assert time.monotonic() - start < 1


def test_other_web_pages_are_kept_out(client: TestClient) -> None:
    content = GLOSSARY.encode()
    rebound = {"Host": "evil.example:8080"}
    assert client.get("/v1/glossaries", headers=rebound).status_code == 403
    foreign = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
    answer = client.post("/v1/lint", content=content, headers=foreign)
    assert answer.status_code == 403
    assert "--origin" in answer.json()["detail"]
    own = {"Origin": URL}
    assert client.post("/v1/lint", content=content, headers=own).status_code == 200
    for name in ("localhost:8080", "[::1]:8080", "127.0.0.1"):
        assert client.get("/v1/glossaries", headers={"Host": name}).status_code == 200


def test_origins_and_names_that_were_allowed(tmp_path: Path) -> None:
    settings = ServerSettings(
        data=tmp_path, origins=("https://board.example",), allowed_hosts=("terms.example",)
    )
    with TestClient(create_app(settings), "http://terms.example") as client:
        headers = {"Origin": "https://board.example"}
        answer = client.post("/v1/lint", content=GLOSSARY.encode(), headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://board.example"
    # At an address of the network anybody may call it anything.
    assert ServerSettings(host="0.0.0.0").names == ()


# ---- the own routes


def test_ask_answers_as_the_search_does(client: TestClient, model: CrossEncoder) -> None:
    found = client.post("/v1/ask", json={"question": QUESTION, "top_k": 3}).json()
    expected = Searcher(Glossary.load(), model).search(QUESTION, 3).to_dict()
    assert found["answers"] == json.loads(json.dumps(expected["answers"]))
    assert found["fingerprint"] == Glossary.load().fingerprint
    explained = client.post("/v1/ask", json={"question": QUESTION, "explain": True}).json()
    assert explained["answers"][0]["reasons"]["words"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"question": ""}, 422),
        ({"question": "  "}, 422),
        ({"question": "a" * 2_001}, 422),
        ({"question": "a", "top_k": 0}, 422),
        ({"question": "a", "glossary": "../../etc"}, 404),
    ],
)
def test_ask_refuses(client: TestClient, body: dict[str, Any], status: int) -> None:
    answer = client.post("/v1/ask", json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_glossaries_are_uploaded_asked_and_replaced(client: TestClient) -> None:
    made = client.put("/v1/glossaries/shop?format=csv", content=GLOSSARY.encode())
    assert (made.status_code, made.json()["terms"]) == (200, 2)
    found = client.post("/v1/ask", json={"question": "who is leaving us?", "glossary": "shop"})
    assert found.json()["answers"][0]["term"] == "Churn"
    listed = client.get("/v1/glossaries").json()
    assert [one["name"] for one in listed][:1] == ["finance-terms"]
    assert "shop" in [one["name"] for one in listed]
    entries = client.get("/v1/glossaries/shop").json()["entries"]
    assert [entry["term"] for entry in entries] == ["Churn", "MRR"]
    wrong = client.put("/v1/glossaries/shop?format=csv", content=b"term\nChurn\n")
    assert wrong.status_code == 422
    assert client.get("/v1/glossaries/shop").json()["terms"] == 2
    other = client.put(
        "/v1/glossaries/shop?format=jsonl",
        content=b'{"term": "ARPU", "definition": "Revenue per user."}\n',
    )
    assert other.json()["terms"] == 1


@pytest.mark.parametrize(
    "name", ["..%2F..%2Fetc", "%2e%2e", "a%00b", "A", "con.csv", "x" * 65, "a%0ab"]
)
def test_bad_names_of_glossaries(client: TestClient, name: str) -> None:
    answer = client.put(f"/v1/glossaries/{name}", content=GLOSSARY.encode())
    assert answer.status_code in (404, 405, 422)


def test_the_servers_own_glossary_stays(client: TestClient) -> None:
    answer = client.put("/v1/glossaries/finance-terms", content=GLOSSARY.encode())
    assert answer.status_code == 409


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "yaml", "xlsx"])
def test_broken_glossaries(client: TestClient, kind: str) -> None:
    for content in (b"", b"\xff\xfe\x00", b"\0" * 1000, b"PK\x03\x04broken", b"[" * 5000):
        answer = client.put(f"/v1/glossaries/broken?format={kind}", content=content)
        assert answer.status_code == 422, answer.text
        assert "/tmp" not in answer.text


def test_uploads_that_would_cost_much_are_refused(client: TestClient) -> None:
    rows = b"term,definition\n" + b"".join(b"%d,b\n" % at for at in range(20_001))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"\0" * (MOST_UNPACKED + 1))
    for kind, content in (("csv", rows), ("xlsx", packed.getvalue())):
        for answer in (
            client.put(f"/v1/glossaries/costly?format={kind}", content=content),
            client.post(f"/v1/lint?format={kind}", content=content),
        ):
            assert answer.status_code == 422
            assert "expected at most 20,000" in answer.json()["detail"]
    with pytest.raises(InputError, match="at most 1,000,000 bytes"):
        read_content(b"a" * 1_000_001, "yaml", most_terms=9)


def test_uploads_are_few_and_can_be_removed(tmp_path: Path) -> None:
    settings = ServerSettings(data=tmp_path, most_glossaries=2)
    with TestClient(create_app(settings), URL) as client:
        assert client.put("/v1/glossaries/shop", content=GLOSSARY.encode()).status_code == 200
        assert client.put("/v1/glossaries/shop", content=GLOSSARY.encode()).status_code == 200
        refused = client.put("/v1/glossaries/more", content=GLOSSARY.encode())
        assert refused.status_code == 422
        assert "at most 2 glossaries" in refused.json()["detail"]
        assert client.delete("/v1/glossaries/finance-terms").status_code == 409
        assert client.delete("/v1/glossaries/shop").json()["terms"] == 2
        assert client.get("/v1/glossaries/shop").status_code == 404
        assert list((tmp_path / "glossaries").iterdir()) == []
        assert client.put("/v1/glossaries/more", content=GLOSSARY.encode()).status_code == 200


def test_what_is_asked_is_counted(tmp_path: Path) -> None:
    with TestClient(create_app(ServerSettings(data=tmp_path)), URL) as client:
        client.put("/v1/glossaries/shop", content=GLOSSARY.encode())
        client.post("/v1/ask", json={"question": "who leaves us?", "glossary": "shop"})
        figures = client.get("/metrics").text
        assert "glossrank_pairs_total 2.0" in figures
        assert 'glossary="uploaded"' in figures


def test_an_upload_that_cannot_be_kept(tmp_path: Path) -> None:
    with TestClient(create_app(ServerSettings(data=tmp_path)), URL) as client:
        (tmp_path / "glossaries").write_text("in the way")
        answer = client.put("/v1/glossaries/shop", content=GLOSSARY.encode())
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert str(tmp_path) not in answer.text
        assert client.get("/v1/glossaries/shop").status_code == 404


def test_a_wide_file_is_read_in_time(client: TestClient) -> None:
    header = ",".join(f"c{at}" for at in range(30_000))
    content = f"term,definition,{header}\na,b{',' * 30_000}\n"
    start = time.monotonic()
    assert client.post("/v1/lint", content=content.encode()).status_code == 200
    assert time.monotonic() - start < 10


def test_lint(client: TestClient) -> None:
    content = "term,definition\nChurn,Customers who leave.\nMRR,\n"
    found = client.post("/v1/lint", content=content.encode()).json()
    assert found["findings"]
    assert all(finding["fix"] for finding in found["findings"])


# ---- verdicts


def verdict(**changes: Any) -> dict[str, Any]:
    return {
        "question": QUESTION,
        "verdict": "right",
        "term_id": "days-sales-outstanding",
        "shown": [{"id": "days-sales-outstanding", "probability": 0.9}],
        **changes,
    }


def test_verdicts_are_kept_read_and_removed(client: TestClient) -> None:
    own = "0a0b0c0d-0000-4000-8000-000000000001"
    first = client.post("/v1/verdicts", json=verdict(id=own, person="ann"))
    assert first.status_code == 201
    assert client.post("/v1/verdicts", json=verdict(id=own, person="ann")).status_code == 201
    client.post("/v1/verdicts", json=verdict(person="bob", verdict="none", term_id=None))
    found = client.get("/v1/verdicts").json()
    assert [one["person"] for one in found] == ["ann", "bob"]
    assert found[0]["model"] == CrossEncoder("finance-terms").fingerprint
    (day,) = client.get("/v1/verdicts/quality").json()
    assert (day["verdicts"], day["first"], day["none"]) == (2, 1.0, 1)
    assert client.delete("/v1/verdicts", params={"person": "ann"}).json() == {"deleted": 1}
    assert [one["person"] for one in client.get("/v1/verdicts").json()] == ["bob"]


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "/v1/verdicts?glossary=%00"),
        ("GET", "/v1/verdicts/quality?glossary=%00"),
        ("DELETE", "/v1/verdicts?person=%00"),
    ],
)
def test_nul_in_what_is_looked_for(client: TestClient, method: str, address: str) -> None:
    assert client.request(method, address).status_code == 422


@pytest.mark.parametrize(
    "changes",
    [
        {"term_id": None},
        {"fingerprint": "short"},
        {"verdict": "none"},
        {"verdict": "maybe"},
        {"question": ""},
        {"id": "1; DROP TABLE verdicts"},
        {"shown": [{"id": "a", "probability": 2}]},
    ],
)
def test_wrong_verdicts(client: TestClient, changes: dict[str, Any]) -> None:
    assert client.post("/v1/verdicts", json=verdict(**changes)).status_code == 422


def test_whole_numbers_may_have_a_point(client: TestClient) -> None:
    body = {"query": QUESTION, "documents": TEXTS}
    assert len(client.post("/v2/rerank", json={**body, "top_n": 2.0}).json()["results"]) == 2
    assert client.post("/v2/rerank", json={**body, "top_n": 1.5}).status_code == 422


def test_a_verdict_on_a_term_that_is_not_there(client: TestClient) -> None:
    answer = client.post("/v1/verdicts", json=verdict(term_id="no-such-term"))
    assert answer.status_code == 404
    assert "no-such-term" in answer.json()["detail"]


def test_an_id_is_of_one_verdict(client: TestClient) -> None:
    own = "0a0b0c0d-0000-4000-8000-000000000002"
    assert client.post("/v1/verdicts", json=verdict(id=own)).status_code == 201
    other = client.post("/v1/verdicts", json=verdict(id=own, verdict="wrong"))
    assert other.status_code == 409
    kept = [one for one in client.get("/v1/verdicts").json() if one["id"] == own]
    assert [one["verdict"] for one in kept] == ["right"]


def test_a_verdict_is_on_what_was_shown(client: TestClient) -> None:
    # Between the question and the verdict another model may have come.
    answer = client.post("/v1/verdicts", json=verdict(model="a" * 64, fingerprint="b" * 64)).json()
    assert (answer["model"], answer["fingerprint"]) == ("a" * 64, "b" * 64)


def said(kind: VerdictKind, term: str | None = None, **changes: Any) -> Verdict:
    facts = {
        "glossary": "shop", "fingerprint": "f", "model": "m", "question": "q", "person": "ann",
        "shown": [{"id": "a"}, {"id": "b"}], "created": datetime(2026, 1, 2, tzinfo=timezone.utc),
        **changes,
    }  # fmt: skip
    return Verdict(verdict=kind, term_id=term, **facts)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        # verdicts, questions, first, found, none
        ([said("right", "a")], (1, 1, 1.0, 1.0, 0)),
        ([said("right", "b")], (1, 1, 0.0, 1.0, 0)),
        ([said("right", "c")], (1, 1, 0.0, 0.0, 0)),
        ([said("wrong", "a")], (1, 1, None, None, 0)),
        ([said("right", "a"), said("none")], (2, 1, None, None, 1)),
        ([said("none"), said("none"), said("right", "b")], (3, 1, 0.0, 1.0, 0)),
        ([said("right", "a"), said("wrong", "a")], (2, 1, None, None, 0)),
        ([said("right", "a"), said("wrong", "b")], (2, 1, 1.0, 1.0, 0)),
        ([said("right", "a"), said("right", "b", person="bob")], (2, 1, 0.5, 1.0, 0)),
        ([said("right", "a"), said("none", glossary="bank")], (2, 2, 1.0, 1.0, 1)),
        ([said("right", "a"), said("right", "b", glossary="bank")], (2, 2, 0.5, 1.0, 0)),
    ],
)
def test_the_last_verdict_of_a_person_counts(
    verdicts: Sequence[Verdict], expected: tuple[object, ...]
) -> None:
    (day,) = judging.quality_by_day(verdicts)
    assert (day.verdicts, day.questions, day.first, day.found, day.none) == expected


@pytest.fixture
def own(tmp_path: Path) -> Iterator[TestClient]:
    """A server with verdicts of its own, in ``tmp_path``."""
    settings = ServerSettings(data=tmp_path)
    with TestClient(create_app(settings), URL, raise_server_exceptions=False) as client:
        yield client


def test_quality_is_of_the_last_days_and_computed_beside(
    own: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = VerdictStore(ServerSettings(data=tmp_path).database_url)
    now = datetime.now(timezone.utc)
    for days in (0, 200, 500):
        store.add(said("right", "b", created=now - timedelta(days=days)))
        store.add(said("none", created=now - timedelta(days=days), person="bob"))
    store.close()
    threads = []

    def noted(found: Sequence[Verdict]) -> list[judging.Quality]:
        threads.append(threading.current_thread().name)
        return computed(found)

    computed = judging.quality_by_day
    monkeypatch.setattr(judging, "quality_by_day", noted)
    for query, count in (("", 2), ("?days=3660", 3), ("?days=1", 1), ("?days=1&glossary=x", 0)):
        rows = own.get(f"/v1/verdicts/quality{query}").json()
        assert [(row["found"], row["none"]) for row in rows] == [(1.0, 1)] * count
    assert all(name.startswith("request") for name in threads)
    for wrong in ("0", "3661", "x"):
        assert own.get(f"/v1/verdicts/quality?days={wrong}").status_code == 422


def test_clients_do_not_learn_where_verdicts_are(own: TestClient, tmp_path: Path) -> None:
    (tmp_path / "verdicts.sqlite").rename(tmp_path / "away")
    for answer in (own.get("/v1/verdicts"), own.get("/v1/verdicts/quality")):
        assert answer.status_code == 503
        assert "expected the file that verdicts were kept in" in answer.json()["detail"]
        assert "sqlite" not in answer.text
        assert str(tmp_path) not in answer.text


def test_a_verdict_sent_again_is_counted_once(own: TestClient) -> None:
    one = verdict(id="0a0b0c0d-0000-4000-8000-000000000003")
    for _ in range(3):
        assert own.post("/v1/verdicts", json=one).status_code == 201
    assert own.post("/v1/verdicts", json={**one, "verdict": "wrong"}).status_code == 409
    counted = re.findall(r"^glossrank_verdicts_total.*", own.get("/metrics").text, re.MULTILINE)
    assert counted == ['glossrank_verdicts_total{verdict="right"} 1.0']


# ---- the page


def test_the_api_page_needs_no_internet(client: TestClient) -> None:
    page = client.get("/docs").text
    for path in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert path.startswith("/"), path
        assert client.get(path).status_code == 200
    assert "swagger-ui-bundle.js" in page


def test_a_wrong_method_names_the_right_ones(client: TestClient) -> None:
    answer = client.patch("/v1/verdicts")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST", "DELETE"}
    assert client.post("/v1/glossaries/finance-terms").headers["allow"] == "GET, PUT, DELETE"


def test_the_page_lets_nothing_foreign_in(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in ("app.js", "app.css", "icon.svg"):
        assert client.get(f"/page/{name}").status_code == 200
    assert client.get("/page/..%2fapp.py").status_code == 404
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text
