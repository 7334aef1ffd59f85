from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossrank.stems import content_stems


@pytest.mark.parametrize(
    "forms",
    [
        ("payable", "payables", "Payables", "PAYABLE"),
        ("lease", "leases", "leased", "leasing", "lease's"),
        ("net", "nets", "netting", "netted"),
        ("company", "companies", "company's", "company\N{RIGHT SINGLE QUOTATION MARK}s"),
        ("tax", "taxes", "taxed", "taxing"),
        ("loss", "losses"),
        ("price", "prices", "pricing", "priced"),
        ("bill", "bills", "billed", "billing"),
        ("planned", "planning", "plan", "plans"),
        ("\u00fcberschuss", "\u00dcBERSCHUSS"),
        ("10k",),
    ],
)
def test_forms_of_a_word_have_one_stem(forms: tuple[str, ...]) -> None:
    assert len({content_stems(form) for form in forms}) == 1
    assert len(content_stems(" ".join(forms))) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("asset", "liability"),
        ("gain", "loss"),
        ("direct", "indirect"),
        ("payable", "payment"),
        ("gas", "gap"),
        ("current", "noncurrent"),
        ("30", "90"),
        ("ebit", "ebitda"),
        ("king", "kin"),
    ],
)
def test_other_words_have_other_stems(one: str, other: str) -> None:
    assert content_stems(one) != content_stems(other)


def test_function_words_and_signs_are_left_out() -> None:
    assert content_stems("What is the amount that we owe, and to whom?") == content_stems(
        "amount owe"
    )
    assert content_stems("How much have you got?") == frozenset()
    assert content_stems("") == content_stems(" ?! -- _ ") == frozenset()
    assert content_stems("debt-to-equity/P&L_2024") == content_stems("debt equity P L 2024")
    assert content_stems("What's it?") == frozenset()


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60), st.text(max_size=60))
def test_stems_of_a_text_are_those_of_its_parts(one: str, other: str) -> None:
    both = content_stems(f"{one} {other}")
    assert both == content_stems(one) | content_stems(other)
    assert both == content_stems(f"{other}\n{one}")
    assert all(both)
