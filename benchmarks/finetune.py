"""Fine-tuning: the model card's recipe by sentence-transformers' own trainer, beside ``--recipe fast``.

    python benchmarks/finetune.py
    python benchmarks/finetune.py --seeds 1 --epochs 1 --every 10    # a short trial

Both train the same base on the same shipped pairs with the same seeds, taking turns, each run
in a process of its own. sentence-transformers writes no checkpoints and no model card
meanwhile. Then every model ranks the shipped test questions against the whole glossary, in bf16
where the CPU has it. Nothing else should run at the same time. Results are kept under
build/finetune after every run, by what they depend on, so that a stopped comparison goes on.
The last line of stdout is the result as JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import glossrank
from glossrank import Glossary
from glossrank.evaluation import MEASURES, PairedDifference, paired_bootstrap, per_question
from glossrank.glossary import FINANCE_TERMS
from glossrank.judgments import JudgedQuestion, LabelledPair, part_of, read_pairs, read_questions
from glossrank.model_names import DEFAULT_BASE, find_folder
from glossrank.training.recipe import FastRecipe, Recipe

THEIRS, OURS = "sentence-transformers", "fast"
TITLES = {
    "base": "base, not fine-tuned",
    THEIRS: "sentence-transformers' CrossEncoderTrainer",
    OURS: "glossrank, recipe fast",
}
COSTS = {"seconds": "training, s", "rate": "pairs/s", "process": "whole process, s", "loss": "final loss"}  # fmt: skip
_DIGITS = {"seconds": 1, "rate": 1, "process": 1, "loss": 4}


def train_theirs(pairs: Sequence[LabelledPair], recipe: Recipe, output: Path) -> dict[str, float]:
    """The card's recipe by the trainer alone; seconds without loading, and final loss."""
    import torch
    from datasets import Dataset
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import (
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
    from transformers import set_seed

    set_seed(recipe.seed)
    model = CrossEncoder(
        str(find_folder(DEFAULT_BASE)), num_labels=1, device="cpu",
        model_kwargs={"dtype": torch.float32},
    )  # fmt: skip
    dataset = Dataset.from_dict(
        {
            "sentence_0": [pair.question for pair in pairs],
            "sentence_1": [pair.document for pair in pairs],
            "label": [pair.label for pair in pairs],
        }
    )
    settings = {**dataclasses.asdict(recipe), "dataloader_pin_memory": False, "use_cpu": True}
    with tempfile.TemporaryDirectory() as work:
        arguments = CrossEncoderTrainingArguments(
            output_dir=work, save_strategy="no", logging_strategy="epoch", report_to="none", **settings
        )  # fmt: skip
        trainer = CrossEncoderTrainer(
            model=model,
            args=arguments,
            train_dataset=dataset,
            loss=BinaryCrossEntropyLoss(model, activation_fn=torch.nn.Identity(), pos_weight=None),
        )
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    # As glossrank saves: fp16.
    model.half()
    model.save_pretrained(str(output), create_model_card=False)
    return {"seconds": seconds, "loss": float(losses[-1])}


def train_ours(pairs: Sequence[LabelledPair], recipe: Recipe, output: Path) -> dict[str, float]:
    """The recipe fast with the same seed and epochs."""
    from glossrank.training.fast_run import train_fast

    fast = FastRecipe(seed=recipe.seed, num_train_epochs=recipe.num_train_epochs)
    run = train_fast(pairs, base=DEFAULT_BASE, output=output, recipe=fast)
    return {"seconds": run.seconds, "loss": run.final_loss}


TRAINERS: dict[str, Callable[[Sequence[LabelledPair], Recipe, Path], dict[str, float]]] = {
    THEIRS: train_theirs,
    OURS: train_ours,
}


def run_alone(name: str, recipe: Recipe, output: Path) -> dict[str, float]:
    """One training run in a process of its own; its figures and the process's seconds."""
    command = [
        sys.executable, __file__, "--one", name, "--output", str(output),
        "--first-seed", str(recipe.seed), "--epochs", str(recipe.num_train_epochs),
    ]  # fmt: skip
    # What a stopped comparison left half done.
    for left in (output, output.with_name(f"{output.name}.training")):
        shutil.rmtree(left, ignore_errors=True)
    start = time.perf_counter()
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    process = time.perf_counter() - start
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**figures, "process": process}


def ranked(
    folder: Path, glossary: Glossary, questions: Sequence[JudgedQuestion]
) -> dict[str, list[float]]:
    """Each measure's value for every question, ranked against the whole glossary."""
    from glossrank.cross_encoder import CrossEncoder
    from glossrank.training.compare import model_scores

    model = CrossEncoder(folder)
    documents = [term.document for term in glossary.terms]
    column = {term.id: at for at, term in enumerate(glossary.terms)}
    # One question at a time, as in `glossrank ask`.
    rows = [model_scores(model, [question.question], documents) for question in questions]
    relevant = [[column[term_id] for term_id in question.relevant] for question in questions]
    measured = per_question(np.concatenate(rows), relevant)
    return {name: measured[name].tolist() for name in MEASURES}


def kept(file: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the file holds, or what ``make`` returns, which is written there."""
    if not file.exists():
        content = make()
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(file)
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def folder_of_results(
    top: Path, pairs: Sequence[LabelledPair], options: argparse.Namespace
) -> Path:
    """A folder that no comparison of other data, another base or other code shares."""
    sources = sorted((Path(glossrank.__file__).parent / "training").glob("*.py"))
    key = hashlib.sha256(repr([list(pairs), options.epochs, options.every]).encode())
    for file in (find_folder(DEFAULT_BASE) / "model.safetensors", Path(__file__), *sources):
        key.update(file.read_bytes())
    folder = top / key.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


Costs = dict[str, list[dict[str, float]]]
Figures = dict[str, list[dict[str, list[float]]]]


def all_costs(folder: Path, pairs: int, options: argparse.Namespace) -> Costs:
    """Figures of every training run, seed by seed."""
    costs: Costs = {THEIRS: [], OURS: []}
    for number in range(options.seeds):
        recipe = Recipe(seed=options.first_seed + number, num_train_epochs=options.epochs)
        # Each is first in every second round, so that no drift of the machine favours one.
        for name in (THEIRS, OURS) if number % 2 == 0 else (OURS, THEIRS):
            output = folder / f"{name}-{recipe.seed}"
            run = kept(
                folder / f"{output.name}.cost.json",
                lambda n=name, r=recipe, o=output: run_alone(n, r, o),  # type: ignore[misc]
            )
            run["rate"] = pairs * options.epochs / run["seconds"]
            costs[name].append(run)
            print(f"seed {recipe.seed}, {name}: {run}", file=sys.stderr, flush=True)
    return costs


def all_figures(
    folder: Path,
    glossary: Glossary,
    questions: Sequence[JudgedQuestion],
    options: argparse.Namespace,
) -> Figures:
    """Values for every question by the base and by every trained model, seed by seed."""
    models = [("base", "base", find_folder(DEFAULT_BASE))]
    for number in range(options.seeds):
        for name in (THEIRS, OURS):
            label = f"{name}-{options.first_seed + number}"
            models.append((name, label, folder / label))
    figures: Figures = {name: [] for name in TITLES}
    for name, label, model in models:
        figures[name].append(
            kept(
                folder / f"{label}.figures.json",
                lambda m=model: ranked(m, glossary, questions),  # type: ignore[misc]
            )
        )
        print(f"ranked by {label}", file=sys.stderr, flush=True)
    return figures


def spread(values: Iterable[float], digits: int) -> str:
    """Mean and range."""
    column = list(values)
    return f"{np.mean(column):.{digits}f} ({min(column):.{digits}f} to {max(column):.{digits}f})"


def seed_means(figures: Figures) -> dict[str, dict[str, list[float]]]:
    """Each ranker's measures, a mean over questions for every seed."""
    return {
        name: {m: [float(np.mean(seed[m])) for seed in seeds] for m in MEASURES}
        for name, seeds in figures.items()
    }


def table(costs: Costs, means: dict[str, dict[str, list[float]]]) -> str:
    columns = [*COSTS.values(), *(name.replace("RR@", "MRR@") for name in MEASURES)]
    lines = ["| mean (range over seeds) | " + " | ".join(columns) + " |"]
    lines.append("|:--|" + "--:|" * len(columns))
    for name, title in TITLES.items():
        runs = costs.get(name, [])
        cells = [spread([run[c] for run in runs], _DIGITS[c]) if runs else "" for c in COSTS]
        cells += [
            spread(means[name][m], 3) if runs else f"{means[name][m][0]:.3f}" for m in MEASURES
        ]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def speedups(costs: Costs) -> dict[str, list[float]]:
    """How many times as fast the recipe fast is, seed by seed."""
    return {
        cost: [t[cost] / o[cost] for t, o in zip(costs[THEIRS], costs[OURS], strict=True)]
        for cost in ("seconds", "process")
    }


def differences(figures: Figures) -> dict[str, PairedDifference]:
    """Fast minus sentence-transformers, by question; a question's value is its mean over seeds."""
    return {
        measure: paired_bootstrap(
            *(np.mean([s[measure] for s in figures[name]], axis=0) for name in (OURS, THEIRS))
        )
        for measure in MEASURES
    }


def compare(options: argparse.Namespace) -> None:
    """Run what was not run before, and print all of it."""
    from suite.machine import describe

    pairs = read_pairs(FINANCE_TERMS / "train.csv")
    glossary = Glossary.load()
    questions = part_of(read_questions(FINANCE_TERMS / "test.jsonl", glossary), every=options.every)
    folder = folder_of_results(options.folder, pairs, options)
    costs = all_costs(folder, len(pairs), options)
    figures = all_figures(folder, glossary, questions, options)
    means, times, found = seed_means(figures), speedups(costs), differences(figures)
    packages = ("sentence-transformers", "transformers", "torch")
    machine, libraries = describe(), ", ".join(f"{p} {version(p)}" for p in packages)
    print(f"{machine}\n{libraries}")
    print(
        f"{len(pairs)} pairs, {options.epochs:g} epochs, {options.seeds} seeds; "
        f"{len(questions)} questions against {len(glossary)} terms\n"
    )
    print(table(costs, means))
    print(f"\ntraining {spread(times['seconds'], 2)} times as fast, ", end="")
    print(f"whole process {spread(times['process'], 2)}")
    for measure, d in found.items():
        print(f"{measure}, fast minus sentence-transformers: {d.difference:+.4f} ", end="")
        print(f"(95% {d.low:+.4f} to {d.high:+.4f})")
    result = {
        "machine": machine,
        "libraries": libraries,
        "pairs": len(pairs),
        "epochs": options.epochs,
        "questions": len(questions),
        "costs": costs,
        "means": means,
        "times": times,
        "differences": {m: dataclasses.asdict(d) for m, d in found.items()},
    }
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=Recipe.seed)
    parser.add_argument("--epochs", type=float, default=Recipe.num_train_epochs)
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        help="take a random n-th of the test questions only, always the same",
    )
    parser.add_argument("--folder", type=Path, default=Path("build/finetune"))
    parser.add_argument("--one", choices=list(TRAINERS), help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is None:
        compare(options)
        return
    recipe = Recipe(seed=options.first_seed, num_train_epochs=options.epochs)
    pairs = read_pairs(FINANCE_TERMS / "train.csv")
    print(json.dumps(TRAINERS[options.one](pairs, recipe, options.output)))


if __name__ == "__main__":
    main()
