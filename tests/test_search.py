from __future__ import annotations

import dataclasses
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossrank import Answers, CrossEncoder, Glossary, Term, ask
from glossrank.calibration import Calibration
from glossrank.errors import InputError
from glossrank.fusion import Fusion
from glossrank.search import NAME_BONUS, Searcher
from tests.conftest import WORDS

QUESTIONS = (
    "who owes us money?",
    "what is our gross profit",
    "how quick are we getting paid by customers?",
    "debt to equity",
)


@pytest.fixture(scope="module")
def model() -> CrossEncoder:
    return CrossEncoder("finance-terms", precision="fp32")


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> CrossEncoder:
    return CrossEncoder(tiny_model, precision="fp32")


def some_terms(count: int, *, seed: int = 0) -> tuple[Term, ...]:
    draw = random.Random(seed)
    return tuple(
        Term(
            f"t{number:03d}",
            " ".join(draw.sample(WORDS, 2)),
            " ".join(draw.choices(WORDS, k=draw.randint(1, 20))) + ".",
            family=draw.choice(["a", "b"]),
        )
        for number in range(count)
    )


def found(answers: Answers) -> list[tuple[str, float, float | None]]:
    return [(a.term.id, a.logit, a.probability) for a in answers]


def test_dividends_come_first(model: CrossEncoder, glossary: Glossary) -> None:
    question = "Are we giving investors a good return via dividends?"
    answers = glossary.search(question, 5, model=model)
    assert [a.place for a in answers] == [1, 2, 3, 4, 5]
    about = ["ividend" in a.term.document for a in answers]
    assert about[0]
    assert sum(about) >= 3
    assert ask(question, glossary=glossary, model=model, top_k=5) == answers


def test_equal_scores_are_ordered_by_id(tiny: CrossEncoder) -> None:
    terms = tuple(Term(name, "Cash", "Money.") for name in "cabd")
    answers = ask("cash?", glossary=Glossary("same", terms), model=tiny)
    assert [a.term.id for a in answers] == ["a", "b", "c", "d"]
    assert len({a.logit for a in answers}) == 1


@settings(deadline=None, max_examples=25)
@given(st.randoms(use_true_random=False), st.integers(1, 60), st.sampled_from(["fp32", "bf16"]))
def test_what_is_found_depends_on_question_and_contents_alone(
    tiny_model: Path, draw: random.Random, count: int, precision: str
) -> None:
    """Order of the glossary, other questions and threads change no bit of it."""
    loaded = CrossEncoder(tiny_model, precision="fp32" if precision == "fp32" else "bf16")
    terms = some_terms(count, seed=draw.randint(0, 99))
    shuffled = draw.sample(terms, len(terms))
    plain, other = Glossary("a", terms), Glossary("b", tuple(shuffled))
    alone = [found(plain.search(q, 10, model=loaded)) for q in QUESTIONS]
    assert [found(other.search(q, 10, model=loaded)) for q in QUESTIONS] == alone
    many = draw.sample(range(len(QUESTIONS)), len(QUESTIONS))
    together = other.search_many([QUESTIONS[n] for n in many], 10, model=loaded)
    assert [found(answers) for answers in together] == [alone[n] for n in many]
    with ThreadPoolExecutor(8) as pool:
        tasks = [pool.submit(plain.search, q, 10, model=loaded) for q in QUESTIONS * 4]
        assert [found(task.result()) for task in tasks] == alone * 4


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.1)])
def test_a_pair_scores_alike_alone_and_among_others(
    glossary: Glossary, precision: str, tolerance: float
) -> None:
    loaded = CrossEncoder("finance-terms", precision="fp32" if precision == "fp32" else "bf16")
    pairs = [(q, document) for q in QUESTIONS[:2] for document in glossary.documents[::8]]
    together = loaded.logits(pairs)
    alone = np.array([loaded.logits([pair])[0] for pair in pairs])
    assert np.abs(together - alone).max() < tolerance
    order = np.random.default_rng(0).permutation(len(pairs))
    mixed = loaded.logits([pairs[at] for at in order])
    assert np.abs(mixed - together[order]).max() < tolerance


def test_an_empty_question_is_an_error(tiny: CrossEncoder, glossary: Glossary) -> None:
    with pytest.raises(InputError, match="as the question"):
        ask("  ", glossary=glossary, model=tiny)
    with pytest.raises(InputError, match="words as the question"):
        glossary.search("  ??? ", model=tiny)
    with pytest.raises(InputError, match="as a question"):
        list(glossary.search_many(["tax?", " "], model=tiny))
    with pytest.raises(ValueError, match="at least 1"):
        glossary.search("tax?", 0, model=tiny)


def test_answers_say_whether_anything_answers(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    terms = tuple(Term(f"t{n}", f"cash {n}", "money owed") for n in range(12))
    few = Glossary("few", terms)
    bare = ask("who pays?", glossary=few, model=CrossEncoder(folder))
    assert (bare.answered, bare.none_of_these) == (None, False)
    assert len(bare) == 12 and bare[0].place == 1 and bare[-1] == bare[11]
    assert bare[:2] == bare.best[:2]
    logits = np.array([answer.score for answer in bare])
    curve = Calibration(slope=1.0, intercept=-1.0, threshold=0.0, fitted_on="nothing")
    expected = float(curve.answered(logits))
    for threshold, nothing in ((expected - 1e-6, False), (expected + 1e-6, True)):
        dataclasses.replace(curve, threshold=threshold).save(folder)
        loaded = CrossEncoder(folder)
        # However few are asked for, all of the glossary's best count.
        for top_k in (1, 3, None):
            answers = ask("who pays?", glossary=few, model=loaded, top_k=top_k)
            assert answers.answered == pytest.approx(expected, abs=1e-9)
            assert answers.none_of_these is nothing
            assert answers[0].probability == pytest.approx(curve.probability(logits)[0], abs=1e-9)


def test_the_cosine_moves_the_order(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    terms = (Term("rain", "Rain", "Water from clouds."), Term("wage", "Wage", "Pay for work."))
    # Far more than any logit of the tiny model.
    Fusion(1000.0, Calibration(1.0, 0.0, 0.0, "nothing")).save(folder)
    for question, first in (("salary of an employee", "wage"), ("a wet cloudy day", "rain")):
        answers = Glossary("two", terms).search(question, model=CrossEncoder(folder))
        assert answers[0].term.id == first
        assert answers[0].score == answers[0].logit


def test_slips_are_corrected_before_the_model_reads(tiny: CrossEncoder) -> None:
    few = Glossary("few", (Term("a", "Cash", "money of the qwertol"), Term("b", "Tax", "owed")))
    typed, meant = "how mcuh cash of the qwertil", "how much cash of the qwertol"
    corrected = ask(typed, glossary=few, model=tiny)
    assert corrected.read_as == meant
    right = ask(meant, glossary=few, model=tiny)
    assert found(corrected) == found(right)
    assert right.read_as == meant
    raw = ask(typed, glossary=few, model=tiny, as_typed=True)
    assert raw.read_as == typed
    assert found(raw) != found(right)


def test_named_terms_always_come_up_with_their_reason(tiny: CrossEncoder) -> None:
    terms = (
        *some_terms(40),
        Term("dso", "Days Sales Outstanding (DSO)", "money", synonyms=("lag",)),
    )
    few = Glossary("few", terms)
    for question, words in (
        ("what is our dso", 'acronym "dso"'),
        ("days sales outstanding by customers", 'name "days sales outstanding"'),
        ("is the lag of customers long", '"lag" in the'),
    ):
        for top_k in (2, 3):
            answers = few.search(question, top_k, model=tiny)
            assert len(answers) == top_k
            named = [a for a in answers if a.term.id == "dso"]
            assert named and named[0].named is not None and named[0].named.startswith(words)
    assert few.search("dso", 1, model=tiny)[0].term.id == "dso"
    assert all(a.named is None for a in few.search("gross", 40, model=tiny) if a.term.id == "dso")
    assert NAME_BONUS


def test_two_close_terms_of_one_family_are_a_close_call(tiny: CrossEncoder) -> None:
    same = [Term(name, "cash flow", "money", family="cash") for name in "ab"]
    close = Glossary("close", tuple(same)).search("tax?", model=tiny)
    assert [term.id for term in close.ambiguous] == ["a", "b"]
    strangers = (same[0], dataclasses.replace(same[1], family="other"))
    assert Glossary("apart", strangers).search("tax?", model=tiny).ambiguous == ()
    alone = Glossary("alone", (same[0],)).search("tax?", model=tiny)
    assert alone.ambiguous == () and len(alone) == 1


def test_a_long_glossary_is_shortlisted(tiny: CrossEncoder) -> None:
    terms = some_terms(300)
    few = Glossary("long", terms)
    every = Searcher(few, tiny, exhaustive=300)
    some = Searcher(few, tiny, exhaustive=299, shortlist=20)
    question = f"{terms[7].definition} {terms[8].term}"
    short, whole = some.search(question, None), every.search(question, None)
    assert whole.scored == len(whole) == 300
    assert 20 <= short.scored == len(short) <= 20 + 5
    # The same terms get the same logits, up to other shapes of batches.
    logits = {a.term.id: a.logit for a in whole}
    assert all(abs(logits[a.term.id] - a.logit) < 1e-4 for a in short)
    assert "t007" in {a.term.id for a in short}
    with pytest.raises(ValueError, match="at least 1"):
        Searcher(few, tiny, shortlist=0)


def test_search_many_answers_repeated_questions_once(tiny: CrossEncoder) -> None:
    few = Glossary("few", some_terms(5))
    answers = list(few.search_many(["tax?", "cash?", "tax?", "tax?"], 2, model=tiny))
    assert answers[0] is answers[2] is answers[3]
    assert answers[1] == few.search("cash?", 2, model=tiny)
    assert list(few.search_many([], model=tiny)) == []


def test_answers_as_plain_values(tiny: CrossEncoder) -> None:
    few = Glossary("few", some_terms(3))
    record = few.search("tax?", 2, model=tiny, explain=True).to_dict()
    assert record["none_of_these"] is None and record["read_as"] == "tax?"
    first = record["answers"][0]
    assert {"place", "id", "term", "definition", "score", "logit", "probability", "named"} < set(
        first
    )
    assert {"words", "parts", "matched"} == set(first["reasons"])
