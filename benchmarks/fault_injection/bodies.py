"""Request bodies, paths and fields that no sound client sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from fault_injection.outcomes import Outcomes
from fault_injection.process import Answer, Server

JSON_PATHS = ("/rerank", "/v2/rerank", "/v1/rerank", "/v1/ask", "/v1/verdicts")
TEXT = {
    "/rerank": '{"query": %s, "texts": ["a", %s]}',
    "/v2/rerank": '{"query": %s, "documents": ["a", %s], "model": %s}',
    "/v1/rerank": '{"query": %s, "documents": ["a", %s], "model": %s}',
    "/v1/ask": '{"question": %s, "glossary": %s}',
    "/v1/verdicts": '{"question": %s, "verdict": "none", "person": %s, "glossary": %s, "shown": [{"id": %s}]}',
}
"""Bodies with a text wherever one may be."""
NUMBER = {
    "/rerank": '{"query": "a", "texts": ["b"], "top_n": %s, "raw_scores": %s}',
    "/v2/rerank": '{"query": "a", "documents": ["b"], "top_n": %s, "max_tokens_per_doc": %s}',
    "/v1/rerank": '{"query": "a", "documents": ["b"], "top_n": %s}',
    "/v1/ask": '{"question": "a", "top_k": %s}',
    "/v1/verdicts": '{"question": "a", "verdict": "none", "shown": [{"id": "b", "probability": %s}]}',
}
NUMBERS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "9" * 400,
    "9" * 5000,
    "-1",
    "0.5",
    '"9"',
    "null",
)
NAMES = (
    "../x", "..%2Fx", "%2e%2e/x", "%2e%2e%2fx", "..%5cx", "/etc/passwd", "%2Fetc%2Fpasswd", ".", "..",
    "a%00", "a%0a", "%ff", "con", "x" * 65, "x" * 60_000, "a;b", "a%20b", "%F0%9F%98%80",
)  # fmt: skip
GLOSSARY = b"term,definition\nChurn,Customers who leave.\nMRR,Revenue of a month.\n"
FIFTY_MB = 50_000_000
REFUSED = frozenset(range(400, 500))
TAKEN_OR_REFUSED = REFUSED | {200, 201}


def filled(template: str, value: str) -> list[bytes]:
    """A body for each place of the template, with the value there and what is sound elsewhere."""
    parts = template.split("%s")
    bodies = []
    for at in range(1, len(parts)):
        sound = "1" if template in NUMBER.values() else '"finance-terms"'
        found = parts[0]
        for place, part in enumerate(parts[1:], start=1):
            found += (value if place == at else sound) + part
        bodies.append(found.encode("utf-8", "surrogatepass"))
    return bodies


def everywhere(
    server: Server,
    outcomes: Outcomes,
    fault: str,
    contents: Callable[[str], list[bytes]],
    allowed: frozenset[int] = REFUSED,
) -> None:
    """The same fault on all routes that take JSON."""
    answers = [
        server.send("POST", path, content, timeout=60)
        for path in JSON_PATHS
        for content in contents(path)
    ]
    judge(server, outcomes, fault, answers, allowed)


def judge(
    server: Server, outcomes: Outcomes, fault: str, answers: list[Answer], allowed: frozenset[int]
) -> None:
    """Good if all statuses are allowed, each answer says something, and the server is sound."""
    statuses = sorted({answer.status for answer in answers})
    bad = [answer for answer in answers if answer.status not in allowed or not answer.content]
    trouble = server.trouble()
    example = bad[0] if bad else max(answers, key=lambda answer: answer.status)
    found = f"{', '.join(map(str, statuses))}; {example}"
    outcomes.add(fault, f"{found}; {trouble}" if trouble else found, not bad and not trouble)


def broken_json(server: Server, outcomes: Outcomes) -> None:
    deep = b"[" * 100_000
    cases: dict[str, bytes] = {
        "100,000 nested lists, not closed": deep,
        "100,000 nested lists": deep + b"]" * 100_000,
        "100,000 nested lists in a field": b'{"query": %s, "question": %s}'
        % ((deep + b"]" * 100_000,) * 2),
        "100,000 nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "invalid UTF-8": b'{"query": "\xff\xfe", "question": "\xc3\x28", "texts": ["a"]}',
        "UTF-16": json.dumps({"query": "a", "texts": ["b"]}).encode("utf-16"),
        "no JSON": b"question=a&verdict=none",
        "JSON that breaks off": b'{"question": "a',
    }
    for fault, content in cases.items():
        # UTF-16 is JSON that the standard's older edition allows.
        allowed = TAKEN_OR_REFUSED if fault == "UTF-16" else REFUSED
        everywhere(server, outcomes, f"JSON: {fault}", lambda _, c=content: [c], allowed)  # type: ignore[misc]


def odd_values(server: Server, outcomes: Outcomes) -> None:
    def in_text(value: str) -> Callable[[str], list[bytes]]:
        return lambda path: filled(TEXT[path], value)

    everywhere(server, outcomes, 'JSON: "\\ud800" in every text', in_text('"\\ud800"'))
    raw = in_text('"\ud800"')
    everywhere(server, outcomes, "JSON: half a surrogate pair as raw bytes", raw)
    everywhere(
        server, outcomes, "JSON: NUL in every text", in_text('"a\\u0000b"'), TAKEN_OR_REFUSED
    )
    everywhere(server, outcomes, "JSON: lists in place of texts", in_text('[["a"]]'))
    for number in NUMBERS:
        short = number if len(number) < 20 else f"an integer of {len(number)} digits"
        everywhere(
            server, outcomes, f"JSON: {short} in every number",
            lambda path, n=number: filled(NUMBER[path], n), TAKEN_OR_REFUSED,  # type: ignore[misc]
        )  # fmt: skip
    everywhere(
        server, outcomes, "JSON: every key twice",
        lambda path: [b'{"query": 1, "question": 1, ' + filled(TEXT[path], '"a"')[0][1:]],
        TAKEN_OR_REFUSED,
    )  # fmt: skip


def queries(server: Server, outcomes: Outcomes) -> None:
    """What stands in an address."""
    paths = [
        f"/v1/verdicts{query}"
        for query in (
            "?glossary=%00", "?glossary=%ff", "?limit=NaN", f"?limit={'9' * 5000}", "?limit=-1",
            "/quality?glossary=%00", "?limit=1&limit=2&limit=x",
        )
    ]  # fmt: skip
    answers = [server.send("GET", path) for path in paths]
    answers += [server.send("DELETE", f"/v1/verdicts?person={p}") for p in ("%00", "%ff", "")]
    judge(server, outcomes, "queries with NUL, bad UTF-8, huge numbers", answers, TAKEN_OR_REFUSED)


def names(server: Server, outcomes: Outcomes) -> None:
    """Of glossaries; none may become a file outside of their folder, or a strange one in it."""
    before = server.call("/v1/glossaries").json
    answers = [
        server.send(method, f"/v1/glossaries/{name}", GLOSSARY if method == "PUT" else b"")
        for name in NAMES
        if name != "con"
        for method in ("PUT", "GET")
    ]
    if server.call("/v1/glossaries").json != before:
        outcomes.add("glossary names", "one of them was stored", False)
    judge(server, outcomes, f"{len(NAMES) - 1} names of glossaries: ../x, ..%2Fx, %2e%2e/, absolute, 60,000 characters, NUL ...", answers, REFUSED)  # fmt: skip
    content = b'{"question": "a", "glossary": "../../etc/passwd"}'
    answer = server.send("POST", "/v1/ask", content)
    judge(server, outcomes, "a path as the glossary of a question", [answer], REFUSED)


def large_bodies(server: Server, outcomes: Outcomes) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(FIFTY_MB // 50_000):
            yield b" " * 50_000

    too_large = frozenset({413})
    for path in ("/rerank", "/v1/verdicts", "/v1/lint"):
        announced = server.send("POST", path, iter(()), Content_Length=str(FIFTY_MB), timeout=30)
        judge(server, outcomes, f"{path}: 50 MB announced, nothing sent", [announced], too_large)
        memory = server.peak_memory(anew=True)
        whole = server.send("POST", path, pieces(), Content_Length=str(FIFTY_MB), timeout=60)
        judge(server, outcomes, f"{path}: 50 MB announced and sent", [whole], too_large)
        chunked = server.send("POST", path, pieces(), timeout=60)
        grown = server.peak_memory() - memory
        judge(server, outcomes, f"{path}: 50 MB in chunks, +{grown} MB", [chunked], too_large)
    lengths = ("-1", "abc", "9" * 30, "9" * 5000, "1, 2", "+5", "0x10")
    answers = [
        server.send("POST", "/rerank", iter([b"{}"]), Content_Length=length, timeout=30)
        for length in lengths
    ]
    judge(server, outcomes, "nonsense as Content-Length", answers, REFUSED)


ALL = (broken_json, odd_values, queries, names, large_bodies)
