"""The commands that rank: ask, rank, predict, models."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from glossrank.cli.output import (
    AsTypedOption,
    JsonOption,
    ModelOption,
    load_model,
    new_table,
    print_json,
    stderr,
    stdout,
    title,
)
from glossrank.errors import InputError
from glossrank.glossary import Glossary
from glossrank.judgments import read_text_pairs
from glossrank.model_names import DEFAULT_BASE, DEFAULT_MODEL, PACKAGED_MODELS, packaged_names
from glossrank.output import new_file
from glossrank.tables import DELIMITERS, cell_text, decode, read_rows, read_text, require_text


def ask_command(
    question: Annotated[str, typer.Argument(help="What you want to know, in plain words.")],
    glossary: Annotated[
        Path | None,
        typer.Option("--glossary", "-g", help="CSV, TSV, JSONL or JSON; else the shipped one."),
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    top: Annotated[int, typer.Option("--top", "-n", min=1, help="How many answers.")] = 5,
    as_typed: AsTypedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find the terms of a glossary that answer a question."""
    from glossrank.search import ask

    terms = Glossary.load(glossary)
    ranker = load_model(model)
    answers = ask(question, glossary=terms, model=ranker, top_k=top, as_typed=as_typed)
    if as_json:
        print_json(
            {
                "question": question,
                "read_as": answers.read_as,
                "model": model,
                "glossary": terms.name,
                "answered": answers.answered,
                "none_of_these": None if answers.answered is None else answers.none_of_these,
                "answers": [
                    {
                        "place": a.place,
                        "id": a.term.id,
                        "term": a.term.term,
                        "definition": a.term.definition,
                        "score": a.score,
                        "probability": a.probability,
                    }
                    for a in answers
                ],
            }
        )
        return
    title(question)
    if answers.read_as != question:
        stdout().print(f"[dim]read as: {escape(answers.read_as)}[/]", highlight=False)
    if answers.none_of_these:
        stdout().print(
            f"[bold yellow]Perhaps none of these:[/] {answers.answered:.0%} likely that one of them "
            "answers it.",
            highlight=False,
        )
    calibrated = ranker.calibration is not None
    columns = ("probability", "score") if calibrated else ("score",)
    table = new_table("", "term", "definition", *columns)
    for a in answers:
        table.add_row(
            str(a.place),
            f"[bold]{escape(a.term.term)}[/]",
            escape(a.term.definition),
            *(() if a.probability is None else (f"{a.probability:.0%}",)),
            f"{a.score:.2f}",
        )
    stdout().print(table)
    stdout().print(f"[dim]{len(terms)} terms of {escape(terms.name)}, model {escape(model)}[/]")


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
    model: ModelOption = DEFAULT_MODEL,
    top: Annotated[
        int | None, typer.Option("--top", "-n", min=1, help="How many; else all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Rank documents for a question."""
    require_text(query, name="the question")
    texts = _read_documents(documents)
    ranker = load_model(model)
    calibrated = ranker.calibration is not None
    ranked = ranker.rank(
        query, texts, top_k=top, return_documents=True, return_probabilities=calibrated
    )
    if as_json:
        print_json({"query": query, "model": model, "results": ranked})
        return
    title(query)
    columns = ("probability", "score") if calibrated else ("score",)
    table = new_table("", "document", *columns)
    for place, result in enumerate(ranked, start=1):
        table.add_row(
            str(place),
            escape(result["text"]),
            *((f"{result['probability']:.0%}",) if calibrated else ()),
            f"{result['score']:.2f}",
        )
    stdout().print(table)


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
    model: ModelOption = DEFAULT_MODEL,
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
    scores = load_model(model).predict(texts).tolist()
    with new_file(output) as file:
        if kind == ".jsonl":
            for (first, second), score in zip(texts, scores, strict=True):
                row = {"sentence_0": first, "sentence_1": second, "score": score}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            writer = csv.writer(file, delimiter=DELIMITERS[kind], lineterminator="\n")
            writer.writerow(("sentence_0", "sentence_1", "score"))
            writer.writerows((*pair, score) for pair, score in zip(texts, scores, strict=True))
    stderr().print(f"{len(texts)} pairs scored -> {escape(str(output))}")


def models(as_json: JsonOption = False) -> None:
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
        print_json({"models": found})
        return
    table = new_table("model", "used as", "MB", "folder")
    roles = {DEFAULT_MODEL: "--model (default)", DEFAULT_BASE: "--base (default)"}
    for model in found:
        table.add_row(
            f"[bold]{model['name']}[/]",
            roles.get(str(model["name"]), ""),
            f"{model['megabytes']:.0f}",
            escape(str(model["path"])),
        )
    stdout().print(table)
    stdout().print(
        "[dim]Any model folder, or a hub id such as cross-encoder/ms-marco-MiniLM-L6-v2, works as well.[/]"
    )


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


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
