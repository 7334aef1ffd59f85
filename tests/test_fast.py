from __future__ import annotations

import dataclasses
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import sentence_transformers
import torch
from safetensors.numpy import load_file
from transformers import (
    AutoTokenizer,
    BertForSequenceClassification,
    get_linear_schedule_with_warmup,
)

from glossrank import CrossEncoder
from glossrank.engines.openvino import Precision, resolve_precision
from glossrank.errors import (
    InputError,
    ModelFolderError,
    ModelNotFoundError,
    OutputError,
    TrainingInterruptedError,
)
from glossrank.fusion import FITTED_FILES
from glossrank.glossary import FINANCE_TERMS
from glossrank.judgments import LabelledPair, read_pairs
from glossrank.training.fast import batch_of_step, linear_factor
from glossrank.training.fast_card import fast_card
from glossrank.training.fast_run import FastRun, train_fast
from glossrank.training.recipe import FastRecipe, Recipe, steps_of_epoch, steps_of_run
from glossrank.training.run import train
from glossrank.training.work import Progress
from tests.conftest import write_tiny_model

HEADINGS = (Path(__file__).parent / "data" / "card-headings.txt").read_text().splitlines()
QUICK = FastRecipe(num_train_epochs=3, learning_rate=1e-3)
STEPS = 9
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


@pytest.fixture(scope="module")
def pairs() -> Sequence[LabelledPair]:
    return read_pairs(FINANCE_TERMS / "train.csv")[:40]


@pytest.fixture(scope="module")
def trained(
    pairs: Sequence[LabelledPair], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, FastRun, list[Progress]]:
    output = tmp_path_factory.mktemp("trained") / "model"
    seen: list[Progress] = []

    def finish(folder: Path, run: FastRun) -> None:
        assert not output.exists()
        (folder / "README.md").write_text(fast_card(run, max_length=512, evaluation=None))

    run = train_fast(
        pairs, base=tiny_model, output=output, recipe=QUICK, on_progress=seen.append, finish=finish
    )
    return output, run, seen


def sha(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_the_defaults_are_the_cards() -> None:
    card = dataclasses.asdict(Recipe())
    fast = dataclasses.asdict(FastRecipe())
    assert {name for name in fast if name not in card} == {"dropout", "frozen_layers"}
    assert all(fast[name] == card[name] for name in fast if name in card)


def test_a_run_learns_and_writes_a_folder_that_both_libraries_load(
    trained: tuple[Path, FastRun, list[Progress]], pairs: Sequence[LabelledPair], tiny_model: Path
) -> None:
    output, run, seen = trained
    assert [p.step for p in seen] == list(range(1, STEPS + 1))
    assert {p.steps for p in seen} == {run.steps} == {STEPS}
    assert seen[0].seconds_left > 0
    assert seen[-1].seconds_left == 0
    assert run.final_loss < seen[0].loss
    assert [p.name for p in output.parent.iterdir()] == ["model"]
    base = {p.name for p in tiny_model.iterdir()}
    assert {p.name for p in output.iterdir()} == {*base, "README.md"}
    stored = load_file(output / "model.safetensors")
    assert all(array.dtype == np.float16 for array in stored.values())
    texts = [(p.question, p.document) for p in pairs]
    ours = CrossEncoder(output, precision="fp32").predict(texts)
    # No dtype is asked for: the folder itself says fp32.
    theirs = sentence_transformers.CrossEncoder(str(output), device="cpu").predict(texts)
    assert np.ptp(ours) > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_the_embeddings_stay_and_everything_else_moves(
    trained: tuple[Path, FastRun, list[Progress]], tiny_model: Path
) -> None:
    before = load_file(tiny_model / "model.safetensors")
    for name, array in load_file(trained[0] / "model.safetensors").items():
        same = np.array_equal(array, before[name].astype(np.float16))
        assert same == ("embeddings" in name), name


def reference_weights(
    base: Path, pairs: Sequence[LabelledPair], recipe: FastRecipe
) -> dict[str, torch.Tensor]:
    """The same steps by transformers' model and schedule and torch's optimizer."""
    model = BertForSequenceClassification.from_pretrained(
        base, dtype=torch.float32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    model.bert.embeddings.requires_grad_(False)
    model.bert.encoder.layer[: recipe.frozen_layers].requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained(base)
    learned = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    plain = ("bias", "LayerNorm.weight")
    optimizer = torch.optim.AdamW(
        [
            {
                "params": [p for n, p in learned if not n.endswith(plain)],
                "weight_decay": recipe.weight_decay,
            },
            {"params": [p for n, p in learned if n.endswith(plain)], "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
    )
    steps = steps_of_run(recipe, len(pairs))
    schedule = get_linear_schedule_with_warmup(optimizer, int(recipe.warmup_steps), steps)
    for step in range(steps):
        chosen = [pairs[row] for row in batch_of_step(recipe, len(pairs), step)]
        features = tokenizer(
            [p.question for p in chosen], [p.document for p in chosen],
            padding=True, truncation=True, return_tensors="pt",
        )  # fmt: skip
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            model(**features).logits[:, 0], torch.tensor([p.label for p in chosen])
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([p for _, p in learned], recipe.max_grad_norm)
        optimizer.step()
        schedule.step()
    state: dict[str, torch.Tensor] = model.state_dict()
    return state


@pytest.mark.parametrize("frozen", [0, 1])
def test_without_dropout_a_run_in_fp32_is_what_transformers_and_torch_do(
    pairs: Sequence[LabelledPair], tiny_model: Path, tmp_path: Path, frozen: int
) -> None:
    recipe = dataclasses.replace(
        QUICK, dropout=0.0, weight_decay=0.1, warmup_steps=2, frozen_layers=frozen
    )
    expected = reference_weights(tiny_model, pairs, recipe)
    train_fast(
        pairs, base=tiny_model, output=tmp_path / "m", recipe=recipe, precision="fp32"
    )  # fmt: skip
    before = load_file(tiny_model / "model.safetensors")
    for name, array in load_file(tmp_path / "m" / "model.safetensors").items():
        theirs = expected[name].numpy()
        if name.endswith("key.bias"):
            # It moves every score of a query alike, so its gradient is nothing but rounding.
            continue
        # fp16 rounds by up to 0.0005 of a weight.
        np.testing.assert_allclose(array, theirs, atol=2e-4, rtol=1e-3, err_msg=name)
        if "embeddings" not in name and not (frozen and "layer.0." in name):
            assert np.abs(theirs - before[name]).max() > 1e-3, name


def test_the_seed_decides_the_weights(
    trained: tuple[Path, FastRun, list[Progress]],
    pairs: Sequence[LabelledPair],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    train_fast(pairs, base=tiny_model, output=tmp_path / "again", recipe=QUICK)
    assert sha(tmp_path / "again") == sha(trained[0])
    other = QUICK.with_settings(["seed=43"])
    train_fast(pairs, base=tiny_model, output=tmp_path / "other", recipe=other)
    assert sha(tmp_path / "other") != sha(trained[0])


@pytest.mark.parametrize("after", [1, 3, 8])
def test_an_interrupted_run_resumes_to_the_same_weights(
    trained: tuple[Path, FastRun, list[Progress]],
    pairs: Sequence[LabelledPair],
    tiny_model: Path,
    tmp_path: Path,
    after: int,
) -> None:
    output = tmp_path / "model"
    seen: list[Progress] = []
    with pytest.raises(TrainingInterruptedError, match=f"stop after {after}.*--resume"):
        train_fast(
            pairs, base=tiny_model, output=output, recipe=QUICK,
            on_progress=seen.append, stop=lambda: len(seen) >= after,
        )  # fmt: skip
    assert not output.exists()
    work = tmp_path / "model.training"
    assert sorted(p.name for p in work.iterdir()) == ["checkpoint.pt", "run.json"]
    run = train_fast(
        pairs, base=tiny_model, output=output, recipe=QUICK, resume=True, on_progress=seen.append
    )
    assert [p.step for p in seen] == list(range(1, STEPS + 1))
    assert sha(output) == sha(trained[0])
    assert run.final_loss == pytest.approx(trained[1].final_loss)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_run_whose_last_step_failed_can_be_finished(
    trained: tuple[Path, FastRun, list[Progress]],
    pairs: Sequence[LabelledPair],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    def fail(folder: Path, _run: FastRun) -> None:
        assert (folder / "model.safetensors").exists()
        raise KeyboardInterrupt

    output = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        train_fast(pairs, base=tiny_model, output=output, recipe=QUICK, finish=fail)
    assert [p.name for p in tmp_path.iterdir()] == ["model.training"]
    seen: list[Progress] = []
    train_fast(
        pairs, base=tiny_model, output=output, recipe=QUICK, resume=True, on_progress=seen.append
    )
    assert not seen
    assert sha(output) == sha(trained[0])
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_another_runs_checkpoint_is_refused(
    pairs: Sequence[LabelledPair], tiny_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "model"
    with pytest.raises(TrainingInterruptedError):
        train_fast(pairs, base=tiny_model, output=output, recipe=QUICK, stop=lambda: True)
    checkpoint = tmp_path / "model.training" / "checkpoint.pt"
    before = checkpoint.read_bytes()
    with pytest.raises(OutputError, match="Add --resume"):
        train_fast(pairs, base=tiny_model, output=output, recipe=QUICK)
    with pytest.raises(OutputError, match="another recipe"):
        train_fast(pairs, base=tiny_model, output=output, resume=True)
    with pytest.raises(OutputError, match="another pairs_sha256"):
        train_fast(pairs[1:], base=tiny_model, output=output, recipe=QUICK, resume=True)
    other_precision = PRECISIONS[resolve_precision("auto") == "fp32"]
    with pytest.raises(OutputError, match="another precision"):
        train_fast(
            pairs, base=tiny_model, output=output, recipe=QUICK, resume=True,
            precision=other_precision,
        )  # fmt: skip
    other = write_tiny_model(tmp_path / "other", seed=1)
    with pytest.raises(OutputError, match="another base, base_sha256"):
        train_fast(pairs, base=other, output=output, recipe=QUICK, resume=True)
    # Nor does another kind of run begin over it, whether it is asked to go on or not.
    for resume in (True, False):
        with pytest.raises(OutputError, match="another recipe"):
            train(pairs, base=tiny_model, output=output, resume=resume)
    assert checkpoint.read_bytes() == before
    checkpoint.write_bytes(before[:1000])
    with pytest.raises(OutputError, match="a whole checkpoint"):
        train_fast(pairs, base=tiny_model, output=output, recipe=QUICK, resume=True)
    assert not output.exists()


def test_a_run_that_cannot_start_leaves_nothing(
    pairs: Sequence[LabelledPair], tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("x")
    with pytest.raises(OutputError, match="does not exist yet"):
        train_fast(pairs, base=tiny_model, output=tmp_path / "taken")
    with pytest.raises(ModelNotFoundError):
        train_fast(pairs, base="nothing-of-that-name", output=tmp_path / "new")
    with pytest.raises(InputError, match="at least one pair"):
        train_fast([], base=tiny_model, output=tmp_path / "new")
    with pytest.raises(ValueError, match="precision must be"):
        train_fast(pairs, base=tiny_model, output=tmp_path / "new", precision="int8")
    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(ModelFolderError, match="cut short"):
        train_fast(pairs, base=broken, output=tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken", "taken"]


def test_a_run_that_diverges_says_so(
    pairs: Sequence[LabelledPair], tiny_model: Path, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(QUICK, learning_rate=1e9)
    for precision in PRECISIONS:
        with pytest.raises(InputError, match="learning rate"):
            train_fast(
                pairs, base=tiny_model, output=tmp_path / "m", recipe=recipe, precision=precision
            )
    assert not list(tmp_path.iterdir())


def test_the_bases_calibration_is_not_passed_on(
    pairs: Sequence[LabelledPair], tiny_model: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(tiny_model, tmp_path / "base")
    for name in FITTED_FILES:
        (base / name).write_text("{}")
    recipe = dataclasses.replace(QUICK, num_train_epochs=1)
    train_fast(pairs, base=base, output=tmp_path / "m", recipe=recipe)
    assert {p.name for p in (tmp_path / "m").iterdir()} == {p.name for p in tiny_model.iterdir()}


def test_both_precisions_learn_the_same(
    pairs: Sequence[LabelledPair], tiny_model: Path, tmp_path: Path
) -> None:
    runs = [
        train_fast(pairs, base=tiny_model, output=tmp_path / p, recipe=QUICK, precision=p)
        for p in PRECISIONS
    ]
    assert [run.precision for run in runs] == list(PRECISIONS)
    assert runs[1].final_loss == pytest.approx(runs[0].final_loss, rel=0.05)
    assert sha(tmp_path / "fp32") != sha(tmp_path / "bf16")


def test_long_pairs_are_cut_and_learned(tiny_model: Path, tmp_path: Path) -> None:
    # 20 of them are more tokens than are computed at once.
    long = [
        LabelledPair(f"what is our {word}", f"{word} money " * 400, float(label), 2)
        for word, label in (("tax", 1), ("lease", 0))
        for _ in range(10)
    ]
    recipe = dataclasses.replace(QUICK, per_device_train_batch_size=20, num_train_epochs=2)
    run = train_fast(long, base=tiny_model, output=tmp_path / "m", recipe=recipe)
    assert run.steps == 2
    assert np.isfinite(run.final_loss)


# Settings that a slip could leave unused.
@pytest.mark.parametrize(
    "setting",
    [
        "weight_decay=0.5", "adam_beta1=0.5", "adam_beta2=0.5", "adam_epsilon=0.1", "dropout=0",
        "max_grad_norm=0.01", "max_grad_norm=0", "warmup_steps=4", "warmup_steps=0.5",
        "per_device_train_batch_size=8", "num_train_epochs=2.5", "learning_rate=1e-4",
    ],
)  # fmt: skip
def test_every_setting_matters(
    trained: tuple[Path, FastRun, list[Progress]],
    pairs: Sequence[LabelledPair],
    tiny_model: Path,
    tmp_path: Path,
    setting: str,
) -> None:
    recipe = QUICK.with_settings([setting])
    train_fast(pairs, base=tiny_model, output=tmp_path / "m", recipe=recipe)
    assert sha(tmp_path / "m") != sha(trained[0])


def test_each_epoch_sees_every_pair_once_in_another_order() -> None:
    recipe = FastRecipe()
    per_epoch = steps_of_epoch(recipe, 563)
    assert per_epoch == 36
    assert steps_of_run(recipe, 563) == 180
    epochs = [
        [row for at in range(per_epoch) for row in batch_of_step(recipe, 563, epoch * 36 + at)]
        for epoch in range(2)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(563))
    assert epochs[0] != epochs[1]
    assert len(batch_of_step(recipe, 563, 35)) == 3
    other = dataclasses.replace(recipe, seed=1)
    assert batch_of_step(other, 563, 0) != batch_of_step(recipe, 563, 0)
    assert steps_of_run(dataclasses.replace(recipe, num_train_epochs=1e-6), 5) == 1


@pytest.mark.parametrize("warmup", [0, 1, 3, 10, 20])
def test_the_learning_rate_is_that_of_transformers(warmup: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = get_linear_schedule_with_warmup(optimizer, warmup, 10)
    ours = linear_factor(FastRecipe(warmup_steps=warmup), 10)
    for step in range(10):
        assert ours(step) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


def test_a_warm_up_below_one_is_a_share_of_the_steps() -> None:
    share = linear_factor(FastRecipe(warmup_steps=0.25), 10)
    steps = linear_factor(FastRecipe(warmup_steps=3), 10)
    assert [share(step) for step in range(10)] == [steps(step) for step in range(10)]


def test_the_card_says_what_was_done(
    trained: tuple[Path, FastRun, list[Progress]], pairs: Sequence[LabelledPair]
) -> None:
    output, run, _ = trained
    text = (output / "README.md").read_text()
    lines = text.splitlines()
    # Those of the trainer's lists of arguments are the only headings that it has not.
    gone = {"#### Non-Default Hyperparameters", "#### All Hyperparameters"}
    places = [lines.index(heading) for heading in HEADINGS if heading not in gone]
    assert places == sorted(places)
    for name, value in dataclasses.asdict(QUICK).items():
        assert f"- `{name}`: {value}" in lines
    assert "recipe `fast`" in text
    assert "generated_from_trainer" not in text
    assert "- Sentence Transformers: " not in text
    assert f"- Arithmetic: {run.precision}" in text
    assert "- Not trained, those of the base: the embeddings" in text
    assert f"- Steps: {STEPS}" in lines
    assert f"{run.final_loss:.4f}" in text
    assert f"dataset_size:{len(pairs)}" in text
    silent = dataclasses.replace(run, recipe=dataclasses.replace(QUICK, dropout=0.0))
    assert "- Dropout: none" in fast_card(silent, max_length=512, evaluation=None)


@pytest.mark.parametrize(
    "setting",
    [
        "bf16=true", "epochs=1", "dropout=1", "dropout=-0.1", "adam_beta1=1", "adam_beta2=1",
        "per_device_train_batch_size=0", "num_train_epochs=0", "seed=-1", "learning_rate=nan",
        "per_device_train_batch_size=1.5", "warmup_steps=-1",
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(setting: str) -> None:
    with pytest.raises(InputError):
        FastRecipe().with_settings([setting])


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from glossrank import GlossrankError
from glossrank.judgments import LabelledPair
from glossrank.training.fast_run import train_fast
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def limit(_progress):
    # Writing past 20 kB now fails as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

pairs = [LabelledPair("how much tax", "Tax is owed.", 1.0, 2)]
try:
    train_fast(pairs, base=sys.argv[1], output=Path(sys.argv[2]), on_progress=limit)
except GlossrankError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_full_disk_while_training_is_one_error(tiny_model: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tiny_model), str(tmp_path / "model")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("OutputError"), done.stderr
    assert not list(tmp_path.iterdir())


def test_training_loads_neither_transformers_nor_sentence_transformers(
    tiny_model: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from glossrank.judgments import LabelledPair; "
        "from glossrank.training.fast_run import train_fast; "
        "train_fast([LabelledPair('tax', 'net', 1.0, 2)], base=sys.argv[1], output=Path(sys.argv[2])); "
        "sys.exit(str(sorted({'transformers', 'sentence_transformers', 'datasets'} & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_model), str(tmp_path / "m")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr.strip() == "[]"
