"""Verdicts to labelled pairs, and to examples for training.

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
from glossrank.training.examples import Candidate, Example, TrainingSet
from glossrank.verdicts.store import Verdict

MOST_NEGATIVES = 7
"""Of a question, the best of those that were shown."""


_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet takes a cell for a formula."""


@dataclass(frozen=True)
class Judged:
    """A question and what its verdicts say of terms, by id.

    Attributes:
        wrong: what was called wrong, or was shown and is not the right one.
        nothing: somebody said that nothing fits, and nobody named a term that does.
    """

    question: str
    right: list[str]
    wrong: list[str]
    nothing: bool


@dataclass(frozen=True)
class Judgments:
    """The verdicts on a glossary, question by question in the order of each one's first.

    Attributes:
        gone: verdicts that could not be used: their term is no longer in the glossary.
    """

    glossary: Glossary
    judged: list[Judged]
    gone: int

    def pairs(self) -> list[LabelledPair]:
        """Labelled pairs, right ones first."""
        terms = (term.id for term in self.glossary.terms)
        documents = dict(zip(terms, self.glossary.documents, strict=True))
        rows = [
            (one.question, documents[term], label)
            for one in self.judged
            for label, ids in ((1.0, one.right), (0.0, one.wrong[:MOST_NEGATIVES]))
            for term in ids
        ]
        return [LabelledPair(*row, line=at) for at, row in enumerate(rows, start=1)]

    def training_set(self) -> TrainingSet:
        """Examples for the listwise recipe: its candidates are all terms of the glossary.

        A question of which only wrong answers are known gives none.
        """
        terms = self.glossary.terms
        rows = {term.id: row for row, term in enumerate(terms)}
        return TrainingSet(
            tuple(Candidate(t.id, t.term, (t.definition,), t.family) for t in terms),
            tuple(
                Example(
                    one.question,
                    tuple(rows[term] for term in one.right),
                    tuple(rows[term] for term in one.wrong),
                )
                for one in self.judged
                if one.right or one.nothing
            ),
        )


def judgments_of(verdicts: Sequence[Verdict], glossary: Glossary) -> Judgments:
    """What verdicts say, question by question.

    Args:
        verdicts: oldest first; those of other glossaries are left out.
    """
    known_ids = {term.id for term in glossary.terms}
    labels: dict[str, dict[str, bool]] = {}
    shown: dict[str, dict[str, None]] = {}
    nothing: set[str] = set()
    gone = 0
    for verdict in verdicts:
        if verdict.glossary != glossary.name:
            continue
        if verdict.term_id is not None and verdict.term_id not in known_ids:
            gone += 1
            continue
        known = labels.setdefault(verdict.question, {})
        ids = [str(one["id"]) for one in verdict.shown if str(one["id"]) in known_ids]
        shown.setdefault(verdict.question, {}).update(dict.fromkeys(ids))
        if verdict.verdict == "none":
            known.update(dict.fromkeys(ids, False))
            nothing.add(verdict.question)
        elif verdict.term_id is not None:
            known[verdict.term_id] = verdict.verdict == "right"
    judged = []
    for question, known in labels.items():
        right = [term for term, is_right in known.items() if is_right]
        wrong = [term for term, is_right in known.items() if not is_right]
        if right:
            wrong += [term for term in shown[question] if term not in known]
        judged.append(Judged(question, right, wrong, question in nothing and not right))
    return Judgments(glossary, judged, gone)


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
            # Quoted: Python leaves a text with a bare carriage return as it is, which divides it.
            writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
            writer.writerow(PAIR_COLUMNS)
            for question, document, label in rows:
                writer.writerow((_harmless(question), _harmless(document), label))


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
