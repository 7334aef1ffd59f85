"""The commands about verdicts: pairs from-verdicts, retrain."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glossrank.cli.output import ModelOption, escape, stderr
from glossrank.cli.serving import DatabaseOption, DataOption, require_serve
from glossrank.cli.training import DEFAULT_GUARD_SEEDS, training_progress
from glossrank.errors import InputError
from glossrank.glossary import Glossary
from glossrank.model_names import DEFAULT_MODEL

if TYPE_CHECKING:
    from glossrank.training.guard import GuardResult
    from glossrank.training.jobs import Job
    from glossrank.verdicts.models import ModelHistory
    from glossrank.verdicts.pairs import Judgments

MOST_EPOCHS, FEWEST_EPOCHS = 10, 2
QUESTIONS_SEEN = 1_000
"""Passes over a hundred questions or fewer, over very many, and what lies between: so many questions
are seen in all, those that come again included. Ten passes over a hundred were the best of those
tried (benchmarks/LOG.md)."""
BASE_SHARE = 0.4
"""Without it, what the model knew of other questions went (same place)."""

NamedGlossaryOption = Annotated[
    str,
    typer.Option(
        "--glossary", "-g", metavar="NAME[=SOURCE]",
        help="The glossary's name on the server, and where it is if the server was started with it.",
    ),
]  # fmt: skip


def from_verdicts_command(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="CSV or JSONL, by its ending.")
    ],
    glossary: NamedGlossaryOption = "finance-terms",
    data: DataOption = Path("glossrank-data"),
    database: DatabaseOption = None,
) -> None:
    """Write labelled pairs of what people judged, with what the model confused as negatives."""
    judgments = _judgments(glossary, data, database)
    from glossrank.verdicts.pairs import write_pairs

    pairs = judgments.pairs()
    write_pairs(pairs, output)
    stderr().print(
        f"{_summary(judgments)}, {len(pairs)} pairs -> {escape(str(output))}", soft_wrap=True
    )


def retrain_command(
    glossary: NamedGlossaryOption = "finance-terms",
    data: DataOption = Path("glossrank-data"),
    database: DatabaseOption = None,
    base: ModelOption = DEFAULT_MODEL,
    guard_seeds: Annotated[
        int,
        typer.Option("--guard-seeds", min=1, help="Trainings of the check on held-out questions."),
    ] = DEFAULT_GUARD_SEEDS,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Take the last model back; trains nothing.")
    ] = False,
) -> None:
    """Train the model on the verdicts; if it is no worse than --model, the server uses it.

    Every model is trained from --model, on all verdicts. The models before it are kept.

    The check trains on a part of the verdicts and compares with --model: on the questions of the other part, and on the shipped finance questions. It does not compare with the model in use, which was trained on these questions if it came out of verdicts.
    """
    require_serve("verdicts")
    from glossrank.verdicts.models import ModelHistory

    history = ModelHistory(data / "models")
    console = stderr()
    with history.locked():
        if rollback:
            before = history.take_back()
            now = "the model that the server was started with" if before is None else str(before)
            console.print(f"now in use: {escape(now)}", soft_wrap=True)
            return
        judgments = _judgments(glossary, data, database)
        console.print(_summary(judgments), soft_wrap=True)
        _train(_job(judgments, base), history, guard_seeds)


def _job(judgments: Judgments, base: str) -> Job:
    """
    Raises:
        InputError: no verdict says what is right, or that nothing is.
    """
    from glossrank.training.jobs import listwise_job_of
    from glossrank.training.recipe import ListwiseRecipe

    examples = judgments.training_set()
    if not examples.examples:
        raise InputError(
            expected="a question for which somebody said which term is right, or that none fits",
            found=f"{len(judgments.judged)} questions, with wrong answers only",
            fix="Say on the page which term is the right one.",
        )
    epochs = round(QUESTIONS_SEEN / len(examples.examples))
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs))
    recipe = ListwiseRecipe(epochs=epochs, base_share=BASE_SHARE)
    return listwise_job_of(examples, base=base, recipe=recipe)


def _train(job: Job, history: ModelHistory, guard_seeds: int) -> None:
    """Check, train, and let the new model answer; nobody else is at it, see ``history.locked``."""
    console = stderr()
    # Where it is trained, before it has a number.
    output = history.folder / "next"
    with training_progress() as (on_progress, stop):
        for left in history.folder.glob("next*"):
            # Of a run that was stopped.
            shutil.rmtree(left)
        console.print(f"checking on held-out questions, {guard_seeds} seeds ...")
        guard = job.guard(
            output=output, seeds=guard_seeds, force=False, resume=False,
            on_progress=on_progress, stop=stop,
        )  # fmt: skip
        console.print(f"[bold]{_told(guard)}[/]", soft_wrap=True)
        for line in guard.lines():
            console.print(f"  {escape(line)}")
        summary = job.train(
            output=output, resume=False, guard=guard, evaluate=lambda _: None,
            on_progress=on_progress, stop=stop,
        )  # fmt: skip
    folder_in_use = history.take_in(output)
    console.print(f"{summary} -> {escape(str(folder_in_use))}, now in use", soft_wrap=True)


def _told(guard: GuardResult) -> str:
    """What a check says that refuses nothing."""
    if guard.own is not None:
        return guard.verdict
    # "No difference shown" would sound as if somebody had looked.
    return (
        f"too few questions to check ({guard.questions} held out): whether the verdicts help is not "
        "known; compared with its base on the shipped finance questions only"
    )


def _judgments(glossary: str, data: Path, database: str | None) -> Judgments:
    """What a server's verdicts on one glossary say.

    Raises:
        InputError: there is no such glossary, or no usable verdict on it.
        OutputError: the database cannot be reached.
    """
    require_serve("verdicts")
    from glossrank.server.settings import ServerSettings
    from glossrank.server.shelf import uploaded
    from glossrank.verdicts.pairs import judgments_of
    from glossrank.verdicts.store import VerdictStore

    name, sign, source = glossary.partition("=")
    file = None if sign else uploaded(data / "glossaries", name)
    loaded = Glossary.load(source or file or name)
    named = Glossary(name, loaded.terms, loaded.template, loaded.notes)
    store = VerdictStore(ServerSettings(data=data, database=database).database_url)
    try:
        found = judgments_of(store.read(glossary=name), named)
    finally:
        store.close()
    if not found.judged:
        raise InputError(
            expected=f"verdicts on the glossary {name}",
            found="none" if not found.gone else f"{found.gone}, all on terms that are gone",
            fix="Give some on the page, or name the glossary and the database with --glossary and --data or --database.",
        )
    return found


def _summary(judgments: Judgments) -> str:
    count = len(judgments.judged)
    gone = judgments.gone
    return f"{count} questions" + (
        f", {gone} verdicts left out because their term is gone" if gone else ""
    )
