"""Measure a data set in the form of finance-terms-large against what was asked of it.

    python scripts/check_finance_terms.py [FOLDER] [--markdown]

Prints a line for each requirement (asked, measured, ok or FAILS) and below it every fault by
file and line. Exit code 1 if a requirement fails, 2 if a file cannot be read. The table of the
data set's README is what ``--markdown`` prints.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import ceil
from pathlib import Path
from statistics import mean

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from glossrank import Glossary
from glossrank.errors import InputError
from glossrank.glossary import Term
from glossrank.tables import Row, cell_text, read_rows

FOLDER = Path(__file__).parent.parent / "datasets/finance-terms-large"
WORDINGS = ("standard", "textbook", "short")
# The two wordings of auxiliary terms, each in two files: the second ones were written later.
AUXILIARY = {
    "auxiliary, long": ("auxiliary-long.csv", "auxiliary-2-long.csv"),
    "auxiliary, short": ("auxiliary-short.csv", "auxiliary-2-short.csv"),
}
# Files of each split. A question that nothing answers belongs to a split as well.
SPLITS = {
    "train": ("train.jsonl", "train-2.jsonl"),
    "dev": ("dev.jsonl", "unanswerable-dev.jsonl"),
    "test": ("test.jsonl", "unanswerable-test.jsonl"),
}

FEWEST_TERMS = 500
FEWEST_QUESTIONS = 6_000
FEWEST_UNANSWERABLE = 300
SHORTEST, LONGEST = 30, 120
TYPOS = (0.15, 0.20)
FEWEST_WITHOUT_SHARED_WORD = 0.80
# Independent wordings of one term meet in its technical words only.
MOST_OVERLAP = 0.20
NEAR_DUPLICATE = 0.8
VOICES = ("owner", "department head", "investor", "board member", "bank officer")
KINDS = ("near", "business", "other")
# For each confusion that the specification names: the terms that are confused.
CONFUSABLE = {
    "gross / operating / net profit": ("gross-profit", "operating-profit", "net-profit"),
    # What is collected has no entry of its own name: how soon it comes in, and what is late.
    "receivables / revenue / collections": (
        "trade-receivables",
        "revenue-from-operations",
        "receivables-turnover-ratio",
        "ageing-of-receivables",
    ),
    "capex / depreciation": ("capital-expenditure", "depreciation"),
    "book / market value": ("book-value-per-share", "carrying-amount", "market-capitalisation"),
    "DSO / DPO / DIO": (
        "days-sales-outstanding",
        "days-payable-outstanding",
        "days-inventory-outstanding",
    ),
}
SHOWN_FAULTS = 20

STOP_WORDS = """
a an and any are as at be been but by can could did do does for from get had has have he her his
how i if in into is it its me my no not of off on or our out over per she should so some than that
the their them then there these they this those to too up us was we were what when where which who
whose why will with would you your
"""
# Longest first. The number is the fewest letters that must be left: "pay|able", but not "t|able".
ENDINGS = sorted(
    {
        **dict.fromkeys(("ability", "isation", "ation", "ition", "ment", "ating", "ated"), 3),
        **dict.fromkeys(("able", "ate", "ator", "ing", "ed", "or", "er", "ion", "ity", "ive"), 3),
        **dict.fromkeys(("al", "ly", "ise", "ised", "ising", "ance", "ence", "y"), 4),
        **dict.fromkeys(("ies", "s", "e"), 3),
    }.items(),
    key=lambda item: -len(item[0]),
)
IRREGULAR = {"paid": "pay", "sold": "sale", "sell": "sale", "lent": "lend", "bought": "buy"}
_STOPPED = frozenset(STOP_WORDS.split())


@dataclass(frozen=True)
class Question:
    """A row of a questions file, and where it stands."""

    text: str
    relevant: tuple[str, ...]
    typo: bool
    voice: str
    kind: str
    source: str
    file: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class DataSet:
    """All files of a folder; ``questions`` by split, in file order."""

    glossary: Glossary
    wordings: dict[str, Glossary]
    auxiliary: dict[str, Glossary]
    questions: dict[str, list[Question]]

    @property
    def terms(self) -> dict[str, Term]:
        """Terms by id, auxiliary ones too."""
        others = (t for glossary in self.auxiliary.values() for t in glossary.terms)
        return {t.id: t for t in (*others, *self.glossary.terms)}

    @property
    def everything(self) -> list[Question]:
        return [q for split in SPLITS for q in self.questions[split]]


@dataclass(frozen=True)
class Check:
    """What was asked and what was measured.

    Attributes:
        ok: None where nothing was asked and the figure is only stated.
        faults: one line each, with file and line of what is wrong.
    """

    requirement: str
    asked: str
    measured: str
    ok: bool | None
    faults: tuple[str, ...] = ()


def load(folder: Path) -> DataSet:
    """Read the files.

    Raises:
        InputError: a file is missing, or a row is broken; ids are checked by :func:`ids`.
    """
    return DataSet(
        glossary=Glossary.load(folder / "glossary.csv"),
        wordings={w: Glossary.load(folder / f"glossary-{w}.csv") for w in WORDINGS},
        auxiliary={
            name: Glossary(name, tuple(t for f in files for t in Glossary.load(folder / f).terms))
            for name, files in AUXILIARY.items()
        },
        questions={
            split: [q for name in names for q in _questions(folder / name)]
            for split, names in SPLITS.items()
        },
    )


def _questions(path: Path) -> Iterator[Question]:
    for row in read_rows(path, columns=("question", "relevant", "typo")):
        if isinstance(row, InputError):
            raise row
        yield _question(path, row)


def _question(path: Path, row: Row) -> Question:
    text = cell_text(path, row, "question")
    if isinstance(text, InputError):
        raise text
    relevant, typo = row.values["relevant"], row.values["typo"]
    are_ids = isinstance(relevant, list) and all(isinstance(i, str) for i in relevant)
    if not are_ids or not isinstance(typo, bool):
        raise InputError(
            file=path,
            line=row.line,
            expected="a list of ids under 'relevant', and true or false under 'typo'",
            found=f"{relevant!r} and {typo!r}",
            fix="Correct the row.",
        )
    return Question(
        text=text,
        relevant=tuple(relevant),
        typo=typo,
        voice=str(row.values.get("voice") or ""),
        kind=str(row.values.get("kind") or ""),
        source=str(row.values.get("source") or ""),
        file=path.name,
        line=row.line,
    )


def words(text: str) -> list[str]:
    """Lower-case words without apostrophes; punctuation parts them."""
    return re.findall(r"[^\W_]+", re.sub(r"['\N{RIGHT SINGLE QUOTATION MARK}]", "", text.lower()))


def plain(text: str) -> str:
    """The text blind to case and punctuation: equal for what is the same question."""
    return " ".join(words(text))


@cache
def stem(word: str) -> str:
    """Without endings, one after the other: payables, payment, paid and pay become one.

    Stricter than the stem that ``glossrank evaluate`` slices by, which leaves payment alone:
    here a word that is missed would flatter the data set.
    """
    word = IRREGULAR.get(word, word).replace("iz", "is")
    shorter = True
    while shorter:
        shorter = False
        for ending, left in ENDINGS:
            if word.endswith(ending) and len(word) - len(ending) >= left and word[-2:] != "ss":
                word, shorter = word[: -len(ending)], True
                break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def stems(text: str) -> frozenset[str]:
    """Stems of the words outside the stop list. An acronym in brackets is a word like others."""
    return frozenset(stem(word) for word in words(text) if word not in _STOPPED)


def names(term: str) -> set[frozenset[str]]:
    """What else a term may be called: its name whole, without its bracket, the bracket alone.

    Each as a set of stems, and as one word.
    """
    bracket = " ".join(re.findall(r"\(([^)]*)\)", term))
    forms = [f for f in (term, re.sub(r"\([^)]*\)", "", term), bracket) if f.strip()]
    # "Will" is a stop word and nothing else; "Green Shoe" is also "Greenshoe".
    joined = {frozenset(["".join(words(f))]) for f in forms}
    return joined | {stems(f) or frozenset(words(f)) for f in forms}


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0


def near_duplicates(data: DataSet) -> list[tuple[Question, Question, float]]:
    """Pairs of questions of different splits with nearly the same words.

    Two sets with a Jaccard of t or more share one of the rarest n - ceil(t n) + 1 words of
    either, so only questions that meet there are compared, not all 12 million pairs.
    """
    rows = [(split, q, frozenset(words(q.text))) for split in SPLITS for q in data.questions[split]]
    uses = Counter(word for _, _, own in rows for word in own)
    met: defaultdict[str, list[int]] = defaultdict(list)
    found = []
    for number, (split, question, own) in enumerate(rows):
        rare = sorted(own, key=lambda word: (uses[word], word))
        rare = rare[: len(own) - ceil(NEAR_DUPLICATE * len(own)) + 1]
        for earlier in sorted({n for word in rare for n in met[word]}):
            other_split, other_question, other = rows[earlier]
            if other_split != split and (share := jaccard(own, other)) >= NEAR_DUPLICATE:
                found.append((other_question, question, share))
        for word in rare:
            met[word].append(number)
    return found


def terms(data: DataSet) -> list[Check]:
    count = len(data.glossary)
    splits = Counter(t.split for t in data.glossary.terms)
    found: defaultdict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for glossary in (data.glossary, *data.wordings.values()):
        for term in glossary.terms:
            found[term.id].add((term.term, term.family, term.split))
    wrong = [
        f"{i}: name, family and split are {' but also '.join(map(repr, sorted(ways)))}"
        for i, ways in found.items()
        if len(ways) > 1 or any(split not in SPLITS for _, _, split in ways)
    ]
    return [
        Check("terms", f"at least {FEWEST_TERMS}", f"{count}", count >= FEWEST_TERMS),
        Check(
            "terms per split",
            "each term in one of three",
            ", ".join(f"{s} {splits[s]}" for s in SPLITS),
            not wrong and all(splits[s] for s in SPLITS),
            tuple(wrong),
        ),
        Check(
            "auxiliary terms (training only)",
            "stated",
            " and ".join(f"{len(g)}" for g in data.auxiliary.values()) + " (two wordings)",
            None,
        ),
    ]


def definitions(data: DataSet) -> list[Check]:
    texts = {w: {t.id: t.definition for t in g.terms} for w, g in data.wordings.items()}
    faults, used, overlaps = [], Counter[str](), {}
    for term in data.glossary.terms:
        own = [texts[w].get(term.id, "") for w in WORDINGS]
        if not all(own) or len({plain(text) for text in own}) < len(WORDINGS):
            faults.append(f"{term.id}: has not three different definitions")
        if term.definition not in own:
            faults.append(f"glossary.csv: {term.id} has none of its three wordings")
        else:
            used[WORDINGS[own.index(term.definition)]] += 1
        sets = [stems(text) for text in own]
        overlaps[term.id] = mean(jaccard(a, b) for a, b in combinations(sets, 2))
    strangers = {i for t in texts.values() for i in t} - {t.id for t in data.glossary.terms}
    faults += [f"{i}: in a wording, not in glossary.csv" for i in sorted(strangers)]
    overlap, worst = mean(overlaps.values()), max(overlaps, key=lambda i: overlaps[i])
    long, short = (
        {t.id: (t.term, plain(t.definition)) for t in g.terms} for g in data.auxiliary.values()
    )
    halves = [f"{i}: not in both auxiliary wordings" for i in sorted(long.keys() ^ short.keys())]
    halves += [
        f"{i}: another name, or the same definition, in the two auxiliary wordings"
        for i in long.keys() & short.keys()
        if long[i][0] != short[i][0] or long[i][1] == short[i][1]
    ]
    lengths = {**data.wordings, **data.auxiliary}
    return [
        Check(
            "definitions per term",
            "three different",
            "three; glossary.csv has "
            + ", ".join(f"{used[w] / len(data.glossary):.0%} {w}" for w in WORDINGS),
            not faults,
            tuple(faults),
        ),
        Check(
            "shared content words of the three (mean Jaccard)",
            f"at most {MOST_OVERLAP:.2f}",
            f"{overlap:.3f}; highest {overlaps[worst]:.2f} ({worst})",
            overlap <= MOST_OVERLAP,
        ),
        Check(
            "definitions of an auxiliary term",
            "two different",
            "two" if not halves else f"{len(halves)} terms have not",
            not halves,
            tuple(halves),
        ),
        *(
            Check(
                f"length of definitions, {name}",
                "stated",
                _spread([len(t.definition) for t in g.terms]) + " characters",
                None,
            )
            for name, g in lengths.items()
        ),
    ]


def counts(data: DataSet) -> list[Check]:
    known = {t.id for t in data.glossary.terms}
    about = {plain(q.text) for q in data.everything if known & set(q.relevant)}
    first: dict[str, Question] = {}
    twice = []
    for question in data.everything:
        earlier = first.setdefault(plain(question.text), question)
        if earlier is not question:
            twice.append(f"{question.place}: the question of {earlier.place}: {question.text}")
    checks = [
        Check(
            "distinct questions about terms of the glossary",
            f"at least {FEWEST_QUESTIONS:,}",
            f"{len(about):,}",
            len(about) >= FEWEST_QUESTIONS,
        ),
        Check(
            "all questions distinct (blind to case and punctuation)",
            "all",
            f"{len(first):,} of {len(data.everything):,}",
            not twice,
            tuple(twice),
        ),
    ]
    for split, rows in data.questions.items():
        answered = sum(bool(q.relevant) for q in rows)
        checks.append(
            Check(
                f"questions, {split}",
                "stated",
                f"{len(rows):,}: {answered:,} with an answer, {len(rows) - answered} without",
                None,
            )
        )
    sources = Counter(q.source for q in data.questions["train"])
    shown = ", ".join(f"{name} {n:,}" for name, n in sources.most_common())
    return [*checks, Check("sources of the training questions", "stated", shown, None)]


def across(data: DataSet) -> list[Check]:
    where: defaultdict[str, list[Question]] = defaultdict(list)
    split_of = {id(q): split for split, rows in data.questions.items() for q in rows}
    for question in data.everything:
        where[plain(question.text)].append(question)
    shared = [
        f"{', '.join(q.place for q in rows)}: {rows[0].text}"
        for rows in where.values()
        if len({split_of[id(q)] for q in rows}) > 1
    ]
    near = [
        f"{one.place} and {two.place} ({share:.2f}): {one.text!r} / {two.text!r}"
        for one, two, share in near_duplicates(data)
    ]
    return [
        Check("questions in several splits", "none", str(len(shared)), not shared, tuple(shared)),
        Check(
            f"near-duplicates in several splits (Jaccard of words >= {NEAR_DUPLICATE})",
            "none",
            str(len(near)),
            not near,
            tuple(near),
        ),
    ]


def ids(data: DataSet) -> list[Check]:
    split_of = {i: t.split for i, t in data.terms.items()}
    unknown, misplaced, trained, answered = [], [], [], []
    elsewhere: Counter[str] = Counter()
    for split, rows in data.questions.items():
        for q in rows:
            unknown += [
                f"{q.place}: no term has the id {i!r}" for i in q.relevant if i not in split_of
            ]
            if len(set(q.relevant)) < len(q.relevant):
                unknown.append(f"{q.place}: an id twice")
            if q.relevant and split_of.get(q.relevant[0], split) != split:
                misplaced.append(f"{q.place}: {q.relevant[0]!r} is a term of another split")
            if split == "train":
                held_out = [i for i in q.relevant if split_of.get(i) in ("dev", "test")]
                trained += [f"{q.place}: {i!r} is of {split_of[i]}: {q.text}" for i in held_out]
            elsewhere[split] += any(split_of.get(i, split) != split for i in q.relevant[1:])
            # In a file of its own for dev and test; train marks it by "source".
            if bool(q.relevant) == (
                q.file.startswith("unanswerable") or q.source == "unanswerable"
            ):
                answered.append(f"{q.place}: {'ids' if q.relevant else 'no id'} under 'relevant'")
    return [
        Check(
            "ids under 'relevant'",
            "all exist",
            f"{len(unknown)} wrong",
            not unknown,
            tuple(unknown),
        ),
        Check(
            "a question is in the split of the term it was written for",
            "all",
            f"{len(misplaced)} are not",
            not misplaced,
            tuple(misplaced),
        ),
        Check(
            "dev and test terms in training pairs",
            "none",
            str(len(trained)),
            not trained,
            tuple(trained),
        ),
        Check(
            "further right answers that are terms of another split",
            "stated",
            ", ".join(f"{s} {elsewhere[s]}" for s in SPLITS) + " questions",
            None,
        ),
        Check(
            "files of questions with and without an answer",
            "kept apart",
            f"{len(answered)} in the wrong one",
            not answered,
            tuple(answered),
        ),
    ]


def lengths(data: DataSet) -> list[Check]:
    checks = []
    for split, rows in data.questions.items():
        wrong = [q for q in rows if not SHORTEST <= len(q.text) <= LONGEST]
        checks.append(
            Check(
                f"length of questions, {split}",
                f"{SHORTEST} to {LONGEST}",
                _spread([len(q.text) for q in rows]) + " characters",
                not wrong,
                tuple(f"{q.place}: {len(q.text)} characters: {q.text}" for q in wrong),
            )
        )
    return checks


def typos(data: DataSet) -> list[Check]:
    """A split counts as a whole; the share in each of its files is stated beside it."""
    checks = []
    for split, rows in data.questions.items():
        share = _share(q.typo for q in rows)
        files = {f: _share(q.typo for q in rows if q.file == f) for f in SPLITS[split]}
        apart = ", ".join(f"{f} {s:.1%}" for f, s in files.items())
        checks.append(
            Check(
                f"questions with typos, {split}",
                f"{TYPOS[0]:.0%} to {TYPOS[1]:.0%}",
                f"{share:.1%}" + (f" ({apart})" if len(files) > 1 else ""),
                TYPOS[0] <= share <= TYPOS[1],
            )
        )
    return checks


def voices(data: DataSet) -> list[Check]:
    checks = []
    for split, rows in data.questions.items():
        said = Counter(q.voice for q in rows if q.voice)
        # The writers of the auxiliary glossaries did not note who asks.
        wrong = [
            f"{q.place}: the voice {q.voice!r}"
            for q in rows
            if q.voice not in VOICES and (q.voice or q.source != "auxiliary")
        ]
        without = sum(not q.voice for q in rows)
        shares = ", ".join(f"{v} {said[v] / max(1, said.total()):.0%}" for v in VOICES)
        checks.append(
            Check(
                f"voices, {split}",
                "all five; noted but for auxiliary terms",
                shares + (f" ({without:,} not noted)" if without else ""),
                not wrong and all(said[v] for v in VOICES),
                tuple(wrong),
            )
        )
    return checks


def indirect(data: DataSet) -> list[Check]:
    """Against the names of all right answers, not only of the first."""
    name = {i: stems(t.term) for i, t in data.terms.items()}
    checks = []
    for split, rows in data.questions.items():
        answered = [q for q in rows if q.relevant]
        share = _share(
            stems(q.text).isdisjoint(s for i in q.relevant for s in name.get(i, ()))
            for q in answered
        )
        checks.append(
            Check(
                f"no content word of the term's name, {split}",
                f"at least {FEWEST_WITHOUT_SHARED_WORD:.0%}",
                f"{share:.1%}",
                share >= FEWEST_WITHOUT_SHARED_WORD,
            )
        )
    return checks


def several(data: DataSet) -> list[Check]:
    checks = []
    for split, rows in data.questions.items():
        answered = [q for q in rows if q.relevant]
        many = sum(len(q.relevant) > 1 for q in answered)
        checks.append(
            Check(
                f"several right answers, {split}",
                "marked where it is so",
                f"{many} ({_share(len(q.relevant) > 1 for q in answered):.1%})",
                many > 0,
            )
        )
    return checks


def unanswerable(data: DataSet) -> list[Check]:
    checks, held_out = [], 0
    for split in ("dev", "test"):
        rows = [q for q in data.questions[split] if not q.relevant]
        held_out += len(rows)
        kinds = Counter(q.kind for q in rows)
        wrong = [f"{q.place}: the kind {q.kind!r}" for q in rows if q.kind not in KINDS]
        checks.append(
            Check(
                f"questions that nothing answers, {split}",
                "three kinds",
                f"{len(rows)}: " + ", ".join(f"{k} {kinds[k]}" for k in KINDS),
                not wrong and all(kinds[k] for k in KINDS),
                tuple(wrong),
            )
        )
    training = sum(not q.relevant for q in data.questions["train"])
    total = Check(
        "questions that nothing answers, dev and test",
        f"at least {FEWEST_UNANSWERABLE}",
        f"{held_out} (and {training} to train on)",
        held_out >= FEWEST_UNANSWERABLE,
    )
    return [total, *checks]


def families(data: DataSet) -> list[Check]:
    asked = Counter(i for q in data.everything for i in q.relevant)
    sizes = Counter(t.family for t in data.glossary.terms)
    known = {t.id for t in data.glossary.terms}
    unnamed = sizes.pop("", 0)
    checks = [
        Check(
            "families (terms)",
            "every term in one",
            f"{len(sizes)}: " + ", ".join(f"{f} {n}" for f, n in sizes.most_common()),
            not unnamed,
        )
    ]
    for label, members in CONFUSABLE.items():
        missing = tuple(
            f"{i}: no term, or no question" for i in members if i not in known or not asked[i]
        )
        checks.append(
            Check(
                f"confusable: {label}",
                "covered",
                ", ".join(f"{i} ({asked[i]} questions)" for i in members),
                not missing,
                missing,
            )
        )
    return checks


def per_term(data: DataSet) -> list[Check]:
    """Counted for the term that a question was written for, the first one."""
    checks = []
    for split, rows in data.questions.items():
        written = Counter(q.relevant[0] for q in rows if q.relevant)
        own = [t for t in data.glossary.terms if t.split == split]
        none = tuple(f"{t.id}: no question" for t in own if not written[t.id])
        checks.append(
            Check(
                f"questions per term, {split}",
                "at least 1",
                _spread([written[t.id] for t in own]),
                not none,
                none,
            )
        )
    others = {t.id for g in data.auxiliary.values() for t in g.terms}
    written = Counter(q.relevant[0] for q in data.questions["train"] if q.relevant)
    shown = _spread([written[i] for i in others])
    return [*checks, Check("questions per term, auxiliary", "stated", shown, None)]


def auxiliary(data: DataSet) -> list[Check]:
    others = {t.id: t for g in data.auxiliary.values() for t in g.terms}
    held_out = [(t, names(t.term)) for t in data.glossary.terms if t.split in ("dev", "test")]
    same, known = [], {t.id for t in data.glossary.terms}
    for name, glossary in data.auxiliary.items():
        found = Counter(t.id for t in glossary.terms)
        same += [f"{i}: {n} times in {name}" for i, n in found.items() if n > 1]
    for other in others.values():
        forms = names(other.term)
        same += [
            f"{other.id}: the name of {t.id} ({t.split})" for t, own in held_out if forms & own
        ]
        if other.id in known or other.split != "train":
            same.append(f"{other.id}: an id of the glossary, or not of the split train")
    called = {i: names(t.term) for i, t in others.items()}
    twins = [f"{a} and {b}" for a, b in combinations(called, 2) if called[a] & called[b]]
    return [
        Check(
            "auxiliary terms named as a dev or test term",
            "none",
            str(len(same)),
            not same,
            tuple(same),
        ),
        Check(
            "auxiliary terms that are there twice",
            "stated",
            f"{len(twins)} pairs" + (f": {', '.join(twins)}" if twins else ""),
            None,
        ),
    ]


CHECKS: tuple[Callable[[DataSet], list[Check]], ...] = (
    terms,
    definitions,
    counts,
    across,
    ids,
    lengths,
    typos,
    voices,
    indirect,
    several,
    unanswerable,
    families,
    per_term,
    auxiliary,
)


def _share(flags: Iterable[bool]) -> float:
    found = list(flags)
    return sum(found) / len(found) if found else 0.0


def _spread(values: Sequence[int]) -> str:
    return f"{min(values)} / {mean(values):.1f} / {max(values)}" if values else "none"


def _verdict(check: Check) -> str:
    return "" if check.ok is None else "ok" if check.ok else "FAILS"


def markdown(checks: Sequence[Check]) -> str:
    """The table as the README has it."""
    lines = ["| requirement | asked | measured | |", "|---|---|---|---|"]
    lines += [f"| {c.requirement} | {c.asked} | {c.measured} | {_verdict(c)} |" for c in checks]
    return "\n".join(lines)


def show(checks: Sequence[Check], console: Console) -> None:
    table = Table("requirement", "asked", "measured", "")
    for check in checks:
        colour = {"ok": "green", "FAILS": "bold red"}.get(_verdict(check), "default")
        cells = (check.requirement, check.asked, check.measured)
        table.add_row(*map(escape, cells), f"[{colour}]{_verdict(check)}[/]")
    console.print(table)
    console.print("Three figures: smallest / mean / largest.")
    for check in checks:
        for fault in check.faults[:SHOWN_FAULTS]:
            console.print(f"{check.requirement}: {fault}", markup=False, soft_wrap=True)
        if len(check.faults) > SHOWN_FAULTS:
            console.print(f"... and {len(check.faults) - SHOWN_FAULTS} more")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--markdown", action="store_true", help="Print the README's table.")
    options = parser.parse_args(arguments)
    try:
        data = load(options.folder)
    except InputError as error:
        Console(stderr=True).print(str(error), markup=False, soft_wrap=True)
        return 2
    checks = [check for measure in CHECKS for check in measure(data)]
    if options.markdown:
        print(markdown(checks))
    else:
        show(checks, Console())
    return int(any(check.ok is False for check in checks))


if __name__ == "__main__":
    raise SystemExit(main())
