"""Why a term was found: the question's words and the definition's part that carried its logit.

Each word of the question is left out in turn, and each part of the definition; how far the
logit falls is its weight (occlusion, Zeiler and Fergus 2014; leave-one-out, Li et al. 2016). It
needs no gradients, says exactly what the model would do, and costs one pair for each word and
part. benchmarks/LOG.md has how much more the heaviest words matter than random ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glossrank.cross_encoder import CrossEncoder
from glossrank.glossary import Term
from glossrank.template import Template

LONGEST_PART = 6
"""Words of a part of a definition; a longer clause is cut."""
MOST_WORDS = 60
"""Of a question; the rest of a longer one gets no weights."""
MOST_PARTS = 40


@dataclass(frozen=True)
class Span:
    """A piece of a text and how far the logit falls without it.

    Attributes:
        start, end: characters, as in ``text[start:end]``.
        weight: in logits; below 0 where the term would score better without it.
    """

    text: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Reasons:
    """What carried a term's logit.

    Attributes:
        words: of the question as the model read it, in its order.
        parts: of the definition, in its order.
    """

    words: tuple[Span, ...]
    parts: tuple[Span, ...]

    @property
    def matched(self) -> Span | None:
        """The part of the definition that matters most; None where none does."""
        best = max(self.parts, key=lambda part: part.weight, default=None)
        return best if best is not None and best.weight > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """Plain texts, numbers and lists."""

        def plain(span: Span) -> dict[str, Any]:
            return {"text": span.text, "start": span.start, "end": span.end, "weight": span.weight}

        matched = self.matched
        return {
            "words": [plain(word) for word in self.words],
            "parts": [plain(part) for part in self.parts],
            "matched": None if matched is None else plain(matched),
        }


def explain_answers(
    model: CrossEncoder, question: str, terms: Sequence[Term], *, template: str
) -> list[Reasons]:
    """Reasons for each term.

    Args:
        question: as the model read it.
    """
    form = Template(template)
    words = list(_words(question))[:MOST_WORDS]
    fewer = [_without(question, [word]) for word in words]
    pairs: list[tuple[str, str]] = []
    parts_of: list[list[tuple[int, int]]] = []
    for term in terms:
        document = term.render(form)
        parts = list(definition_parts(term.definition))[:MOST_PARTS]
        parts_of.append(parts)
        pairs.append((question, document))
        pairs += [(text, document) for text in fewer]
        for part in parts:
            rest = replace(term, definition=_without(term.definition, [part]))
            pairs.append((question, rest.render(form)))
    logits = iter(model.logits(pairs).tolist())
    found = []
    for term, parts in zip(terms, parts_of, strict=True):
        whole = next(logits)
        found.append(
            Reasons(
                tuple(Span(question[s:e], s, e, whole - next(logits)) for s, e in words),
                tuple(Span(term.definition[s:e], s, e, whole - next(logits)) for s, e in parts),
            )
        )
    return found


def definition_parts(definition: str) -> Iterator[tuple[int, int]]:
    """Start and end of each clause; those of many words in even pieces."""
    for clause in re.finditer(r"[^.;:,()]+(?:[.,](?=\S)[^.;:,()]*)*", definition):
        words = [(m.start(), m.end()) for m in re.finditer(r"\S+", clause[0])]
        if not words:
            continue
        pieces = -(-len(words) // LONGEST_PART)
        for number in range(pieces):
            some = words[number * len(words) // pieces : (number + 1) * len(words) // pieces]
            yield clause.start() + some[0][0], clause.start() + some[-1][1]


def _words(text: str) -> Iterator[tuple[int, int]]:
    for match in re.finditer(r"[^\W_]\S*[^\W_]|[^\W_]", text):
        yield match.start(), match.end()


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return " ".join(text.split())
