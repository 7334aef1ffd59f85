from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import sentence_transformers
from safetensors.numpy import load_file

from glossrank import CrossEncoder, Glossary
from glossrank.bm25 import bm25_scores
from glossrank.errors import (
    InputError,
    ModelFolderError,
    ModelNotFoundError,
    OutputError,
    TrainingInterruptedError,
)
from glossrank.glossary import FINANCE_TERMS
from glossrank.judgments import LabelledPair, read_pairs, read_questions
from glossrank.training.card import model_card
from glossrank.training.compare import compare_rankers
from glossrank.training.recipe import Recipe
from glossrank.training.run import TrainingRun, train
from glossrank.training.work import Progress
from tests.tiny_families import write_family

HEADINGS = (Path(__file__).parent / "data" / "card-headings.txt").read_text().splitlines()
QUICK = Recipe(num_train_epochs=3, learning_rate=1e-3)


@pytest.fixture(scope="module")
def pairs() -> Sequence[LabelledPair]:
    return read_pairs(FINANCE_TERMS / "train.csv")[:40]


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


def same(first: Path, second: Path) -> bool:
    ours, theirs = weights(first), weights(second)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[k], theirs[k]) for k in ours)


@pytest.fixture(scope="module")
def trained(
    pairs: Sequence[LabelledPair], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, TrainingRun, list[Progress]]:
    output = tmp_path_factory.mktemp("trained") / "model"
    seen: list[Progress] = []

    def finish(folder: Path, run: TrainingRun) -> None:
        assert not output.exists()
        (folder / "README.md").write_text(model_card(run, max_length=512, evaluation=None))

    run = train(
        pairs, base=tiny_model, output=output, recipe=QUICK, on_progress=seen.append, finish=finish
    )
    return output, run, seen


def test_a_run_learns_and_writes_a_folder_that_both_libraries_load(
    trained: tuple[Path, TrainingRun, list[Progress]], pairs: Sequence[LabelledPair]
) -> None:
    output, run, seen = trained
    steps = 3 * 3
    assert [p.step for p in seen] == list(range(1, steps + 1))
    assert {p.steps for p in seen} == {steps}
    assert seen[-1].seconds_left == 0
    assert run.final_loss == pytest.approx(np.mean([p.loss for p in seen[-3:]]))
    assert run.final_loss < seen[0].loss
    assert not list(output.parent.glob("*.training"))
    stored = weights(output)
    assert all(array.dtype == np.float16 for array in stored.values())
    texts = [(p.question, p.document) for p in pairs]
    ours = CrossEncoder(output, precision="fp32").predict(texts)
    # No dtype is asked for: the folder itself says fp32.
    theirs = sentence_transformers.CrossEncoder(str(output), device="cpu").predict(texts)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("family", ["modernbert", "xlm-roberta"])
def test_models_of_other_architectures_are_trained_too(
    pairs: Sequence[LabelledPair], tmp_path: Path, family: str
) -> None:
    base, output = write_family(tmp_path / "base", family), tmp_path / "model"
    train(pairs, base=base, output=output, recipe=Recipe(num_train_epochs=1, learning_rate=1e-3))
    texts = [(p.question, p.document) for p in pairs]
    ours = CrossEncoder(output, precision="fp32").predict(texts)
    theirs = sentence_transformers.CrossEncoder(str(output), device="cpu").predict(texts)
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)
    assert not np.allclose(ours, CrossEncoder(base, precision="fp32").predict(texts), atol=1e-3)


def test_the_same_seed_gives_the_same_weights(
    trained: tuple[Path, TrainingRun, list[Progress]],
    pairs: Sequence[LabelledPair],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    train(pairs, base=tiny_model, output=tmp_path / "again", recipe=QUICK)
    assert same(trained[0], tmp_path / "again")
    other = QUICK.with_settings(["seed=43"])
    train(pairs, base=tiny_model, output=tmp_path / "other", recipe=other)
    assert not same(trained[0], tmp_path / "other")


@pytest.mark.parametrize("after", [2, 4])
def test_an_interrupted_run_resumes_to_the_same_weights(
    trained: tuple[Path, TrainingRun, list[Progress]],
    pairs: Sequence[LabelledPair],
    tiny_model: Path,
    tmp_path: Path,
    after: int,
) -> None:
    output = tmp_path / "model"
    seen: list[Progress] = []
    with pytest.raises(TrainingInterruptedError, match="--resume"):
        train(
            pairs, base=tiny_model, output=output, recipe=QUICK,
            on_progress=seen.append, stop=lambda: len(seen) >= after - 1,
        )  # fmt: skip
    assert not output.exists()
    assert list((tmp_path / "model.training").glob("checkpoint-*"))
    with pytest.raises(OutputError, match="Add --resume"):
        train(pairs, base=tiny_model, output=output, recipe=QUICK)
    with pytest.raises(OutputError, match="another recipe"):
        train(pairs, base=tiny_model, output=output, recipe=Recipe(), resume=True)
    with pytest.raises(OutputError, match="another pairs_sha256"):
        train(pairs[1:], base=tiny_model, output=output, recipe=QUICK, resume=True)
    train(pairs, base=tiny_model, output=output, recipe=QUICK, resume=True)
    assert same(trained[0], output)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_run_that_cannot_start_leaves_nothing(
    pairs: Sequence[LabelledPair], tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("x")
    with pytest.raises(OutputError, match="does not exist yet"):
        train(pairs, base=tiny_model, output=tmp_path / "taken")
    with pytest.raises(ModelNotFoundError):
        train(pairs, base="nothing-of-that-name", output=tmp_path / "new")
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_model.iterdir():
        (broken / file.name).write_bytes(file.read_bytes()[: 2000 if "safe" in file.name else None])
    with pytest.raises(ModelFolderError, match="cut short"):
        train(pairs, base=broken, output=tmp_path / "new")
    for wrong in (
        Recipe(lr_scheduler_type="cosinus"),
        Recipe(optim="adam_who"),
        Recipe(per_device_train_batch_size=64, dataloader_drop_last=True),
    ):
        with pytest.raises(InputError):
            train(pairs, base=tiny_model, output=tmp_path / "new", recipe=wrong)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken", "taken"]


def test_the_card_has_everything_of_the_reference_card(
    trained: tuple[Path, TrainingRun, list[Progress]], pairs: Sequence[LabelledPair]
) -> None:
    output, run, _ = trained
    text = (output / "README.md").read_text()
    lines = text.splitlines()
    places = [lines.index(heading) for heading in HEADINGS]
    assert places == sorted(places)
    head = text.split("---\n")[1].splitlines()
    assert [line.split(":")[0] for line in head if not line.startswith("-")] == [
        "tags", "base_model", "pipeline_tag", "library_name",
    ]  # fmt: skip
    assert "- dataset_size:40" in head
    assert "- loss:BinaryCrossEntropyLoss" in head
    assert f"`{pairs[0].question}`" in text or f"<code>{pairs[0].question}</code>" in text
    assert "- `num_train_epochs`: 3" in text
    assert f"mean: {np.mean([len(p.question) for p in pairs]):.2f} characters" in text
    assert f"{run.final_loss:.4f}" in text
    for name in (
        "Python",
        "Sentence Transformers",
        "Transformers",
        "PyTorch",
        "Accelerate",
        "Datasets",
        "Tokenizers",
    ):
        assert any(
            (line.startswith(f"- {name}: ") and line[-1].isdigit())
            or line.startswith(f"- {name}: ")
            for line in lines
        )
    assert "No test file was given" in text


def test_the_usage_example_of_the_card_runs(
    trained: tuple[Path, TrainingRun, list[Progress]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output, _, _ = trained
    text = (output / "README.md").read_text()
    monkeypatch.chdir(output.parent)
    for code in text.split("```python\n")[1:]:
        exec(compile(code.split("```")[0], "README.md", "exec"), {})
    assert "(5,)" in capsys.readouterr().out


def test_markup_in_samples_does_not_break_the_table() -> None:
    run = TrainingRun(
        base="team/base", base_is_hub_id=True, output=Path("model"), pairs=[LabelledPair("a | b\n<b>?", "c", 1.0, 2)] * 2,
        hyperparameters={}, changed={}, final_loss=0.5, seconds=1.0,
    )  # fmt: skip
    text = model_card(run, max_length=512, evaluation=None)
    assert "<code>a &#124; b &lt;b&gt;?</code>" in text
    assert "[team/base](https://huggingface.co/team/base)" in text


def test_rankers_are_compared_on_the_whole_glossary(tiny_model: Path, glossary: Glossary) -> None:
    questions = read_questions(FINANCE_TERMS / "test.jsonl", glossary)[:3]
    table = compare_rankers(
        base=tiny_model,
        trained=tiny_model,
        glossary=glossary,
        questions=questions,
        name="test.jsonl",
    )
    assert (table.questions, table.terms) == (3, len(glossary))
    assert list(table.rows) == ["BM25", "base, not fine-tuned", "this model"]
    assert table.rows["this model"] == table.rows["base, not fine-tuned"]
    assert all(0 <= value <= 1 for row in table.rows.values() for value in row.values())


def test_bm25_finds_words_and_survives_questions_without_any() -> None:
    scores = bm25_scores(["gross profit", "of the", "zzz"], ["net profit", "gross profit", "tax"])
    assert scores.shape == (3, 3)
    assert scores[0].argmax() == 1
    assert not scores[1:].any()
    assert not bm25_scores(["tax"], ["of the", ""]).any()


def test_a_folder_that_no_run_made_is_left_alone(
    pairs: Sequence[LabelledPair], tiny_model: Path, tmp_path: Path
) -> None:
    taken = tmp_path / "model.training"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(OutputError, match="no training run made"):
            train(pairs, base=tiny_model, output=tmp_path / "model", resume=resume)
    assert (taken / "thesis.txt").read_text() == "mine"


def test_a_run_whose_last_step_failed_can_be_finished(
    trained: tuple[Path, TrainingRun, list[Progress]],
    pairs: Sequence[LabelledPair],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    def fail(_folder: Path, _run: TrainingRun) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        train(pairs, base=tiny_model, output=output, recipe=QUICK, finish=fail)
    work = tmp_path / "model.training"
    # A checkpoint that was being written when the machine stopped.
    (work / "checkpoint-99").mkdir()
    run = train(pairs, base=tiny_model, output=output, recipe=QUICK, resume=True)
    assert run.final_loss == pytest.approx(trained[1].final_loss)
    assert same(trained[0], output)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from glossrank import GlossrankError
from glossrank.judgments import LabelledPair
from glossrank.training.run import train
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def limit(_progress=None):
    # Writing past 20 kB now fails as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

pairs = [LabelledPair("how much tax", "Tax is owed.", 1.0, 2)]
when = {"on_progress": limit} if sys.argv[3] == "checkpoint" else {"finish": lambda folder, run: (limit(), (folder / "x").write_bytes(bytes(30_000)))}
try:
    train(pairs, base=sys.argv[1], output=Path(sys.argv[2]), **when)
except GlossrankError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.mark.parametrize("when", ["checkpoint", "finish"])
def test_a_full_disk_while_training_is_one_error(
    tiny_model: Path, tmp_path: Path, when: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tiny_model), str(tmp_path / "model"), when],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("OutputError"), done.stderr
    # Whole checkpoints are kept for --resume; the model folder never appears.
    left = [p.name for p in tmp_path.iterdir()]
    assert left == ([] if when == "checkpoint" else ["model.training"])
