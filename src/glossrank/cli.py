"""Every command. The only module that prints, reads the keyboard or sets exit codes.

Results go to stdout, everything else to stderr. Wrong input ends with exit code 2 and one
message; Ctrl-C with 130.
"""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from glossrank.errors import GlossrankError, InputError, TrainingInterruptedError
from glossrank.glossary import Glossary
from glossrank.judgments import (
    inspect_pairs,
    read_pairs,
    read_questions,
    read_text_pairs,
    statistics,
)
from glossrank.model_names import DEFAULT_BASE, DEFAULT_MODEL, PACKAGED_MODELS, packaged_names
from glossrank.output import new_file
from glossrank.tables import (
    DELIMITERS,
    cell_text,
    decode,
    read_rows,
    read_text,
    require_text,
)

if TYPE_CHECKING:
    from glossrank.cross_encoder import CrossEncoder
    from glossrank.training.run import Progress, TrainingRun

USAGE_ERROR = 2
INTERRUPTED = 130

app = typer.Typer(
    name="glossrank",
    help="Ask in plain words, get the right definitions. Offline, on a CPU.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
pairs_app = typer.Typer(help="Look at files of labelled pairs.", no_args_is_help=True)
app.add_typer(pairs_app, name="pairs")

_ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="Packaged name, model folder or hub id.")
]
_JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def main() -> None:
    """The entry point: runs a command and turns glossrank's errors into exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its code, not a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except GlossrankError as error:
        _stderr().print(
            f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False
        )
        sys.exit(INTERRUPTED if isinstance(error, TrainingInterruptedError) else USAGE_ERROR)
    except OSError as error:
        # What no part of glossrank foresaw: a name too long, a full /dev/stdout.
        _stderr().print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(USAGE_ERROR)


@app.command("ask")
def ask_command(
    question: Annotated[str, typer.Argument(help="What you want to know, in plain words.")],
    glossary: Annotated[
        Path | None,
        typer.Option("--glossary", "-g", help="CSV, TSV, JSONL or JSON; else the shipped one."),
    ] = None,
    model: _ModelOption = DEFAULT_MODEL,
    top: Annotated[int, typer.Option("--top", "-n", min=1, help="How many answers.")] = 5,
    as_json: _JsonOption = False,
) -> None:
    """Find the terms of a glossary that answer a question."""
    from glossrank.search import ask

    terms = Glossary.load(glossary)
    answers = ask(question, glossary=terms, model=_load(model), top_k=top)
    if as_json:
        _print_json(
            {
                "question": question,
                "model": model,
                "glossary": terms.name,
                "answers": [
                    {
                        "place": a.place,
                        "id": a.term.id,
                        "term": a.term.term,
                        "definition": a.term.definition,
                        "score": a.score,
                    }
                    for a in answers
                ],
            }
        )
        return
    _title(question)
    table = _table("", "term", "definition", "score")
    for a in answers:
        table.add_row(
            str(a.place),
            f"[bold]{escape(a.term.term)}[/]",
            escape(a.term.definition),
            f"{a.score:.2f}",
        )
    _stdout().print(table)
    _stdout().print(f"[dim]{len(terms)} terms of {escape(terms.name)}, model {escape(model)}[/]")


@app.command()
def rank(
    query: Annotated[str, typer.Argument(metavar="QUESTION", help="The question.")],
    documents: Annotated[
        str,
        typer.Option(
            "--documents",
            "-d",
            metavar="FILE|-",
            help="One document a line, or - for stdin; .csv, .tsv, .jsonl and .json need a column 'text'.",
        ),
    ],
    model: _ModelOption = DEFAULT_MODEL,
    top: Annotated[
        int | None, typer.Option("--top", "-n", min=1, help="How many; else all.")
    ] = None,
    as_json: _JsonOption = False,
) -> None:
    """Rank documents for a question."""
    require_text(query, name="the question")
    texts = _read_documents(documents)
    ranked = _load(model).rank(query, texts, top_k=top, return_documents=True)
    if as_json:
        _print_json({"query": query, "model": model, "results": ranked})
        return
    _title(query)
    table = _table("", "document", "score")
    for place, result in enumerate(ranked, start=1):
        table.add_row(str(place), escape(result["text"]), f"{result['score']:.2f}")
    _stdout().print(table)


@app.command()
def predict(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS", help="CSV, TSV, JSONL or JSON with sentence_0 and sentence_1."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="CSV, TSV or JSONL; replaced if it exists.")
    ],
    model: _ModelOption = DEFAULT_MODEL,
) -> None:
    """Score pairs of texts and write them with a column 'score'."""
    kind = output.suffix.lower()
    if kind not in (*DELIMITERS, ".jsonl"):
        raise InputError(
            file=output,
            expected="an output file that ends in .csv, .tsv or .jsonl",
            found=repr(output.suffix),
            fix="Choose one of these.",
        )
    texts = read_text_pairs(pairs)
    scores = _load(model).predict(texts).tolist()
    with new_file(output) as file:
        if kind == ".jsonl":
            for (first, second), score in zip(texts, scores, strict=True):
                row = {"sentence_0": first, "sentence_1": second, "score": score}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            writer = csv.writer(file, delimiter=DELIMITERS[kind], lineterminator="\n")
            writer.writerow(("sentence_0", "sentence_1", "score"))
            writer.writerows((*pair, score) for pair, score in zip(texts, scores, strict=True))
    _stderr().print(f"{len(texts)} pairs scored -> {escape(str(output))}")


@pairs_app.command("describe")
def describe(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="CSV, TSV, JSONL or JSON with sentence_0, sentence_1 and label."
        ),
    ],
    as_json: _JsonOption = False,
) -> None:
    """Show the model card's statistics of a file, and what is wrong in it, by line."""
    pairs, problems = inspect_pairs(file)
    columns = statistics(pairs) if pairs else []
    if as_json:
        _print_json(
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


@app.command("train")
def train_command(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS", help="CSV, TSV, JSONL or JSON with sentence_0, sentence_1 and label."
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
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a hyperparameter of the model card's recipe; can be repeated.",
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
        Path | None,
        typer.Option(
            "--glossary",
            "-g",
            metavar="FILE",
            help="What the test questions are ranked against; else the shipped glossary.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoints of an interrupted run.")
    ] = False,
) -> None:
    """Fine-tune a model on labelled pairs, by the model card's recipe."""
    from glossrank.training.recipe import Recipe
    from glossrank.training.run import train

    recipe = Recipe().with_settings(settings or [])
    labelled = read_pairs(pairs)
    terms = Glossary.load(glossary)
    questions = None if test is None else read_questions(test, terms)

    def finish(folder: Path, run: TrainingRun) -> None:
        from glossrank.training.card import model_card
        from glossrank.training.compare import compare_rankers

        # Training is over: from here on Ctrl-C stops at once, and --resume finishes.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        evaluation = None
        if test is not None and questions is not None:
            _stderr().print(
                f"ranking {len(questions)} test questions against {len(terms)} terms ..."
            )
            evaluation = compare_rankers(
                base=base, trained=folder, glossary=terms, questions=questions, name=test.name
            )
        card = model_card(run, max_length=_load(str(folder)).max_length, evaluation=evaluation)
        (folder / "README.md").write_text(card, encoding="utf-8")

    with _training_progress() as (on_progress, stop):
        run = train(
            labelled,
            base=base,
            output=output,
            recipe=recipe,
            resume=resume,
            on_progress=on_progress,
            stop=stop,
            finish=finish,
        )
    _stderr().print(
        f"{len(labelled)} pairs, {run.seconds:.0f} s, final loss {run.final_loss:.4f} -> {escape(str(output))}"
    )


@app.command()
def models(as_json: _JsonOption = False) -> None:
    """List the models that came with the package."""
    found = [
        {
            "name": name,
            "path": str(PACKAGED_MODELS / name),
            "megabytes": _megabytes(PACKAGED_MODELS / name),
        }
        for name in packaged_names()
    ]
    if as_json:
        _print_json({"models": found})
        return
    table = _table("model", "used as", "MB", "folder")
    roles = {DEFAULT_MODEL: "--model (default)", DEFAULT_BASE: "--base (default)"}
    for model in found:
        table.add_row(
            f"[bold]{model['name']}[/]",
            roles.get(str(model["name"]), ""),
            f"{model['megabytes']:.0f}",
            escape(str(model["path"])),
        )
    _stdout().print(table)
    _stdout().print(
        "[dim]Any model folder, or a hub id such as cross-encoder/ms-marco-MiniLM-L6-v2, works as well.[/]"
    )


def _load(model: str) -> CrossEncoder:
    # OpenVINO takes a tenth of a second to import: not for --help or a bad file.
    from glossrank.cross_encoder import CrossEncoder

    return CrossEncoder(model)


def _read_documents(source: str) -> list[str]:
    """Documents of a file of rows, or of lines; blank lines are no documents."""
    path = Path(source)
    if source != "-" and path.suffix.lower() in (*DELIMITERS, ".jsonl", ".json"):
        documents = []
        for row in read_rows(path, columns=("text",)):
            text = row if isinstance(row, InputError) else cell_text(path, row, "text")
            if isinstance(text, InputError):
                raise text
            documents.append(text)
    else:
        lines = _read_stdin() if source == "-" else read_text(path)
        # Not splitlines(), which also cuts at characters such as U+2028.
        documents = [line.rstrip("\r") for line in lines.split("\n") if line.strip()]
    if not documents:
        raise InputError(
            expected="at least one document", found="none", fix="Write one document a line."
        )
    return documents


def _read_stdin() -> str:
    # None where a parent process closed it.
    return "" if sys.stdin is None else decode(sys.stdin.buffer.read(), file="stdin")


@contextmanager
def _training_progress() -> Iterator[tuple[Any, Any]]:
    """A bar on stderr, on a terminal only, and a stop that the first Ctrl-C asks for."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    asked = threading.Event()

    def on_interrupt(_signal: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        console.print("stopping after this step; Ctrl-C again to stop at once")

    console = _stderr()
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
    _title(f"{file}: {count} good pairs")
    table = _table("column", "type", "min", "mean", "max")
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
    _stdout().print(table)
    if not problems:
        _stdout().print("no problems found")
    for problem in problems:
        _stdout().print(
            f"[bold red]problem:[/] {escape(str(problem))}", soft_wrap=True, highlight=False
        )


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def _title(text: str) -> None:
    _stdout().print(f"[bold]{escape(text)}[/]", soft_wrap=True, highlight=False)


def _table(*columns: str) -> Table:
    table = Table()
    for name in columns:
        numeric = name in ("score", "MB", "min", "mean", "max", "")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=numeric)
    return table


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))


def _stdout() -> Console:
    return Console()


def _stderr() -> Console:
    return Console(stderr=True)
