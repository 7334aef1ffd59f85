from __future__ import annotations

from pathlib import Path

import pytest

from glossrank import Glossary, Term
from glossrank.errors import InputError
from glossrank.glossary import TermsRead, read_terms


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "terms.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(tmp_path: Path, content: str | bytes) -> TermsRead:
    return read_terms(write(tmp_path, content))


CASH = Term("cash", "Cash", "Money.", synonyms=("coins",))
DEBT = Term("debt", "Debt", "Owed.")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (
            "# terms\n- term: Cash\n  definition: Money.\n  synonyms: [coins]\n"
            "\n- {term: Debt, definition: Owed.}\n",
            [2, 6],
        ),
        (
            "version: 2\nterms:\n  - term: Cash\n    definition: Money.\n    synonyms: coins\n"
            "  - term: Debt\n    definition: Owed.\n",
            [3, 6],
        ),
        (
            "kpis:\n- kpi: Cash\n  meaning: Money.\n  also known as: coins\n"
            "- kpi: Debt\n  meaning: Owed.\n",
            [2, 5],
        ),
        ("Cash:\n  definition: Money.\n  synonyms:\n  - coins\nDebt: Owed.\n", [1, 5]),
        (
            "# terms\n\nCash: {definition: Money., synonyms: coins}\n\n# more\nDebt: >\n  Owed.\n",
            [3, 6],
        ),
    ],
    ids=["list", "terms", "only-list", "named", "named-in-lines"],
)
def test_terms_are_read_from_every_form(tmp_path: Path, content: str, lines: list[int]) -> None:
    found = read(tmp_path, content)
    assert found.problems == ()
    assert found.terms == (CASH, DEBT)
    assert list(found.lines.values()) == lines


def test_a_definition_of_several_lines_moves_the_ones_below(tmp_path: Path) -> None:
    content = 'Cash: |\n  Money.\n  And coins.\n\n# more\nDebt: Owed.\nTax: ""\n'
    found = read(tmp_path, content)
    assert found.lines == {"cash": 1, "debt": 6}
    assert [problem.line for problem in found.problems] == [7]


def test_every_text_stays_what_it_is(tmp_path: Path) -> None:
    content = (
        "No: Number.\n1099: A form.\nYes: on\n2024-01-01: 1e3\n0x1F: 017\n~: ~x\n"
        'Null device: "null"\nUS: !!bool yes\nA-B: !!binary aGk=\nC: !secret hidden\n'
    )
    found = read(tmp_path, content)
    assert found.problems == ()
    assert {term.term: term.definition for term in found.terms} == {
        "No": "Number.",
        "1099": "A form.",
        "Yes": "on",
        "2024-01-01": "1e3",
        "0x1F": "017",
        "~": "~x",
        "Null device": "null",
        "US": "yes",
        "A-B": "aGk=",
        "C": "hidden",
    }


def test_nothing_is_nothing_unless_it_is_quoted(tmp_path: Path) -> None:
    for nothing in ("", "~", "null", "NULL"):
        with pytest.raises(InputError, match=r"terms.yaml:1: .*'definition', found None"):
            Glossary.load(write(tmp_path, f"- term: Cash\n  definition: {nothing}\n"))
    content = "- term: Cash\n  definition: Money.\n  owner: ~\n  synonyms: [~, null, coins, '~']\n"
    found = read(tmp_path, content).terms[0]
    assert (found.owner, found.synonyms) == ("", ("coins", "~"))


def test_what_is_merged_in_yields_to_what_is_written(tmp_path: Path) -> None:
    content = (
        "defaults: &all {owner: CFO, source: policy}\n"
        "terms:\n- <<: *all\n  term: Cash\n  definition: Money.\n  owner: Treasury\n"
    )
    assert read(tmp_path, content).terms[0] == Term(
        "cash", "Cash", "Money.", owner="Treasury", source="policy"
    )


def test_no_tag_is_obeyed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    content = (
        f"- term: !!python/object/apply:os.mkdir ['{mark}']\n  definition: Money.\n"
        f"- !!python/object/new:pathlib.Path.touch {{term: '{mark}', definition: Owed.}}\n"
    )
    found = read(tmp_path, content)
    assert [term.definition for term in found.terms] in ([], ["Owed."])
    assert found.problems
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- term: Cash\n  definition: Money.\n  term: Coins\n", r":3: .*'term' twice"),
        ("Cash: Money.\nDebt: Owed.\nCash: Coins.\n", r":3: .*'Cash' twice"),
        ("- term: Cash\n\tdefinition: Money.\n", r":2: "),
        ("- term: Cash\n  definition: what: it is\n", r":2: "),
        ('- term: "Cash\n  definition: Money.\n', r":\d: "),
        ("- term: Cash\n  definition: {{ doc('cash') }}\n", r":2: .*a key that is not a text"),
        ("{% set x = 1 %}\n- term: Cash\n", r":1: "),
        ("- term: Cash\n---\n- term: Debt\n", r":2: "),
        ("- *cash\n", r":1: .*undefined alias"),
        ("&a [*a]\n", r":1: "),
        ("- ? [Cash]\n  : Money.\n", r":1: .*a key that is not a text"),
        ("- <<: Cash\n  term: Debt\n", r": .*merge"),
        ("- " * 3000 + "Cash\n", r": "),
        ("[" * 5000, r": "),
        ('- term: "a\\UFFFFFFFF"\n  definition: b\n', r":"),
        (b"- term: Cash\n  definition: Mon\0ey.\n", r":2: "),
        (b"- term: caf\xe9\n", r":1: .*UTF-8"),
        ("- term: Cash\n  definition: Money.\n  id: [1, 2\n", r":\d: "),
        ("", ": .*an empty file"),
        ("\n\n", ": .*an empty file"),
        ("# nothing\n", ": expected terms"),
        ("Cash\n", ": expected terms"),
        ("[]\n", ": .*at least one term"),
        ("terms: []\n", ": .*at least one term"),
        ("- term: Cash\n- term: Debt\n", r":1: .*\(missing: definition\)"),
        ("- definition: Money.\n", r":1: .*\(missing: term\)"),
    ],
)
def test_a_broken_file_is_one_error(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=rf"terms.yaml{message}"):
        Glossary.load(write(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("- term: Cash\n  definition: Money.\n- Debt\n", 3),
        ("- term: Cash\n  definition: Money.\n\n- [Debt]\n", 4),
        ("- term: Cash\n  definition: Money.\n- term: [Debt]\n  definition: Owed.\n", 3),
        ('- term: Cash\n  definition: Money.\n- term: "\\uD83D"\n  definition: Owed.\n', 3),
        (f"- term: Cash\n  definition: Money.\n- term: {'x' * 100_001}\n  definition: Owed.\n", 3),
        ("Cash: Money.\nDebt: [Owed]\n", 2),
        ("Cash: Money.\n\nDebt:\n", 3),
    ],
    ids=["text", "list", "list-name", "surrogate", "long", "named-list", "named-nothing"],
)
def test_a_broken_entry_is_named_and_the_others_are_kept(
    tmp_path: Path, content: str, line: int
) -> None:
    found = read(tmp_path, content)
    assert [term.term for term in found.terms] == ["Cash"]
    assert [problem.line for problem in found.problems] == [line]
    assert f"terms.yaml:{line}: " in str(found.problems[0])


COLUMNS = ", ".join(f"k{at}: v" for at in range(2_000))


@pytest.mark.parametrize(
    "content",
    [
        "a0: &a0 [a, b]\n"
        + "".join(f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]\n" for at in range(1, 9)),
        f"- &a {{term: t, definition: d, {COLUMNS}}}\n" + "- <<: *a\n" * 1_000,
        f"- &a {{term: t, definition: d, {COLUMNS}}}\n" + "- *a\n" * 1_000,
    ],
    ids=["laughs", "merges", "columns"],
)
def test_few_lines_do_not_become_much_memory(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="1,000,000"):
        read(tmp_path, content)
