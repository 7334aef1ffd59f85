from __future__ import annotations

import numpy as np

from glossrank import Glossary
from glossrank.bm25 import BM25Index
from glossrank.shortlist import Shortlist, join


def test_what_is_asked_for_is_on_the_list(glossary: Glossary) -> None:
    short = Shortlist(glossary.documents)
    names = [term.id for term in glossary.terms]
    for question, wanted in (
        ("How quick are we getting paid by customers?", "days-sales-outstanding"),
        ("EBITDA", "ebitda"),
        ("what do we owe our suppliers", "trade-payables"),
    ):
        rows = short.rows(question, size=10)
        assert len(set(rows.tolist())) == len(rows) == 10
        assert wanted in [names[row] for row in rows]
    assert sorted(short.rows("tax", size=1000).tolist()) == list(range(len(names)))


def test_equal_documents_are_taken_in_order() -> None:
    assert Shortlist(["cash", "tax", "tax", "tax"]).rows("tax", size=2).tolist() == [1, 2]


def test_words_that_nobody_uses() -> None:
    assert BM25Index(["the of", "and"]).scores("the tax").tolist() == [0, 0]
    scores = BM25Index(["cash flow", "tax due"]).scores("tax?")
    assert scores[1] > scores[0] == 0
    joined = join(np.zeros(2, dtype=np.float32), np.array([0.1, 0.3], dtype=np.float32))
    assert joined[1] > joined[0]
