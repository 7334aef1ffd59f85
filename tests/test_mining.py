from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from glossrank.training.examples import Candidate, Example, TrainingSet
from glossrank.training.mining import Pool, draw, mine, plain_document, shortlists
from tests.conftest import WORDS


@st.composite
def training_sets(draw: st.DrawFn, *, most_examples: int = 8) -> TrainingSet:
    """Questions over candidates, with several right answers, labelled wrong ones, or none."""
    texts = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
    count = draw(st.integers(2, 12))
    candidates = tuple(
        Candidate(str(row), draw(texts), (draw(texts),), draw(st.sampled_from(["", "a", "b"])))
        for row in range(count)
    )
    examples = []
    for _ in range(draw(st.integers(1, most_examples))):
        rows = draw(st.permutations(range(count)))
        right = draw(st.integers(0, min(3, count - 1)))
        wrong = draw(st.integers(0, min(3, count - right)))
        examples.append(
            Example(draw(texts), tuple(rows[:right]), tuple(rows[right : right + wrong]))
        )
    return TrainingSet(candidates, tuple(examples))


# Few examples: every one builds two BM25 indices.
@settings(max_examples=40, deadline=None)
@given(training_sets(), st.integers(1, 14), st.integers(0, 99))
def test_a_shortlist_has_wrong_candidates_only(data: TrainingSet, size: int, seed: int) -> None:
    pools = shortlists(data, size=size, seed=seed)
    assert pools == shortlists(data, size=size, seed=seed)
    assert len(pools) == len(data.examples)
    for example, pool in zip(data.examples, pools, strict=True):
        wrong = set(range(len(data.candidates))) - set(example.right)
        assert len(pool.rows) <= size
        assert len(set(pool.rows)) == len(pool.rows)
        assert set(pool.rows) <= wrong
        assert pool.weights == (1.0,) * len(pool.rows)
        if size >= len(data.candidates):
            assert set(pool.rows) == wrong
        # At most the right ones are lost of a ranking that is cut at ``size``.
        assert len(pool.rows) >= min(size, len(wrong)) - len(example.right)


def some_set(*examples: Example) -> TrainingSet:
    names = ["gross profit", "net profit", "lease", "dividend", "tax", "cash flow"] + [
        f"filler {number}" for number in range(40)
    ]
    families = {"lease": "owed", "tax": "owed"}
    candidates = (Candidate(n, n, (f"{n} of us",), families.get(n, "")) for n in names)
    return TrainingSet(tuple(candidates), examples)


def test_a_shortlist_is_near_the_question_the_answer_and_the_family() -> None:
    data = some_set(Example("dividend?", (0,)), Example("zzz", (4,)))
    first, second = (pool.rows for pool in shortlists(data, size=4, seed=0))
    assert 3 in first  # the question's word
    assert 1 in first  # the right answer's word
    assert 2 in second  # the right answer's family
    # Some at random, which another seed draws otherwise.
    others = {shortlists(data, size=4, seed=seed)[0].rows for seed in range(5)}
    assert len(others) > 1


def scorer_of(logits: Mapping[str, float], seen: list[tuple[str, str]] | None = None):  # type: ignore[no-untyped-def]
    """Scores a document by its name, whatever the question."""

    def score(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        if seen is not None:
            seen.extend(pairs)
        return np.array([logits[document] for _, document in pairs], dtype=np.float32)

    return score


LETTERS = TrainingSet(
    tuple(Candidate(letter, "", (letter,)) for letter in "abcdef"),
    (Example("first", (0,)), Example("second", (1, 2)), Example("third", ())),
)
POOLS = [Pool((3, 4, 5), (1.0,) * 3), Pool((3, 4, 5), (1.0,) * 3), Pool((0, 5), (1.0, 1.0))]


def test_mined_weights_rise_with_the_logit() -> None:
    seen: list[tuple[str, str]] = []
    scorer = scorer_of({"a": 1, "b": 0, "c": 2, "d": -3, "e": 3, "f": 0}, seen)
    mined = mine(LETTERS, POOLS, scorer, margin=4.0, temperature=2.0)
    assert [pool.rows for pool in mined] == [pool.rows for pool in POOLS]
    np.testing.assert_allclose(mined[0].weights, np.exp([-3, 0, -1.5]), rtol=1e-6)
    np.testing.assert_allclose(mined[2].weights, np.exp([0, -0.5]), rtol=1e-6)
    flat = mine(LETTERS, POOLS, scorer, margin=4.0, temperature=1e6)[0].weights
    np.testing.assert_allclose(flat, 1.0, atol=1e-4)
    assert ("second", "e") in seen
    assert ("third", "f") in seen
    assert ("third", "e") not in seen


def test_a_weight_never_vanishes() -> None:
    scorer = scorer_of({"a": 0, "b": 0, "c": 0, "d": -1e4, "e": 1, "f": -1e4})
    weights = mine(LETTERS, POOLS, scorer, margin=4.0, temperature=2.0)[0].weights
    assert weights == pytest.approx((1e-6, 1, 1e-6))


def test_a_likely_right_answer_is_no_negative() -> None:
    scorer = scorer_of({"a": 0, "b": -5, "c": 1, "d": 4, "e": 4.5, "f": 5.5})
    mined = mine(LETTERS, POOLS, scorer, margin=4.0, temperature=2.0)
    # Right at the margin stays; for several right answers the best one counts.
    assert [pool.rows for pool in mined] == [(3,), (3, 4), (0, 5)]
    assert [pool.excluded for pool in mined] == [(4, 5), (5,), ()]
    assert mined[0].weights == (1.0,)
    scorer = scorer_of({"a": -9, "b": -9, "c": 9, "d": 4, "e": 4.5, "f": 5.5})
    kept = mine(LETTERS, POOLS, scorer, margin=4.0, temperature=2.0)
    assert kept[0] == POOLS[0]  # nothing would be left: the pool stays as it was
    assert kept[1].rows == POOLS[1].rows


def test_an_empty_pool_stays_empty() -> None:
    data = TrainingSet(LETTERS.candidates[:1], (Example("first", (0,)),))
    assert mine(data, [Pool((), ())], scorer_of({"a": 0}), margin=1, temperature=1) == [
        Pool((), ())
    ]


@st.composite
def draws(draw: st.DrawFn) -> tuple[Example, Pool, int]:
    """An example, its pool, and the number of candidates."""
    data = draw(training_sets(most_examples=1))
    example, count = data.examples[0], len(data.candidates)
    wrong = draw(st.permutations([row for row in range(count) if row not in example.right]))
    size = draw(st.integers(0, len(wrong)))
    excluded = wrong[size : size + draw(st.integers(0, len(wrong) - size))]
    weights = draw(st.lists(st.floats(1e-6, 1), min_size=size, max_size=size))
    return example, Pool(tuple(wrong[:size]), tuple(weights), tuple(excluded)), count


@settings(deadline=None)
@given(draws(), st.integers(1, 16), st.floats(0, 1), st.integers(0, 999))
def test_a_draw_has_the_wanted_number_of_wrong_candidates(
    case: tuple[Example, Pool, int], count: int, random_share: float, seed: int
) -> None:
    example, pool, candidates = case

    def again() -> list[int]:
        return draw(
            example,
            pool,
            count=count,
            random_share=random_share,
            candidates=candidates,
            rng=random.Random(seed),
        )

    rows = again()
    assert rows == again()
    # Labelled ones come first: half of the draw, or as many as there are.
    labelled = rows[: min(len(example.wrong), (count + 1) // 2)]
    assert set(labelled) <= set(example.wrong)
    # What is likely right is left out, unless somebody labelled it as wrong.
    left_out = {*example.right, *pool.excluded} - set(labelled)
    assert len(rows) == min(count, candidates - len(left_out))
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(range(candidates)) - left_out


def drawn(pool: Pool, *, random_share: float, count: int = 2) -> Counter[int]:
    rng = random.Random(0)
    seen: Counter[int] = Counter()
    for _ in range(1000):
        seen.update(
            draw(
                Example("q", (0,)), pool, count=count, random_share=random_share,
                candidates=30, rng=rng,
            )
        )  # fmt: skip
    return seen


def test_convincing_candidates_are_drawn_more_often() -> None:
    seen = drawn(Pool((1, 2, 3), (1.0, 0.2, 0.05)), random_share=0.0)
    assert set(seen) == {1, 2, 3}
    assert seen[1] > 900
    assert seen[1] > seen[2] > 2 * seen[3]
    first = drawn(Pool((1, 2), (1.0, 0.25)), random_share=0.0, count=1)
    assert first[1] / 1000 == pytest.approx(0.8, abs=0.04)
    # Weights count by their ratio, however small they are.
    first = drawn(Pool((1, 2, 3), (4e-6, 1e-6, 1e-6)), random_share=0.0, count=1)
    assert first[1] / 1000 == pytest.approx(4 / 6, abs=0.05)
    assert first[2] / 1000 == pytest.approx(1 / 6, abs=0.04)


def test_the_random_share_comes_from_all_candidates() -> None:
    pool = Pool((1, 2, 3, 4), (1.0,) * 4)
    assert set(drawn(pool, random_share=1.0)) == set(range(1, 30))
    half = drawn(pool, random_share=0.5)
    assert set(half) == set(range(1, 30))
    assert sum(half[row] for row in pool.rows) > 1000
    assert set(drawn(pool, random_share=0.0)) == set(pool.rows)


def test_the_shortest_wording_is_scored_in_the_form_that_ask_uses() -> None:
    assert plain_document(Candidate("x", "Tax", ("owed to the state", "owed"))) == (
        "Tax can be defined as owed"
    )
    assert plain_document(Candidate("x", "", ("a longer one", "short"))) == "short"
