from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossrank import CrossEncoder
from glossrank.calibration import Calibration
from glossrank.errors import ModelRefusedError, OutputError
from glossrank.evaluation import PairedDifference
from glossrank.training.examples import Example, TrainingSet
from glossrank.training.guard import (
    BETTER,
    FEWEST_QUESTIONS,
    FEWEST_TERMS,
    REFERENCE_LIMIT,
    REFERENCE_TOLERANCE,
    SAME,
    WORSE,
    Fold,
    GuardResult,
    _verdict,
    check,
    kept_part,
    make_fold,
)
from glossrank.training.guarded import (
    FEWEST_FOR_CALIBRATION,
    FEWEST_OF_EACH,
    calibration_of,
    guard_folder,
    guarded,
)
from glossrank.training.listwise_run import train_listwise
from glossrank.training.mining import plain_document
from glossrank.training.recipe import ListwiseRecipe
from tests.conftest import write_tiny_model
from tests.test_listwise import TERMS, WORDINGS, marked_set
from tests.test_mining import training_sets

LEARN = ListwiseRecipe(
    epochs=12, learning_rate=1e-2, questions_per_step=8, typo_share=0.0, case_share=0.0
)
DATA = marked_set(TERMS[:10], wordings=WORDINGS[:4])
FEW_TERMS = marked_set(TERMS[:4])


@given(training_sets(most_examples=30), st.integers(0, 99))
@settings(deadline=None)
def test_a_fold_hides_terms_and_keeps_the_rest_answerable(data: TrainingSet, seed: int) -> None:
    fold = make_fold(data, seed=seed)
    assert fold == make_fold(data, seed=seed)
    parts = [*fold.kept, *fold.new_terms, *fold.new_questions]
    assert sorted(parts) == list(range(len(data.examples)))
    answers = {row for example in data.examples for row in example.right}
    assert fold.hidden <= answers
    assert bool(fold.hidden) == bool(answers)
    for at in fold.new_terms:
        assert fold.hidden & set(data.examples[at].right)
    trained = {row for at in fold.kept for row in data.examples[at].right}
    assert not trained & fold.hidden
    for at in fold.new_questions:
        assert set(data.examples[at].right) <= trained


@given(training_sets(most_examples=30), st.integers(0, 99))
@settings(deadline=None)
def test_the_kept_part_has_no_hidden_term_and_the_same_answers(
    data: TrainingSet, seed: int
) -> None:
    fold = make_fold(data, seed=seed)
    kept = kept_part(data, fold)
    hidden = {data.candidates[row].id for row in fold.hidden}
    assert {c.id for c in kept.candidates} == {c.id for c in data.candidates} - hidden

    def named(data: TrainingSet, rows: tuple[int, ...]) -> set[str]:
        return {data.candidates[row].id for row in rows}

    for at, example in zip(fold.kept, kept.examples, strict=True):
        before = data.examples[at]
        assert (example.question, example.typo) == (before.question, before.typo)
        assert named(kept, example.right) == named(data, before.right)
        assert named(kept, example.wrong) == named(data, before.wrong) - hidden


def test_a_fifth_is_held_out_and_every_seed_holds_out_other_ones() -> None:
    folds = [make_fold(DATA, seed=seed) for seed in range(8)]
    assert len({fold.hidden for fold in folds}) > 4
    assert len({fold.new_questions for fold in folds}) > 4
    for fold in folds:
        # Ten terms of four questions each; a fifth of 10, then of 32 questions.
        assert (len(fold.hidden), len(fold.new_terms), len(fold.new_questions)) == (2, 8, 6)


def test_a_terms_only_question_is_never_a_new_question() -> None:
    once = marked_set(wordings=WORDINGS[:1])
    assert make_fold(once, seed=1).new_questions == ()
    many = TrainingSet(DATA.candidates, tuple(Example(f"how {n}?", (0,)) for n in range(9)))
    assert make_fold(many, seed=1).kept == ()  # the only term is hidden


def test_questions_that_nothing_answers_are_held_out_as_well() -> None:
    nothing = tuple(Example(f"lunch {number}?", ()) for number in range(50))
    data = TrainingSet(DATA.candidates, (*DATA.examples, *nothing))
    fold = make_fold(data, seed=1)
    held_out = [at for at in fold.new_questions if not data.examples[at].right]
    assert len(held_out) > 3
    assert len(fold.kept) > 60


def difference(low: float, middle: float, high: float) -> PairedDifference:
    return PairedDifference(middle, low, high, 0.5)


UP, FLAT, DOWN = (difference(m - 0.1, m, m + 0.1) for m in (0.2, 0.05, -0.2))
TIGHT = difference(-REFERENCE_TOLERANCE, -REFERENCE_TOLERANCE / 2, -0.001)
TOUCHING = difference(-0.4, -0.2, 0.0)


@pytest.mark.parametrize(
    ("own", "reference", "verdict"),
    [
        (UP, FLAT, BETTER),
        (FLAT, FLAT, SAME),
        (None, FLAT, SAME),
        (None, UP, SAME),
        (DOWN, FLAT, WORSE),
        (DOWN, UP, WORSE),
        (difference(0.0, 0.1, 0.2), FLAT, SAME),
        (difference(-0.2, -0.1, 0.0), FLAT, SAME),
        # What was lost elsewhere counts less where the own data gain by it.
        (UP, DOWN, BETTER),
        (UP, difference(-0.4, -REFERENCE_LIMIT - 0.01, -0.1), WORSE),
        (UP, difference(-0.6, -REFERENCE_LIMIT - 0.1, 0.0), BETTER),
        (FLAT, DOWN, WORSE),
        (None, DOWN, WORSE),
        # A loss that is small, or not sure, does not.
        (FLAT, TIGHT, SAME),
        (None, TOUCHING, SAME),
    ],
)
def test_verdicts(own: PairedDifference | None, reference: PairedDifference, verdict: str) -> None:
    assert _verdict(own, reference) == verdict


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer and 48 tokens, because the guard ranks 3,600 shipped definitions."""
    return write_tiny_model(tmp_path_factory.mktemp("random") / "model", layers=1, positions=48)


@pytest.fixture(scope="module")
def good_model(random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("good") / "model"
    train_listwise(DATA, base=random_model, output=output, recipe=LEARN)
    return output


# Together they hide five terms.
SEEDS = (1, 2, 5)


def test_the_base_itself_shows_no_difference(random_model: Path) -> None:
    data = TrainingSet(
        DATA.candidates, (*DATA.examples, *(Example(f"lunch {n}", ()) for n in range(8)))
    )
    folds: list[tuple[Fold, int]] = []

    def fit(fold: Fold, seed: int) -> Path:
        folds.append((fold, seed))
        return random_model

    asked: list[int] = []
    result = check(
        data, base=random_model, fit=fit, seeds=SEEDS, on_question=lambda: asked.append(len(folds))
    )
    assert folds == [(make_fold(data, seed=seed), seed) for seed in SEEDS]
    assert (result.verdict, result.seeds) == (SAME, len(SEEDS))
    assert result.base == result.trained
    for part in (result.own, result.new_terms, result.new_questions, result.reference):
        assert part is not None
        assert (part.difference, part.low, part.high) == (0, 0, 0)
    held_out = [at for fold, _ in folds for at in (*fold.new_terms, *fold.new_questions)]
    assert len(asked) == len(held_out)
    assert set(asked) == {1, 2, 3}
    # Questions that several seeds hold out count once; for the calibration the first ten
    # answers count each time, also those to questions that nothing answers.
    different = set(held_out)
    answered = {at for at in different if data.examples[at].right}
    assert result.questions == len(answered)
    assert (result.asked, result.unanswerable) == (len(different), len(different - answered))
    assert result.unanswerable > 0
    assert result.shown_logits.shape == result.shown_right.shape == (len(held_out), 10)
    # All candidates were ranked, for there are fewer than the guard's limit.
    documents = [plain_document(candidate) for candidate in data.candidates]
    model = CrossEncoder(random_model)
    for at, shown, right in zip(held_out, result.shown_logits, result.shown_right, strict=True):
        question = data.examples[at].question
        logits = model.logits([(question, document) for document in documents])
        np.testing.assert_allclose(shown, sorted(logits.tolist(), reverse=True)[:10], atol=0.02)
        own = logits[list(data.examples[at].right)]
        if right.any():
            np.testing.assert_allclose(shown[right], own, atol=0.02)
        else:
            assert (own < shown[-1] + 0.02).all()
    # A random model shows some right answers and misses others.
    found = int(result.shown_right.sum())
    assert 0 < found < sum(bool(data.examples[at].right) for at in held_out)


def test_training_on_right_answers_is_better_also_on_new_terms(
    random_model: Path, tmp_path: Path
) -> None:
    def fit(fold: Fold, seed: int) -> Path:
        recipe = dataclasses.replace(LEARN, seed=seed)
        output = tmp_path / str(seed)
        train_listwise(kept_part(DATA, fold), base=random_model, output=output, recipe=recipe)
        return output

    result = check(DATA, base=random_model, fit=fit, seeds=SEEDS)
    assert result.verdict == BETTER
    assert result.trained > result.base + 0.1
    assert result.own is not None
    assert result.own.low > 0
    assert result.own.difference == pytest.approx(result.trained - result.base, abs=0.1)
    assert result.new_terms is not None
    assert result.new_terms.difference > 0
    # The places of the right answers among those shown give the same nDCG@10.
    gains: dict[tuple[int, bool], list[float]] = {}
    folds = (make_fold(DATA, seed=seed) for seed in SEEDS)
    asked = [
        (at, new)
        for fold in folds
        for new, part in ((True, fold.new_terms), (False, fold.new_questions))
        for at in part
    ]
    for key, right in zip(asked, result.shown_right, strict=True):
        gains.setdefault(key, []).append(float((right / np.log2(np.arange(10) + 2)).sum()))
    assert result.trained == pytest.approx(np.mean([np.mean(found) for found in gains.values()]))
    text = "\n".join(result.lines())
    assert f"held-out questions ({result.questions}, 3 seeds)" in text
    assert f"{result.base:.3f} -> {result.trained:.3f}" in text
    assert f"{result.own.low:+.3f} to {result.own.high:+.3f}" in text
    assert "terms never trained on" in text
    assert "shipped finance questions" in text


def copies(model: Path) -> Callable[[Fold, int, Path], None]:
    """A fit that gives a model's copy, whatever the fold."""

    def fit(_fold: Fold, _seed: int, folder: Path) -> None:
        shutil.copytree(model, folder)

    return fit


def run(
    output: Path,
    data: TrainingSet = DATA,
    *,
    base: Path,
    fit: Callable[[Fold, int, Path], None],
    seeds: int = 1,
    resume: bool = False,
    force: bool = False,
    fingerprint: str = "the same",
    on_question: Callable[[], None] = lambda: None,
) -> GuardResult:
    return guarded(
        data, base=base, output=output, fingerprint={"run": fingerprint}, fit=fit, seeds=seeds,
        resume=resume, force=force, on_question=on_question,
    )  # fmt: skip


def no_fit(_fold: Fold, _seed: int, _folder: Path) -> None:
    pytest.fail("trained again")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_worse_model_is_refused_and_force_needs_no_second_check(
    random_model: Path, good_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "new"
    with pytest.raises(ModelRefusedError) as caught:
        run(output, base=good_model, fit=copies(random_model))
    message = str(caught.value)
    assert "held-out questions (14, 1 seeds): nDCG@10" in message
    assert "shipped finance questions" in message
    assert "--force" in message
    # Only what the check found is kept, no model.
    assert names(tmp_path) == ["new.guard"]
    assert names(guard_folder(output)) == ["result.json", "run.json"]
    with pytest.raises(ModelRefusedError) as again:
        run(output, base=good_model, fit=no_fit)
    assert str(again.value) == message
    result = run(output, base=good_model, fit=no_fit, force=True)
    assert result.verdict == WORSE
    for line in result.lines():
        assert line in message
    for change in ({"fingerprint": "another"}, {"seeds": 2}):
        with pytest.raises(OutputError, match="result of another"):
            run(output, base=good_model, fit=no_fit, force=True, **change)


def test_questions_about_few_terms_claim_nothing(
    random_model: Path, good_model: Path, tmp_path: Path
) -> None:
    result = run(tmp_path / "new", FEW_TERMS, base=good_model, fit=copies(random_model))
    assert result.questions >= FEWEST_QUESTIONS
    assert len({example.right for example in FEW_TERMS.examples}) < FEWEST_TERMS
    assert (result.own, result.new_terms, result.new_questions) == (None, None, None)
    assert result.verdict == SAME
    assert f"too few ({result.questions})" in result.lines()[0]


def test_an_interrupted_check_goes_on(random_model: Path, tmp_path: Path) -> None:
    output, work = tmp_path / "new", tmp_path / "new.guard"
    fitted: list[int] = []

    def fit(_fold: Fold, seed: int, folder: Path) -> None:
        fitted.append(seed)
        shutil.copytree(random_model, folder)

    def stopped(_fold: Fold, _seed: int, _folder: Path) -> None:
        raise KeyboardInterrupt

    def stop() -> None:
        raise KeyboardInterrupt

    def again(**change: Any) -> GuardResult:
        arguments: dict[str, Any] = {"base": random_model, "fit": fit, "seeds": 2}
        return run(output, FEW_TERMS, **(arguments | change))

    with pytest.raises(KeyboardInterrupt):
        again(fit=stopped)
    assert not names(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        again(on_question=stop)
    assert names(work) == ["run.json", "seed-1"]
    with pytest.raises(OutputError, match="Add --resume"):
        again()
    with pytest.raises(OutputError, match="another run"):
        again(fingerprint="another", resume=True)
    with pytest.raises(OutputError, match="another guard_seeds"):
        again(seeds=3, resume=True)
    assert fitted == [1]
    result = again(resume=True)
    assert fitted == [1, 2]
    assert names(work) == ["result.json", "run.json"]
    # A later command reads what was found, to the last figure.
    read = again(fit=no_fit)
    for field in dataclasses.fields(GuardResult):
        np.testing.assert_equal(getattr(read, field.name), getattr(result, field.name))
    assert read.shown_logits.dtype == np.float32
    assert read.shown_right.dtype == np.bool_
    assert read.shown_logits.shape == read.shown_right.shape == (read.shown_right.shape[0], 10)


def test_the_check_starts_only_where_the_model_can_be_saved(
    random_model: Path, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="does not exist yet"):
        run(taken, base=random_model, fit=no_fit)
    taken.rename(tmp_path / "new.training")
    with pytest.raises(OutputError, match="Add --resume"):
        run(tmp_path / "new", base=random_model, fit=no_fit)
    taken = (tmp_path / "new.training").rename(tmp_path / "new.guard")
    for resume in (False, True):
        with pytest.raises(OutputError, match="no training run made"):
            run(tmp_path / "new", base=random_model, fit=no_fit, resume=resume)
    assert names(tmp_path) == ["new.guard"]
    assert (taken / "thesis.txt").read_text() == "mine"


def test_nothing_held_out_is_no_calibration(random_model: Path, tmp_path: Path) -> None:
    # A fifth of two questions is none.
    data = TrainingSet(DATA.candidates, (Example("lunch?", ()), Example("dinner?", ())))
    found = run(tmp_path / "new", data, base=random_model, fit=copies(random_model))
    assert found.asked == 0
    assert calibration_of(found) is None
    read = run(tmp_path / "new", data, base=random_model, fit=no_fit)
    assert calibration_of(read) is None


def result_with(
    logits: np.ndarray, right: np.ndarray, *, asked: int = 2 * FEWEST_OF_EACH, unanswerable: int = 5
) -> GuardResult:
    nothing = difference(0, 0, 0)
    return GuardResult(
        SAME, 2, 0, 0.0, 0.0, None, None, None, nothing,
        logits.reshape(60, -1).astype(np.float32), right.reshape(60, -1).astype(bool),
        asked, unanswerable,
    )  # fmt: skip


def test_a_calibration_needs_enough_answers_of_both_kinds() -> None:
    logits = np.linspace(-4, 4, 60)
    right = (logits > 0) ^ (np.arange(60) % 7 == 0)
    enough = {"asked": FEWEST_FOR_CALIBRATION}
    curve = calibration_of(result_with(logits, right, **enough))
    assert curve is not None
    assert curve.slope > 0
    assert 0 < curve.threshold < 1
    asked = f"first 10 answers of {FEWEST_FOR_CALIBRATION} held-out questions (5 of them without"
    assert asked in curve.fitted_on
    assert "2 seeds" in curve.fitted_on
    assert curve.probability(np.array([4.0])) > 0.5 > curve.probability(np.array([-4.0]))
    # Answers of several seeds to the same few questions are not many answers.
    assert calibration_of(result_with(logits, right, asked=FEWEST_FOR_CALIBRATION - 1)) is None
    assert calibration_of(result_with(logits, ~right, **enough)) is None
    for count, found in ((FEWEST_OF_EACH, True), (FEWEST_OF_EACH - 1, False)):
        few = np.arange(60) >= 60 - count
        assert (calibration_of(result_with(logits, few, **enough)) is not None) == found
        many = np.arange(60) >= count
        assert (calibration_of(result_with(logits, many, **enough)) is not None) == found
        # Only first answers are counted; some of the later ones are right.
        later = np.arange(60) % 9 == 4
        both = result_with(
            np.stack([logits, logits - 3], axis=1), np.stack([few, later], axis=1), **enough
        )
        assert (calibration_of(both) is not None) == found


def test_the_folds_curve_is_fitted_to_later_answers_too() -> None:
    random = np.random.default_rng(5)
    logits = -np.sort(-random.normal(0, 2, (60, 10)), axis=1)
    reached = Calibration(1.5, -3.0, 0.5, "").probability(logits).cumsum(axis=1)
    drawn = random.random((60, 1))
    right = (drawn < reached) & (drawn >= np.hstack([np.zeros((60, 1)), reached[:, :-1]]))
    assert right[:, 1:].any() and not right.any(axis=1).all()
    curve = calibration_of(result_with(logits, right, asked=FEWEST_FOR_CALIBRATION))
    assert curve is not None
    # As many right ones as there were.
    assert curve.slope == pytest.approx(1.5, rel=0.4)
    assert curve.probability(logits).mean() == pytest.approx(right.mean(), abs=0.005)
    stated, answered = curve.answered(logits), right.any(axis=1)
    fewest = min(int(((stated >= edge) != answered).sum()) for edge in [0.0, *stated, 1.0])
    assert int(((stated >= curve.threshold) != answered).sum()) == fewest


def test_without_unanswerable_questions_nothing_is_withheld() -> None:
    logits = np.linspace(-4, 4, 60)
    result = result_with(logits, logits > 0, asked=FEWEST_FOR_CALIBRATION, unanswerable=0)
    curve = calibration_of(result)
    assert curve is not None
    assert curve.threshold == 0
