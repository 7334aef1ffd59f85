"""The commands that rank: ask, rank, predict, models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glossrank.cli.output import (
    AsTypedOption,
    ColumnOption,
    FirstStageOption,
    GlossaryOption,
    IndexOption,
    JsonOption,
    ModelOption,
    QueryOption,
    SheetOption,
    TemplateOption,
    escape,
    load_glossary,
    load_model,
    load_searcher,
    new_table,
    print_json,
    stderr,
    stdout,
    title,
)
from glossrank.glossary import DEFAULT_TOP_K
from glossrank.model_names import DEFAULT_BASE, DEFAULT_MODEL, PACKAGED_MODELS, packaged_names
from glossrank.pair_files import check_output, open_pairs, score_file
from glossrank.progress import progress
from glossrank.tables import decode, lines_of, read_texts, require_text
from glossrank.template import DEFAULT_TEMPLATE

if TYPE_CHECKING:
    from glossrank.answers import Answer

_WORDS_SHOWN = 3


def ask_command(
    question: Annotated[str, typer.Argument(help="What you want to know, in plain words.")],
    glossary: GlossaryOption = None,
    model: ModelOption = DEFAULT_MODEL,
    top: Annotated[
        int, typer.Option("--top", "-n", min=1, help="How many answers.")
    ] = DEFAULT_TOP_K,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Also show which words carried each answer."),
    ] = False,
    as_typed: AsTypedOption = False,
    first_stage: FirstStageOption = None,
    index: IndexOption = None,
    query: QueryOption = None,
    sheet: SheetOption = None,
    column: ColumnOption = None,
    template: TemplateOption = DEFAULT_TEMPLATE,
    as_json: JsonOption = False,
) -> None:
    """Find the terms of a glossary that answer a question."""
    terms = load_glossary(glossary, query=query, sheet=sheet, column=column, template=template)
    searcher = load_searcher(terms, model, first_stage=first_stage, index=index)
    answers = searcher.search(question, top, as_typed=as_typed, explain=explain)
    if as_json:
        print_json(
            {
                "question": question,
                "model": model,
                "glossary": terms.name,
                "fingerprint": terms.fingerprint,
                **answers.to_dict(),
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
    if answers.ambiguous:
        first, second = (f"[bold]{escape(term.term)}[/]" for term in answers.ambiguous)
        stdout().print(
            f"[bold yellow]Close call:[/] {first} or {second}? Both are of the family "
            f"{escape(answers.ambiguous[0].family)}.",
            highlight=False,
        )
    calibrated = answers.answered is not None
    columns = ("probability", "score") if calibrated else ("score",)
    table = new_table("", "term", "definition", *columns)
    for a in answers:
        table.add_row(
            str(a.place),
            _name_cell(a),
            _definition_cell(a),
            *(() if a.probability is None else (f"{a.probability:.0%}",)),
            f"{a.score:.2f}",
        )
    stdout().print(table)
    read = "" if answers.scored == len(terms) else f", {answers.scored} shortlisted"
    stdout().print(
        f"[dim]{len(terms)} terms of {escape(terms.name)}{read}, model {escape(model)}[/]"
    )


def _name_cell(answer: Answer) -> str:
    named = "" if answer.named is None else f"\n[dim]{escape(answer.named)}[/]"
    return f"[bold]{escape(answer.term.term)}[/]{named}"


def _definition_cell(answer: Answer) -> str:
    """The definition, with its matched part and the question's words where there are reasons."""
    definition, reasons = answer.term.definition, answer.reasons
    if reasons is None:
        return escape(definition)
    matched = reasons.matched
    if matched is not None:
        definition = (
            f"{escape(definition[: matched.start])}[underline]{escape(matched.text)}[/]"
            f"{escape(definition[matched.end :])}"
        )
    else:
        definition = escape(definition)
    heavy = sorted(reasons.words, key=lambda word: -word.weight)[:_WORDS_SHOWN]
    carried = ", ".join(f"{escape(w.text)} {w.weight:+.1f}" for w in heavy if w.weight > 0)
    return f"{definition}\n[dim]carried by: {carried or 'no single word'}[/]"


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
            metavar="PAIRS", help="CSV, TSV, JSONL, JSON or Parquet with sentence_0 and sentence_1."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="CSV, TSV, JSONL or Parquet; replaced if it exists."),
    ],
    model: ModelOption = DEFAULT_MODEL,
) -> None:
    """Score pairs of texts and write them with a column 'score'."""
    check_output(output)
    file = open_pairs(pairs)
    ranker = load_model(model)
    with progress("pairs", total=file.count) as advance:
        score_file(file, output, ranker.predict, advance=advance)
    stderr().print(f"{file.count} pairs scored -> {escape(str(output))}")


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
    if source == "-":
        return lines_of(_read_stdin(), file="stdin")
    return read_texts(Path(source), column="text")


def _read_stdin() -> str:
    # None where a parent process closed it.
    return "" if sys.stdin is None else decode(sys.stdin.buffer.read(), file="stdin")


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
