from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import sentence_transformers
from safetensors.numpy import load_file

from glossrank import CrossEncoder
from glossrank.errors import (
    InputError,
    ModelFolderError,
    ModelNotFoundError,
    OutputError,
    TrainingInterruptedError,
    UnsupportedModelError,
)
from glossrank.fusion import FITTED_FILES
from glossrank.training.examples import Candidate, Example, TeacherGroup, TrainingSet
from glossrank.training.listwise import groups_of_step, steps_of
from glossrank.training.listwise_card import listwise_card
from glossrank.training.listwise_run import ListwiseRun, train_listwise
from glossrank.training.mining import plain_document
from glossrank.training.recipe import ListwiseRecipe
from glossrank.training.work import Progress
from tests.conftest import write_tiny_model
from tests.tiny_families import write_family

TERMS = ("tax", "lease", "cash", "dividend", "revenue", "cost", "debt", "equity",
         "asset", "liability", "gross", "net", "ratio", "profit", "money", "goods")  # fmt: skip
WORDINGS = ("what is our", "how quick are we getting", "can customers be", "amount of",
            "the days and", "are services for")  # fmt: skip
# 16 questions in steps of 8: two steps an epoch, mining before the third step.
QUICK = ListwiseRecipe(
    epochs=3,
    learning_rate=3e-3,
    questions_per_step=8,
    pool_size=4,
    negatives=3,
    # So low that the mining decides what is drawn.
    mining_temperature=0.1,
)
STEPS = 6


def marked_set(
    terms: Sequence[str] = TERMS[:6], *, wordings: Sequence[str] = WORDINGS
) -> TrainingSet:
    """Questions whose right answers are paid by customers, among documents that are not.

    A model that learns the mark is better on terms it never saw, too.
    """
    right = [Candidate(term, "", (f"customers paid {term}",)) for term in terms]
    wrong = [
        Candidate(f"{what} {term}", "", (f"suppliers {what} {term}",))
        for what in ("days", "goods")
        for term in TERMS
    ]
    return TrainingSet(
        candidates=(*right, *wrong),
        examples=tuple(
            Example(f"{words} {term}", (row,))
            for words in wordings
            for row, term in enumerate(terms)
        ),
    )


def right_share(model: Path, data: TrainingSet) -> float:
    """Share of the questions with an answer whose first candidate is right."""
    engine = CrossEncoder(model)
    documents = [plain_document(candidate) for candidate in data.candidates]
    asked = [example for example in data.examples if example.right]
    good = 0
    for example in asked:
        logits = engine.logits([(example.question, document) for document in documents])
        good += int(logits.argmax()) in example.right
    return good / len(asked)


def own_documents(*asked: str, terms: Sequence[str]) -> TrainingSet:
    """Every question asks for the document of its term."""
    return TrainingSet(
        tuple(Candidate(term, "", (term,), "kin") for term in terms),
        tuple(
            Example(f"{words} {term}", (row,)) for words in asked for row, term in enumerate(terms)
        ),
    )


DATA = own_documents("what is our", "how quick", terms=TERMS[:8])


def sha(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer, 64 tokens; never write into it."""
    return write_tiny_model(tmp_path_factory.mktemp("small") / "model", layers=1, positions=64)


@pytest.fixture(scope="module")
def trained(
    small_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ListwiseRun, list[Progress]]:
    output = tmp_path_factory.mktemp("trained") / "model"
    seen: list[Progress] = []

    def finish(folder: Path, run: ListwiseRun) -> None:
        assert not output.exists()
        (folder / "README.md").write_text(listwise_card(run, evaluation=None, guard=None))

    run = train_listwise(
        DATA, base=small_model, output=output, recipe=QUICK, on_progress=seen.append, finish=finish
    )
    return output, run, seen


def test_a_model_learns_which_candidate_answers(small_model: Path, tmp_path: Path) -> None:
    data = own_documents("what is our", "how quick", "are we getting", terms=TERMS[:4])
    recipe = dataclasses.replace(QUICK, epochs=60, typo_share=0.0, case_share=0.0)
    seen: list[Progress] = []
    run = train_listwise(
        data, base=small_model, output=tmp_path / "m", recipe=recipe, on_progress=seen.append
    )
    assert run.final_loss < seen[0].loss / 2
    assert right_share(small_model, data) <= 0.5
    assert right_share(tmp_path / "m", data) > 0.9


def test_progress_counts_every_step(trained: tuple[Path, ListwiseRun, list[Progress]]) -> None:
    _, run, seen = trained
    assert [p.step for p in seen] == list(range(1, STEPS + 1))
    assert {p.steps for p in seen} == {STEPS}
    assert run.steps == STEPS == steps_of(QUICK, len(DATA.examples))
    assert seen[0].seconds_left > 0
    assert seen[-1].seconds_left == 0


def test_the_folder_has_the_bases_files_and_half_the_bits(
    trained: tuple[Path, ListwiseRun, list[Progress]], small_model: Path
) -> None:
    output, run, _ = trained
    assert [p.name for p in output.parent.iterdir()] == ["model"]
    stored = load_file(output / "model.safetensors")
    assert stored.keys() == load_file(small_model / "model.safetensors").keys()
    assert all(array.dtype == np.float16 for array in stored.values())
    assert run.weights_sha256 == sha(output)


@pytest.mark.parametrize("said", [{}, {"dtype": "float32"}, {"dtype": "float16"}])
def test_both_libraries_load_the_folder_with_equal_scores(
    small_model: Path, tmp_path: Path, said: dict[str, str]
) -> None:
    base = shutil.copytree(small_model, tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | said))
    output = tmp_path / "model"
    train_listwise(DATA, base=base, output=output, recipe=QUICK)
    texts = [(e.question, plain_document(c)) for e in DATA.examples for c in DATA.candidates]
    ours = CrossEncoder(output, precision="fp32").predict(texts)
    # No dtype is asked for.
    theirs = sentence_transformers.CrossEncoder(str(output), device="cpu").predict(texts)
    assert np.ptp(ours) > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_the_card_says_what_was_done(trained: tuple[Path, ListwiseRun, list[Progress]]) -> None:
    output, run, _ = trained
    text = (output / "README.md").read_text()
    assert f"`{sha(output)}`" in text
    for name, value in dataclasses.asdict(QUICK).items():
        assert f"- `{name}`: {value}" in text.splitlines()
    assert "Questions: 16, of which 0 have no answer" in text
    assert f"Steps: {STEPS}" in text
    assert f"final loss: {run.final_loss:.4f}" in text
    assert "Not made" in text


def test_the_seed_decides_the_weights(
    trained: tuple[Path, ListwiseRun, list[Progress]], small_model: Path, tmp_path: Path
) -> None:
    again = train_listwise(DATA, base=small_model, output=tmp_path / "again", recipe=QUICK)
    assert again.weights_sha256 == sha(trained[0])
    other = dataclasses.replace(QUICK, seed=43)
    train_listwise(DATA, base=small_model, output=tmp_path / "other", recipe=other)
    assert sha(tmp_path / "other") != sha(trained[0])


def test_a_share_of_the_base_is_kept(
    trained: tuple[Path, ListwiseRun, list[Progress]], small_model: Path, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(QUICK, base_share=0.25)
    train_listwise(DATA, base=small_model, output=tmp_path / "m", recipe=recipe)
    base, after, mixed = (
        load_file(folder / "model.safetensors")
        for folder in (small_model, trained[0], tmp_path / "m")
    )
    for name, weights in mixed.items():
        if "embeddings" in name:
            continue
        expected = 0.75 * after[name].astype(np.float32) + 0.25 * base[name].astype(np.float32)
        np.testing.assert_allclose(weights.astype(np.float32), expected, atol=1e-3, rtol=1e-3)
    assert any((mixed[n] != after[n]).any() for n in mixed)


# Before, at and after the mining, and one step before the end, among the averaged ones.
@pytest.mark.parametrize("after", [1, 2, 3, 5])
def test_an_interrupted_run_resumes_to_the_same_weights(
    trained: tuple[Path, ListwiseRun, list[Progress]], small_model: Path, tmp_path: Path, after: int
) -> None:
    output = tmp_path / "model"
    seen: list[Progress] = []
    with pytest.raises(TrainingInterruptedError, match=f"stop after {after}.*--resume"):
        train_listwise(
            DATA, base=small_model, output=output, recipe=QUICK,
            on_progress=seen.append, stop=lambda: len(seen) >= after,
        )  # fmt: skip
    assert not output.exists()
    work = tmp_path / "model.training"
    assert sorted(p.name for p in work.iterdir()) == ["checkpoint.pt", "run.json"]
    run = train_listwise(
        DATA, base=small_model, output=output, recipe=QUICK, resume=True, on_progress=seen.append
    )
    assert [p.step for p in seen] == list(range(1, STEPS + 1))
    assert sha(output) == sha(trained[0])
    assert run.final_loss == pytest.approx(trained[1].final_loss)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_stop_at_the_last_step_is_the_end(small_model: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(QUICK, epochs=1, questions_per_step=16)
    run = train_listwise(
        DATA, base=small_model, output=tmp_path / "m", recipe=recipe, stop=lambda: True
    )
    assert run.steps == 1


def test_another_runs_checkpoint_is_refused(small_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    with pytest.raises(TrainingInterruptedError):
        train_listwise(DATA, base=small_model, output=output, recipe=QUICK, stop=lambda: True)
    checkpoint = tmp_path / "model.training" / "checkpoint.pt"
    before = checkpoint.read_bytes()

    def refused(message: str, **change: object) -> None:
        arguments = {"base": small_model, "recipe": QUICK, "resume": True, "data": DATA, **change}
        data = arguments.pop("data")
        with pytest.raises(OutputError, match=message):
            train_listwise(data, output=output, **arguments)  # type: ignore[arg-type]

    refused("Add --resume", resume=False)
    refused("another recipe", recipe=dataclasses.replace(QUICK, seed=1))
    refused("another data_sha256", data=TrainingSet(DATA.candidates, DATA.examples[1:]))
    refused("another teacher", teacher=[TeacherGroup("q", ("a", "b"), (1.0, 0.0))])
    other = write_tiny_model(tmp_path / "other", layers=1, positions=64, seed=1)
    refused("another base, base_sha256", base=other)
    assert checkpoint.read_bytes() == before
    assert not output.exists()


def test_a_run_that_cannot_start_leaves_nothing(small_model: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "x").write_text("x")
    with pytest.raises(OutputError, match="does not exist yet"):
        train_listwise(DATA, base=small_model, output=taken)
    with pytest.raises(ModelNotFoundError):
        train_listwise(DATA, base="nothing-of-that-name", output=tmp_path / "new")
    broken = shutil.copytree(small_model, tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(ModelFolderError, match="cut short"):
        train_listwise(DATA, base=broken, output=tmp_path / "new")
    other = write_family(tmp_path / "other", "roberta")
    with pytest.raises(UnsupportedModelError, match="train it with --recipe card"):
        train_listwise(DATA, base=other, output=tmp_path / "new")
    for nothing in (
        TrainingSet(DATA.candidates, ()),
        TrainingSet(DATA.candidates[:1], DATA.examples[:1]),
    ):
        with pytest.raises(InputError, match="two different documents"):
            train_listwise(nothing, base=small_model, output=tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken", "other", "taken"]
    assert [p.name for p in taken.iterdir()] == ["x"]


def test_a_folder_that_no_run_made_is_left_alone(small_model: Path, tmp_path: Path) -> None:
    taken = tmp_path / "model.training"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(OutputError, match="no training run made"):
            train_listwise(DATA, base=small_model, output=tmp_path / "model", resume=resume)
    assert (taken / "thesis.txt").read_text() == "mine"


def test_a_run_whose_last_step_failed_can_be_finished(
    trained: tuple[Path, ListwiseRun, list[Progress]], small_model: Path, tmp_path: Path
) -> None:
    def fail(folder: Path, _run: ListwiseRun) -> None:
        assert (folder / "model.safetensors").exists()
        raise KeyboardInterrupt

    output = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        train_listwise(DATA, base=small_model, output=output, recipe=QUICK, finish=fail)
    assert [p.name for p in tmp_path.iterdir()] == ["model.training"]
    seen: list[Progress] = []
    run = train_listwise(
        DATA, base=small_model, output=output, recipe=QUICK, resume=True, on_progress=seen.append
    )
    assert not seen
    assert sha(output) == sha(trained[0])
    assert run.final_loss == pytest.approx(trained[1].final_loss)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_run_that_diverges_says_so(small_model: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(QUICK, learning_rate=1e9, mine_after_epochs=9)
    with pytest.raises(InputError, match=r"a finite loss.*learning rate"):
        train_listwise(DATA, base=small_model, output=tmp_path / "model", recipe=recipe)
    assert not list(tmp_path.iterdir())


def test_the_bases_calibration_is_not_passed_on(small_model: Path, tmp_path: Path) -> None:
    base = shutil.copytree(small_model, tmp_path / "base")
    for name in FITTED_FILES:
        (base / name).write_text("{}")
    recipe = dataclasses.replace(QUICK, epochs=1)
    train_listwise(DATA, base=base, output=tmp_path / "model", recipe=recipe)
    assert {p.name for p in (tmp_path / "model").iterdir()} == {
        p.name for p in small_model.iterdir()
    }


def logits_of(model: Path, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    return CrossEncoder(model, precision="fp32").logits(pairs)


def test_unanswerable_questions_alone_lower_every_logit(small_model: Path, tmp_path: Path) -> None:
    nothing = TrainingSet(DATA.candidates, tuple(Example(e.question, ()) for e in DATA.examples))
    run = train_listwise(nothing, base=small_model, output=tmp_path / "m", recipe=QUICK)
    assert np.isfinite(run.final_loss)
    pairs = [(e.question, plain_document(c)) for e in nothing.examples for c in DATA.candidates]
    assert (logits_of(tmp_path / "m", pairs) < logits_of(small_model, pairs) - 0.1).all()


def test_a_question_that_everything_answers_is_trainable(small_model: Path, tmp_path: Path) -> None:
    everything = TrainingSet(DATA.candidates, (Example("what is our", tuple(range(8))),))
    run = train_listwise(everything, base=small_model, output=tmp_path / "m", recipe=QUICK)
    assert run.steps == QUICK.epochs
    assert np.isfinite(run.final_loss)


def test_a_teacher_is_followed(small_model: Path, tmp_path: Path) -> None:
    query, documents = "how quick is the flow", ("goods and services", "net equity")
    pairs = [(query, document) for document in documents]
    before = logits_of(small_model, pairs)
    # The teacher finds the other one better than the base does.
    scores = (6.0, -6.0) if before[0] < before[1] else (-6.0, 6.0)
    recipe = dataclasses.replace(QUICK, teacher_share=1.0, teacher_weight=3.0, epochs=8)
    run = train_listwise(
        DATA, base=small_model, output=tmp_path / "with", recipe=recipe,
        teacher=[TeacherGroup(query, documents, scores)],
    )  # fmt: skip
    assert run.teacher_groups == 1
    after = logits_of(tmp_path / "with", pairs)
    assert (after[0] - after[1]) * (scores[0] - scores[1]) > 0
    train_listwise(DATA, base=small_model, output=tmp_path / "without", recipe=recipe)
    assert sha(tmp_path / "with") != sha(tmp_path / "without")


def test_teacher_groups_come_pass_after_pass() -> None:
    teacher = [TeacherGroup(str(n), ("a", "b"), (0.0, 1.0)) for n in range(10)]
    recipe = dataclasses.replace(QUICK, teacher_groups=4)
    seen = [g.query for step in range(10) for g in groups_of_step(teacher, step, recipe)]
    passes = [seen[at : at + 10] for at in range(0, 40, 10)]
    assert all(sorted(part, key=int) == [g.query for g in teacher] for part in passes)
    assert len({tuple(part) for part in passes}) == 4
    other = dataclasses.replace(recipe, seed=recipe.seed + 1)
    assert groups_of_step(teacher, 0, other) != groups_of_step(teacher, 0, recipe)


def test_a_teachers_queries_get_slips_too(small_model: Path, tmp_path: Path) -> None:
    # No question of the data can get one: each has a person's slip already.
    misspelt = tuple(dataclasses.replace(e, typo=True) for e in DATA.examples)
    data = dataclasses.replace(DATA, examples=misspelt)
    teacher = [TeacherGroup("how quick is the flow", ("goods and services", "net equity"), (2, 0))]
    found = {}
    for share in (0.0, 1.0):
        recipe = dataclasses.replace(QUICK, teacher_share=1.0, typo_share=share, case_share=0.0)
        for groups in ((), teacher):
            output = tmp_path / f"{share} {len(groups)}"
            train_listwise(data, base=small_model, output=output, recipe=recipe, teacher=groups)
            found[share, len(groups)] = sha(output)
    assert found[0.0, 0] == found[1.0, 0]
    assert found[0.0, 1] != found[1.0, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"teacher_share": 0.0, "teacher_weight": 3.0},
        {"teacher_share": 1.0, "teacher_weight": 0.0},
    ],
)
def test_a_teacher_of_no_share_or_weight_changes_nothing(
    small_model: Path, tmp_path: Path, change: dict[str, float]
) -> None:
    recipe = dataclasses.replace(QUICK, **change)  # type: ignore[arg-type]
    found = []
    for name, teacher in (("a", [TeacherGroup("q", ("goods", "net"), (2.0, 0.0))]), ("b", [])):
        run = train_listwise(
            DATA, base=small_model, output=tmp_path / name, recipe=recipe, teacher=teacher
        )
        found.append(load_file(run.output / "model.safetensors"))
    # The teacher's pairs change how the others are packed, so the last bits may differ.
    for name, array in found[0].items():
        np.testing.assert_allclose(
            array.astype(np.float32), found[1][name].astype(np.float32), atol=0.02
        )


# Both settings of the mining, and others that a slip could leave unused.
@pytest.mark.parametrize(
    "setting",
    [
        "mine_after_epochs=0", "mine_after_epochs=3", "mining_temperature=9", "averaged_share=0.5",
        "typo_share=1", "case_share=1", "binary_weight=0", "random_share=1", "max_length=8",
    ],
)  # fmt: skip
def test_every_setting_matters(
    trained: tuple[Path, ListwiseRun, list[Progress]],
    small_model: Path,
    tmp_path: Path,
    setting: str,
) -> None:
    recipe = QUICK.with_settings([setting])
    run = train_listwise(DATA, base=small_model, output=tmp_path / "m", recipe=recipe)
    assert np.isfinite(run.final_loss)
    assert sha(tmp_path / "m") != sha(trained[0])


MOST = 1e9
# The least and the largest value of each hyperparameter.
LIMITS: dict[str, tuple[float, float]] = {
    "epochs": (1, 10_000),
    "questions_per_step": (1, 10_000),
    "negatives": (1, 1_000),
    "random_share": (0, 1),
    "pool_size": (1, 10_000),
    "mine_after_epochs": (0, 10_000),
    "mining_temperature": (1e-3, MOST),
    "false_negative_margin": (0, MOST),
    "typo_share": (0, 1),
    "case_share": (0, 1),
    "binary_weight": (0, MOST),
    "teacher_share": (0, 1),
    "teacher_groups": (1, 1_000),
    "teacher_weight": (0, MOST),
    "learning_rate": (0, MOST),
    "weight_decay": (0, MOST),
    "warmup_share": (0, 1),
    "max_grad_norm": (0, MOST),
    "averaged_share": (0, 1),
    "base_share": (0, 1),
    "max_length": (8, 512),
    "seed": (0, 2**32 - 1),
}


@pytest.mark.parametrize("field", dataclasses.fields(ListwiseRecipe), ids=lambda f: f.name)
def test_every_hyperparameter_has_its_limits(
    field: dataclasses.Field[float],
) -> None:
    least, most = LIMITS[field.name]
    kind: Callable[[float], float] = int if field.type == "int" else float
    step = 1 if kind is int else least / 10 or 1e-9
    for good in (least, most):
        recipe = ListwiseRecipe().with_settings([f"{field.name}={kind(good)!r}"])
        assert getattr(recipe, field.name) == good
    for bad in (least - step, most + max(step, most * 1e-6), -1, float("nan")):
        with pytest.raises(InputError, match=field.name):
            ListwiseRecipe(**{field.name: kind(bad) if bad == bad else bad})  # type: ignore[arg-type]
    # Whole numbers are asked for as such; nothing else than a number fits.
    for text in ("many", "", "nan", "inf", "none", *(["1.5"] if kind is int else [])):
        with pytest.raises(InputError, match=field.name):
            ListwiseRecipe().with_settings([f"{field.name}={text}"])


def test_settings_are_parsed_by_type() -> None:
    recipe = ListwiseRecipe().with_settings(
        ["epochs=3", " learning_rate = 2e-5", "typo_share=0", "epochs=4"]
    )
    assert recipe == dataclasses.replace(
        ListwiseRecipe(), epochs=4, learning_rate=2e-5, typo_share=0.0
    )
    assert isinstance(recipe.typo_share, float)
    assert recipe.with_settings([]) == recipe


@pytest.mark.parametrize("setting", ["num_train_epochs=2", "epochs", "=3", "", "Epochs=2"])
def test_a_setting_without_a_known_key_is_refused(setting: str) -> None:
    with pytest.raises(InputError, match="false_negative_margin"):
        ListwiseRecipe().with_settings([setting])
