"""Texts in requests: what every dialect refuses alike."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def _sound(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("expected valid Unicode, found half of a surrogate pair") from None
    return text


Text = Annotated[str, AfterValidator(_sound)]
"""A string that a tokenizer can read: JSON can spell halves of surrogate pairs."""
