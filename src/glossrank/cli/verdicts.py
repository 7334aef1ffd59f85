"""The commands about verdicts: pairs from-verdicts, retrain."""

from __future__ import annotations

import shutil
import tempfile
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
    from glossrank.verdicts.pairs import PairsMade

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
    made = _pairs(glossary, data, database)
    from glossrank.verdicts.pairs import write_pairs

    write_pairs(made.pairs, output)
    stderr().print(f"{_summary(made)} -> {escape(str(output))}", soft_wrap=True)


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
    """Train the model on the verdicts; if it is no worse on held-out ones, the server uses it.

    Every model is trained from --base, on all verdicts. The models before it are kept.
    """
    require_serve("verdicts")
    from glossrank.verdicts.models import ModelHistory

    history = ModelHistory(data / "models")
    console = stderr()
    if rollback:
        before = history.take_back()
        console.print(
            f"now in use: {escape(str(before or 'the model that the server was started with'))}"
        )
        return
    made = _pairs(glossary, data, database)
    console.print(_summary(made), soft_wrap=True)
    from glossrank.training.jobs import fast_job
    from glossrank.verdicts.pairs import write_pairs

    # Where it is trained, before it has a number.
    output = history.folder / "next"
    with tempfile.TemporaryDirectory() as folder, training_progress() as (on_progress, stop):
        file = Path(folder) / "pairs.jsonl"
        write_pairs(made.pairs, file)
        job = fast_job(file, base=base, settings=[])
        for left in history.folder.glob("next*"):
            # Of a run that was stopped.
            shutil.rmtree(left)
        console.print(f"checking on held-out questions, {guard_seeds} seeds ...")
        guard = job.guard(
            output=output, seeds=guard_seeds, force=False, resume=False,
            on_progress=on_progress, stop=stop,
        )  # fmt: skip
        console.print(f"[bold]{guard.verdict}[/]")
        for line in guard.lines():
            console.print(f"  {escape(line)}")
        summary = job.train(
            output=output, resume=False, guard=guard, evaluate=lambda _: None,
            on_progress=on_progress, stop=stop,
        )  # fmt: skip
    folder_in_use = history.take_in(output)
    console.print(f"{summary} -> {escape(str(folder_in_use))}, now in use", soft_wrap=True)


def _pairs(glossary: str, data: Path, database: str | None) -> PairsMade:
    """Pairs of a server's verdicts on one glossary.

    Raises:
        InputError: there is no such glossary, or no usable verdict on it.
        OutputError: the database cannot be reached.
    """
    require_serve("verdicts")
    from glossrank.server.settings import ServerSettings
    from glossrank.server.shelf import uploaded
    from glossrank.verdicts.pairs import pairs_from_verdicts
    from glossrank.verdicts.store import VerdictStore

    name, sign, source = glossary.partition("=")
    file = None if sign else uploaded(data / "glossaries", name)
    loaded = Glossary.load(source or file or name)
    named = Glossary(name, loaded.terms, loaded.template, loaded.notes)
    store = VerdictStore(ServerSettings(data=data, database=database).database_url)
    try:
        made = pairs_from_verdicts(store.read(glossary=name), named)
    finally:
        store.close()
    if not made.pairs:
        raise InputError(
            expected=f"verdicts on the glossary {name}",
            found="none" if not made.gone else f"{made.gone}, all on terms that are gone",
            fix="Give some on the page, or name the glossary and the database with --glossary and --data or --database.",
        )
    return made


def _summary(made: PairsMade) -> str:
    gone = f", {made.gone} verdicts left out because their term is gone" if made.gone else ""
    return f"{made.questions} questions, {len(made.pairs)} pairs{gone}"
