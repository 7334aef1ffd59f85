"""Ask in plain words, get the right definitions of a glossary, ranked by a cross-encoder."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glossrank.answers import Answer, Answers
    from glossrank.cross_encoder import CrossEncoder
    from glossrank.errors import GlossrankError
    from glossrank.glossary import Glossary, Term
    from glossrank.search import ask

__all__ = ["Answer", "Answers", "CrossEncoder", "Glossary", "GlossrankError", "Term", "ask"]

_HOMES = {
    "Answer": "answers",
    "Answers": "answers",
    "CrossEncoder": "cross_encoder",
    "Glossary": "glossary",
    "GlossrankError": "errors",
    "Term": "glossary",
    "ask": "search",
}


def __getattr__(name: str) -> Any:
    # On first use, because OpenVINO takes a while to import and an error message or --help
    # should not wait for it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
