from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glossrank import Glossary
from glossrank.errors import InputError, PairsError
from glossrank.judgments import (
    JudgedQuestion,
    LabelledPair,
    inspect_pairs,
    part_of,
    read_pairs,
    read_questions,
    read_text_pairs,
    read_trained_terms,
    statistics,
)

HEAD = "sentence_0,sentence_1,label\n"


def write(tmp_path: Path, content: str, name: str = "pairs.csv") -> Path:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


def test_good_rows_become_pairs(tmp_path: Path) -> None:
    pairs = read_pairs(write(tmp_path, HEAD + "who?,me,1\nwho?,you,0.25\n"))
    assert pairs == [LabelledPair("who?", "me", 1.0, 2), LabelledPair("who?", "you", 0.25, 3)]
    lines = '{"sentence_0": "who?", "sentence_1": "me", "label": 1}\n'
    assert read_pairs(write(tmp_path, lines, "pairs.jsonl")) == [LabelledPair("who?", "me", 1.0, 1)]


@pytest.mark.parametrize("label", ["yes", "2", "-0.1", "nan", "inf", "", "1e999", "x" * 90_000])
def test_labels_outside_0_to_1_are_named(tmp_path: Path, label: str) -> None:
    path = write(tmp_path, HEAD + f"who?,me,1\nwho?,you,{label}\n")
    with pytest.raises(PairsError, match=r"pairs\.csv:3: expected a label from 0"):
        read_pairs(path)


@pytest.mark.parametrize(
    "label", ["true", "null", "NaN", '"x"', "[1]", "2", "1" + "0" * 400, '"' + "9" * 90_000 + '"']
)
def test_json_labels_outside_0_to_1_are_named(tmp_path: Path, label: str) -> None:
    line = f'{{"sentence_0": "who?", "sentence_1": "me", "label": {label}}}\n'
    with pytest.raises(PairsError, match=r"pairs\.jsonl:1: expected a label"):
        read_pairs(write(tmp_path, line, "pairs.jsonl"))


def test_two_labels_for_one_pair_are_named_by_both_lines(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "who?,me,1\nwhy?,so,0\nwho?,me,0\n")
    with pytest.raises(PairsError, match=r"pairs\.csv:4: .* on line 2, found 0\.0"):
        read_pairs(path)
    repeated = read_pairs(write(tmp_path, HEAD + "who?,me,1\nwho?,me,1.0\n"))
    assert len(repeated) == 2


def test_every_problem_is_reported_and_good_rows_are_kept(tmp_path: Path) -> None:
    rows = "".join(f"question {n},answer,{'yes' if n % 2 else 1}\n" for n in range(60))
    pairs, problems = inspect_pairs(write(tmp_path, HEAD + rows + ",empty,1\n"))
    assert len(pairs) == 30
    assert [p.line for p in problems] == [*range(3, 62, 2), 62]
    with pytest.raises(PairsError, match="and 11 more") as caught:
        read_pairs(tmp_path / "pairs.csv")
    assert len(caught.value.problems) == 31


def test_no_row_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one pair"):
        read_pairs(write(tmp_path, HEAD))


def test_pairs_without_labels_can_be_scored(tmp_path: Path) -> None:
    path = write(tmp_path, "sentence_1,sentence_0\nme,who?\n")
    assert read_text_pairs(path) == [("who?", "me")]
    with pytest.raises(PairsError, match=r"pairs\.csv:2: .*'sentence_1'"):
        read_text_pairs(write(tmp_path, "sentence_0,sentence_1\nwho?,\n"))


def test_statistics_are_the_cards() -> None:
    pairs = [LabelledPair("four", "sixsix", 1.0, 2), LabelledPair("eighteig", "tententent", 0.0, 3)]
    assert [(c.name, c.kind, c.smallest, c.average, c.largest) for c in statistics(pairs)] == [
        ("sentence_0", "string", 4, 6, 8),
        ("sentence_1", "string", 6, 8, 10),
        ("label", "float", 0, 0.5, 1),
    ]


def test_questions_name_known_terms_only(tmp_path: Path, glossary: Glossary) -> None:
    good = '{"question": "how much tax?", "relevant": ["goodwill"], "typo": true}\n'
    found = read_questions(write(tmp_path, good, "q.jsonl"), glossary)
    assert found[0].relevant == ("goodwill",)
    assert found[0].typo
    for bad in ('["nonsense"]', "[]", '"goodwill"', '[["goodwill"]]', '["goodwill", "goodwill"]'):
        line = f'{{"question": "how much tax?", "relevant": {bad}}}\n'
        with pytest.raises(InputError, match=r"q\.jsonl:2: expected different ids of terms"):
            read_questions(write(tmp_path, good + line, "q.jsonl"), glossary)


def test_questions_that_nothing_answers_are_read_where_they_are_allowed(
    tmp_path: Path, glossary: Glossary
) -> None:
    good = '{"question": "how much tax?", "relevant": ["goodwill"]}\n'
    nothing = '{"question": "who won the cup?", "relevant": []}\n'
    path = write(tmp_path, good + nothing, "q.jsonl")
    found = read_questions(path, glossary, allow_none=True)
    assert [q.relevant for q in found] == [("goodwill",), ()]
    with pytest.raises(InputError, match=r"q\.jsonl:2: expected different ids of terms"):
        read_questions(path, glossary)
    for bad in ("null", '""', "{}", "0", "false", '["nonsense"]', "[null]", '["goodwill", 1]'):
        line = f'{{"question": "how much tax?", "relevant": {bad}}}\n'
        with pytest.raises(InputError, match=r"q\.jsonl:2: expected different ids of terms"):
            read_questions(write(tmp_path, good + line, "q.jsonl"), glossary, allow_none=True)
    with pytest.raises(InputError, match=r"q\.csv:2: expected different ids of terms"):
        table = write(tmp_path, "question,relevant\nhow much tax?,\n", "q.csv")
        read_questions(table, glossary, allow_none=True)


def test_trained_terms_may_be_of_other_glossaries_too(tmp_path: Path, glossary: Glossary) -> None:
    lines = '{"relevant": ["goodwill", "elsewhere"]}\n{"relevant": []}\n'
    path = write(tmp_path, lines, "train.jsonl")
    assert read_trained_terms(path, glossary) == {"goodwill", "elsewhere"}
    with pytest.raises(InputError, match=r"train\.jsonl: expected questions about terms of"):
        strangers = '{"relevant": ["elsewhere"]}\n'
        read_trained_terms(write(tmp_path, strangers, "train.jsonl"), glossary)
    for bad in ("null", '"goodwill"', "[1]"):
        path = write(tmp_path, lines + f'{{"relevant": {bad}}}\n', "train.jsonl")
        with pytest.raises(InputError, match=r"train\.jsonl:3: expected a list of term ids"):
            read_trained_terms(path, glossary)


def test_questions_need_a_text_and_a_file_needs_questions(
    tmp_path: Path, glossary: Glossary
) -> None:
    line = '{"question": null, "relevant": ["goodwill"]}\n'
    with pytest.raises(InputError, match=r"q\.jsonl:1: expected a text under 'question'"):
        read_questions(write(tmp_path, line, "q.jsonl"), glossary)
    with pytest.raises(InputError, match="at least one question"):
        read_questions(write(tmp_path, "question,relevant\n", "q.csv"), glossary)


def numbered(count: int) -> list[JudgedQuestion]:
    return [JudgedQuestion(str(number), ("goodwill",), False) for number in range(count)]


def rows_of(part: list[JudgedQuestion]) -> list[int]:
    return [int(question.question) for question in part]


@given(st.integers(0, 400), st.integers(1, 500))
def test_a_part_is_an_nth_rounded_up_in_order(count: int, every: int) -> None:
    questions = numbered(count)
    part = part_of(questions, every=every)
    assert len(part) == math.ceil(count / every)
    rows = rows_of(part)
    assert all(later > earlier for earlier, later in itertools.pairwise(rows))
    assert part == [questions[row] for row in rows]
    # Whatever else draws at random, the part is the same.
    random.random()
    assert part_of(numbered(count), every=every) == part
    assert part_of(questions, every=1) == questions


def test_a_part_is_a_fair_sample_where_each_nth_row_is_not() -> None:
    # Three kinds of questions in turn, as where each term has one of each.
    for every in (2, 3, 6):
        rows = rows_of(part_of(numbered(900), every=every))
        size = 900 // every
        for kind in range(3):
            share = sum(row % 3 == kind for row in rows) / size
            assert share == pytest.approx(1 / 3, abs=3 * math.sqrt(2 / 9 / size))
        # From the whole file, not from one end of it.
        for third in range(3):
            share = sum(row // 300 == third for row in rows) / size
            assert share == pytest.approx(1 / 3, abs=3 * math.sqrt(2 / 9 / size))
        steps = {later - earlier for earlier, later in itertools.pairwise(rows)}
        assert len(steps) > 3


def test_messages_stay_short(tmp_path: Path) -> None:
    line = '{"sentence_0": ["' + "x" * 1_000_000 + '"], "sentence_1": "b", "label": 1}\n'
    with pytest.raises(PairsError) as caught:
        read_pairs(write(tmp_path, line, "pairs.jsonl"))
    assert len(str(caught.value)) < 600


def test_an_integer_too_long_for_python_is_a_broken_line(tmp_path: Path) -> None:
    line = '{"sentence_0": "a", "sentence_1": "b", "label": 1' + "0" * 5000 + "}\n"
    with pytest.raises(PairsError, match=r"pairs\.jsonl:1: .*a broken line"):
        read_pairs(write(tmp_path, line, "pairs.jsonl"))
