"""The commands about labelled pairs and training: pairs describe, train."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glossrank.cli.output import (
    USAGE_ERROR,
    JsonOption,
    escape,
    new_table,
    print_json,
    stderr,
    stdout,
    title,
)
from glossrank.errors import InputError
from glossrank.glossary import Glossary
from glossrank.judgments import inspect_pairs, read_questions, statistics
from glossrank.model_names import DEFAULT_BASE

if TYPE_CHECKING:
    from glossrank.training.card_parts import EvaluationTable
    from glossrank.training.jobs import Job
    from glossrank.training.work import Progress

# Written here too because the guard's module needs the extra [train] to be imported.
DEFAULT_GUARD_SEEDS = 3


def describe(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="CSV, TSV, JSONL or JSON with sentence_0, sentence_1 and label."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show the model card's statistics of a file, and what is wrong in it, by line."""
    pairs, problems = inspect_pairs(file)
    columns = statistics(pairs) if pairs else []
    if as_json:
        print_json(
            {
                "file": str(file),
                "pairs": len(pairs),
                "columns": {
                    c.name: {"type": c.kind, "min": c.smallest, "mean": c.average, "max": c.largest}
                    for c in columns
                },
                "problems": [
                    {"line": p.line, "expected": p.expected, "found": p.found, "fix": p.fix}
                    for p in problems
                ],
            }
        )
    else:
        _print_description(file, len(pairs), columns, problems)
    if problems:
        raise typer.Exit(USAGE_ERROR)


class RecipeName(str, Enum):
    """The recipes that ``--recipe`` knows."""

    card = "card"
    fast = "fast"
    finance_terms = "finance-terms"


def train_command(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS",
            help="Labelled pairs: CSV, TSV, JSONL or JSON with sentence_0, sentence_1 and label. For the recipe finance-terms also judged questions: JSONL with question and relevant (term ids).",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The new model folder; must not exist."),
    ],
    base: Annotated[
        str,
        typer.Option("--base", "-b", help="What to start from: packaged name, folder or hub id."),
    ] = DEFAULT_BASE,
    recipe: Annotated[
        RecipeName,
        typer.Option(
            "--recipe",
            help="card: the model card's; fast: the same hyperparameters in a faster loop; finance-terms: listwise, with mined hard negatives.",
        ),
    ] = RecipeName.card,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a hyperparameter of the recipe; can be repeated.",
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(
            "--test",
            metavar="FILE",
            help="Judged questions (JSONL with question and relevant term ids), for the model card's evaluation.",
        ),
    ] = None,
    glossary: Annotated[
        list[Path] | None,
        typer.Option(
            "--glossary",
            "-g",
            metavar="FILE",
            help="Glossary of the questions; repeated, each gives another wording of its terms. The test questions are ranked against the first. Else the shipped one.",
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            "--teacher",
            metavar="FILE",
            help="Recipe finance-terms: teacher-scored groups of general text (scripts/score_groups.py).",
        ),
    ] = None,
    guard_seeds: Annotated[
        int,
        typer.Option(
            "--guard-seeds",
            min=0,
            help="Before the model is trained, train this many times on a part and compare with the base on the rest; 0: no check.",
        ),
    ] = DEFAULT_GUARD_SEEDS,
    force: Annotated[
        bool, typer.Option("--force", help="Save the model even if the check finds it worse.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoints of an interrupted run.")
    ] = False,
) -> None:
    """Fine-tune a model on labelled pairs, and refuse it if that makes it worse."""
    if teacher is not None and recipe is not RecipeName.finance_terms:
        raise InputError(
            expected="--teacher with --recipe finance-terms only",
            found=f"the recipe {recipe.value}, which has no teacher",
            fix="Add --recipe finance-terms, or leave out --teacher.",
        )
    glossaries = [Glossary.load(path) for path in glossary or []] or [Glossary.load()]
    questions = None if test is None else read_questions(test, glossaries[0])
    job = _job_of(recipe, pairs, base, settings or [], glossaries, teacher)
    console = stderr()
    guard = None
    with training_progress() as (on_progress, stop):
        if guard_seeds:
            console.print(f"checking on held-out questions, {guard_seeds} seeds ...")
            guard = job.guard(
                output=output,
                seeds=guard_seeds,
                force=force,
                resume=resume,
                on_progress=on_progress,
                stop=stop,
            )
            console.print(f"[bold]{guard.verdict}[/]")
            for line in guard.lines():
                console.print(f"  {escape(line)}")

        def evaluate(folder: Path) -> EvaluationTable | None:
            from glossrank.training.compare import compare_rankers

            # Training is over: from here on Ctrl-C stops at once, and --resume finishes.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if test is None or questions is None:
                return None
            console.print(
                f"ranking {len(questions)} test questions against {len(glossaries[0])} terms ..."
            )
            return compare_rankers(
                base=base,
                trained=folder,
                glossary=glossaries[0],
                questions=questions,
                name=test.name,
            )

        summary = job.train(
            output=output,
            resume=resume,
            guard=guard,
            evaluate=evaluate,
            on_progress=on_progress,
            stop=stop,
        )
    console.print(f"{summary} -> {escape(str(output))}")


def _job_of(
    recipe: RecipeName,
    pairs: Path,
    base: str,
    settings: list[str],
    glossaries: list[Glossary],
    teacher: Path | None,
) -> Job:
    from glossrank.training.jobs import card_job, fast_job, listwise_job

    if recipe is RecipeName.finance_terms:
        return listwise_job(
            pairs, base=base, settings=settings, glossaries=glossaries, teacher=teacher
        )
    job = fast_job if recipe is RecipeName.fast else card_job
    return job(pairs, base=base, settings=settings)


@contextmanager
def training_progress() -> Iterator[tuple[Any, Any]]:
    """A bar on stderr, on a terminal only, and a stop that the first Ctrl-C asks for."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    asked = threading.Event()

    def on_interrupt(_signal: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        console.print("stopping after this step; Ctrl-C again to stop at once")

    console = stderr()
    bar = Bar(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TextColumn("{task.fields[left]} left"),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task("", total=None, loss="-", left="-")

    def on_progress(progress: Progress) -> None:
        minutes, seconds = divmod(round(progress.seconds_left), 60)
        bar.update(
            task,
            completed=progress.step,
            total=progress.steps,
            loss=f"{progress.loss:.4f}",
            left=f"{minutes}:{seconds:02d}",
        )

    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        with bar:
            yield on_progress, asked.is_set
    finally:
        signal.signal(signal.SIGINT, previous)


def _print_description(file: Path, count: int, columns: Any, problems: list[InputError]) -> None:
    title(f"{file}: {count} good pairs")
    table = new_table("column", "type", "min", "mean", "max")
    for c in columns:
        digits = 0 if c.kind == "string" else 1
        unit = " characters" if c.kind == "string" else ""
        table.add_row(
            c.name,
            c.kind,
            f"{c.smallest:.{digits}f}{unit}",
            f"{c.average:.2f}{unit}",
            f"{c.largest:.{digits}f}{unit}",
        )
    stdout().print(table)
    if not problems:
        stdout().print("no problems found")
    for problem in problems:
        stdout().print(
            f"[bold red]problem:[/] {escape(str(problem))}", soft_wrap=True, highlight=False
        )
