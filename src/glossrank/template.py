"""What the model reads of a term: one line of text with the term's fields filled in.

``{term}`` stands for a field. A part in square brackets is left out where one of its fields
is empty, so one template serves terms with and without synonyms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from glossrank.errors import InputError

DEFAULT_TEMPLATE = (
    "{term} can be defined as {definition}[ Also called {synonyms}.][ Formula: {formula}.]"
)
"""The form of the model card's training data, then what a glossary may know besides."""
FIELDS = ("id", "term", "definition", "synonyms", "formula", "family", "owner", "tags", "source")

_PIECE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Template:
    """A checked template.

    Args:
        text: see the module.

    Raises:
        InputError: an unknown field, a bracket without its partner, or no ``{definition}``.
    """

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "_parts", _parts(self.text))

    def render(self, fields: Mapping[str, str]) -> str:
        """The text with the fields filled in.

        Args:
            fields: a text for each of :data:`FIELDS`; "" where the term has none.
        """
        parts: tuple[tuple[str, bool, tuple[str, ...]], ...] = getattr(self, "_parts")  # noqa: B009
        return "".join(
            _PIECE.sub(lambda match: fields[match[1]], text)
            for text, optional, names in parts
            if not optional or all(fields[name] for name in names)
        )


@lru_cache(maxsize=32)
def _parts(text: str) -> tuple[tuple[str, bool, tuple[str, ...]], ...]:
    """Each part, whether it may be left out, and the fields in it."""
    parts = []
    at = 0
    for match in re.finditer(r"\[([^\[\]]*)\]", text):
        parts += [(text[at : match.start()], False), (match[1], True)]
        at = match.end()
    parts.append((text[at:], False))
    named = []
    for part, optional in parts:
        names = tuple(_PIECE.findall(part))
        rest = _PIECE.sub("", part)
        unknown = [name for name in names if name not in FIELDS]
        if unknown or any(sign in rest for sign in "{}[]"):
            raise _broken(text, f"{{{unknown[0]}}}" if unknown else f"a lone bracket in {part!r}")
        if part:
            named.append((part, optional, names))
    always = [name for _, optional, names in named if not optional for name in names]
    if "definition" not in always:
        raise _broken(text, "no {definition} outside square brackets")
    return tuple(named)


def _broken(text: str, found: str) -> InputError:
    return InputError(
        expected=f"a template of {', '.join(f'{{{name}}}' for name in FIELDS)}, parts that may be left out in [ ]",
        found=f"{found} in {text!r}",
        fix=f"The default is {DEFAULT_TEMPLATE!r}.",
    )
