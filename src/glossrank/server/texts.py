"""What every dialect's requests have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, FailFast, Field


def _sound(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("expected valid Unicode, found half of a surrogate pair") from None
    return text


Text = Annotated[str, AfterValidator(_sound)]
"""A string that a tokenizer can read: JSON can spell halves of surrogate pairs."""


def _whole(number: object) -> object:
    return int(number) if isinstance(number, float) and number.is_integer() else number


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number; JSON Schema counts 3.0 as one, and some languages write nothing else."""
# The bounds stand before the validator: pydantic's description of the API has them only then.
Count = Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(_whole)]
Priority = Annotated[int, Field(ge=0, le=999), BeforeValidator(_whole)]
# The first wrong text ends it: a list of a million wrong ones would make as many messages.
Texts = Annotated[list[Text], FailFast()]
NOT_EMPTY: dict[str, Any] = {"minItems": 1}
"""In the API's description of a list; each route refuses an empty one in its dialect's words."""


class Sent(BaseModel):
    """What a client sends. A 0 is no false and a "1" is no number, as the API's description says."""

    model_config = ConfigDict(strict=True)
