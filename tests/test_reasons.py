from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glossrank import CrossEncoder, Glossary
from glossrank.reasons import LONGEST_PART, definition_parts, explain_answers
from glossrank.template import DEFAULT_TEMPLATE

QUESTIONS = (
    "How quick are we getting paid by customers?",
    "How long does it take us to pay our suppliers after they bill us?",
    "What do we still owe the bank for the loan we took five years ago?",
    "How much of every sale is left once the goods themselves are paid for?",
    "Which costs stay the same however much we produce?",
)


@pytest.fixture(scope="module")
def model() -> CrossEncoder:
    return CrossEncoder("finance-terms", precision="fp32")


def test_weights_are_what_the_logit_falls_by(tiny_model: Path, glossary: Glossary) -> None:
    loaded = CrossEncoder(tiny_model, precision="fp32")
    term = glossary.terms[0]
    (reasons,) = explain_answers(loaded, "how much tax?", [term], template=DEFAULT_TEMPLATE)
    assert [word.text for word in reasons.words] == ["how", "much", "tax"]
    whole, without = loaded.logits([("how much tax?", term.document), ("how tax?", term.document)])
    assert reasons.words[1].weight == pytest.approx(float(whole - without), abs=1e-4)
    for span in reasons.words:
        assert "how much tax?"[span.start : span.end] == span.text
    for span in reasons.parts:
        assert term.definition[span.start : span.end] == span.text


def test_the_heaviest_words_matter_more_than_random_ones(
    model: CrossEncoder, glossary: Glossary
) -> None:
    """Together, not one by one: the pair of heaviest words is taken out at once."""
    draw = random.Random(3)
    heavy, chance = [], []
    for question in QUESTIONS:
        answer = glossary.search(question, 1, model=model, explain=True)[0]
        assert answer.reasons is not None
        weights = [word.weight for word in answer.reasons.words]
        words = [word.text for word in answer.reasons.words]
        ranked = sorted(range(len(words)), key=lambda at: -weights[at])
        picks = [ranked[:2], *(draw.sample(range(len(words)), 2) for _ in range(4))]
        texts = [" ".join(w for at, w in enumerate(words) if at not in pick) for pick in picks]
        logits = model.logits([(text, answer.term.document) for text in [" ".join(words), *texts]])
        falls = (logits[0] - logits[1:]).tolist()
        heavy.append(falls[0])
        chance += falls[1:]
    assert sum(heavy) / len(heavy) > 2 * max(0.1, sum(chance) / len(chance))


def test_the_part_that_matched_is_named(model: CrossEncoder) -> None:
    from glossrank import Term

    term = Term(
        "x",
        "Terms of Trade",
        "Goods are shipped in wooden boxes; customers pay their invoices within thirty days; "
        "the warehouse closes at noon on Fridays.",
    )
    (reasons,) = explain_answers(
        model, "How quickly do customers have to pay us?", [term], template=DEFAULT_TEMPLATE
    )
    assert reasons.matched is not None
    assert "customers pay" in reasons.matched.text


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_parts_are_in_order_and_short(definition: str) -> None:
    end = 0
    for start, stop in definition_parts(definition):
        assert end <= start < stop <= len(definition)
        assert 1 <= len(definition[start:stop].split()) <= LONGEST_PART
        end = stop
