"""Verdicts to labelled pairs.

Of each question that got a verdict: the right term is a pair of label 1, what was called wrong one of
label 0, and so are answers that were shown above the right one, or with it, and are not it: they are
what the model confused it with, in the glossary, so no other negatives need to be mined. Where
somebody said that nothing fits, all answers that were shown are wrong.

If people disagree on a term, the later verdict counts.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glossrank.errors import InputError
from glossrank.glossary import Glossary
from glossrank.judgments import PAIR_COLUMNS, LabelledPair
from glossrank.output import new_file
from glossrank.verdicts.store import Verdict

MOST_NEGATIVES = 7
"""Of a question, the best of those that were shown."""


_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet takes a cell for a formula."""


@dataclass(frozen=True)
class PairsMade:
    """Pairs, and what could not be used of the verdicts.

    Attributes:
        gone: verdicts whose term is no longer in the glossary.
    """

    pairs: list[LabelledPair]
    questions: int
    gone: int


def pairs_from_verdicts(verdicts: Sequence[Verdict], glossary: Glossary) -> PairsMade:
    """Labelled pairs of a glossary's verdicts, question by question in the order of the first one.

    Args:
        verdicts: oldest first; those of other glossaries are left out.
    """
    documents = dict(zip((term.id for term in glossary.terms), glossary.documents, strict=True))
    labels: dict[str, dict[str, float]] = {}
    shown: dict[str, dict[str, None]] = {}
    gone = 0
    for verdict in verdicts:
        if verdict.glossary != glossary.name:
            continue
        if verdict.term_id is not None and verdict.term_id not in documents:
            gone += 1
            continue
        known = labels.setdefault(verdict.question, {})
        ids = [str(one["id"]) for one in verdict.shown if str(one["id"]) in documents]
        shown.setdefault(verdict.question, {}).update(dict.fromkeys(ids))
        if verdict.verdict == "none":
            known.update(dict.fromkeys(ids, 0.0))
        elif verdict.term_id is not None:
            known[verdict.term_id] = 1.0 if verdict.verdict == "right" else 0.0
    pairs: list[LabelledPair] = []
    for question, known in labels.items():
        right = [term for term, label in known.items() if label]
        wrong = [term for term, label in known.items() if not label]
        if right:
            wrong += [term for term in shown[question] if term not in known]
        chosen = [(term, 1.0) for term in right]
        chosen += [(term, 0.0) for term in wrong[:MOST_NEGATIVES]]
        pairs += [
            LabelledPair(question, documents[term], label, line=len(pairs) + at + 1)
            for at, (term, label) in enumerate(chosen)
        ]
    return PairsMade(pairs, len(labels), gone)


def write_pairs(pairs: Sequence[LabelledPair], output: Path) -> None:
    """A file of pairs for ``glossrank train``.

    In CSV a text that a spreadsheet would take for a formula gets an apostrophe in front.

    Args:
        output: CSV or JSONL, by its ending; replaced if it is there.

    Raises:
        InputError: another ending.
        OutputError: it cannot be written.
    """
    rows = [(pair.question, pair.document, pair.label) for pair in pairs]
    kind = output.suffix.lower()
    if kind not in (".csv", ".jsonl"):
        raise InputError(
            file=output,
            expected="an output file that ends in .csv or .jsonl",
            found=repr(output.suffix),
            fix="Choose one of these.",
        )
    with new_file(output) as file:
        if kind == ".jsonl":
            for row in rows:
                line = dict(zip(PAIR_COLUMNS, row, strict=True))
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        else:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(PAIR_COLUMNS)
            for question, document, label in rows:
                writer.writerow((_harmless(question), _harmless(document), label))


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
