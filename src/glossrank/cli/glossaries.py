"""The commands about whole glossaries: index, ask-many, lint, diff."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glossrank.cli.output import (
    FOUND_SOMETHING,
    INTERRUPTED,
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
    chosen_columns,
    escape,
    load_glossary,
    load_model,
    load_searcher,
    new_table,
    print_json,
    print_notes,
    stderr,
    stdout,
)
from glossrank.errors import InputError
from glossrank.glossary import DEFAULT_TOP_K, Glossary, read_terms
from glossrank.judgments import read_question_texts, read_questions
from glossrank.model_names import DEFAULT_MODEL, INDEXED_MODEL, packaged_names
from glossrank.progress import progress
from glossrank.template import DEFAULT_TEMPLATE

if TYPE_CHECKING:
    from glossrank.diff import Difference

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="GLOSSARY",
        help="A file, a dbt project or manifest, a database URL, or finance-terms: the shipped one.",
    ),
]


def index_command(
    glossary: SourceArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Replaced if it exists.")
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="A model with indexed definitions.")
    ] = INDEXED_MODEL,
    query: QueryOption = None,
    sheet: SheetOption = None,
    column: ColumnOption = None,
    template: TemplateOption = DEFAULT_TEMPLATE,
) -> None:
    """Compute what questions need of a glossary's definitions, for `ask --index`."""
    terms = load_glossary(glossary, query=query, sheet=sheet, column=column, template=template)
    ranker = load_model(model)
    stage = terms.searcher(ranker, first_stage=ranker).first_stage
    assert stage is not None  # it was asked for
    name = model if model in packaged_names() else str(ranker.model_path.resolve())
    stage.index.save(output, model=name)
    stderr().print(
        f"{len(stage.index)} definitions, {stage.index.nbytes / 1e6:.0f} MB in memory "
        f"-> {escape(str(output))}",
        soft_wrap=True,
        highlight=False,
    )


def ask_many_command(
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="QUESTIONS",
            help="One question a line; .csv, .tsv, .jsonl and .json need a column 'question'.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE|-", help="JSONL; begun files are gone on with."
        ),
    ],
    glossary: GlossaryOption = None,
    model: ModelOption = DEFAULT_MODEL,
    top: Annotated[
        int, typer.Option("--top", "-n", min=1, help="How many answers each.")
    ] = DEFAULT_TOP_K,
    as_typed: AsTypedOption = False,
    first_stage: FirstStageOption = None,
    index: IndexOption = None,
    query: QueryOption = None,
    sheet: SheetOption = None,
    column: ColumnOption = None,
    template: TemplateOption = DEFAULT_TEMPLATE,
) -> None:
    """Answer a file of questions into a JSONL file; goes on where it was stopped."""
    texts = read_question_texts(questions)
    terms = load_glossary(glossary, query=query, sheet=sheet, column=column, template=template)

    from glossrank.many import job_of, line_of, search_to_file

    searcher = load_searcher(terms, model, first_stage=first_stage, index=index)
    if str(output) == "-":
        job = job_of(searcher, top_k=top, as_typed=as_typed)
        answers = searcher.search_many(texts, top, as_typed=as_typed)
        for number, answer in enumerate(answers, start=1):
            sys.stdout.buffer.write(line_of(number, job, texts[number - 1], answer))
            sys.stdout.buffer.flush()
        return
    try:
        new = search_to_file(
            searcher, texts, output, top_k=top, as_typed=as_typed, show_progress_bar=True
        )
    except KeyboardInterrupt:
        stderr().print(f"stopped; run it again to go on -> {escape(str(output))}", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    there = f", {len(texts) - new} were there" if new < len(texts) else ""
    stderr().print(
        f"{new} questions answered{there} -> {escape(str(output))}", soft_wrap=True, highlight=False
    )


def lint_command(
    glossary: SourceArgument,
    model: ModelOption = DEFAULT_MODEL,
    without_model: Annotated[
        bool,
        typer.Option("--no-model", help="Only the checks of the text, which take seconds."),
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="KIND", help="Leave out this kind; can be repeated."),
    ] = None,
    query: QueryOption = None,
    sheet: SheetOption = None,
    column: ColumnOption = None,
    template: TemplateOption = DEFAULT_TEMPLATE,
    as_json: JsonOption = False,
) -> None:
    """Find what is wrong with a glossary. Exit code 1 if anything is."""
    from glossrank.lint import KINDS, glossary_of, lint

    for kind in ignore or ():
        if kind not in KINDS:
            raise InputError(
                expected=f"one of {', '.join(KINDS)}", found=repr(kind), fix="Correct --ignore."
            )
    read = read_terms(
        glossary,
        columns=chosen_columns(column),
        query=query,
        sheet=sheet,
    )
    print_notes(read.name, read.notes)
    terms = glossary_of(read, template=template)
    searcher = None
    if terms is not None and not without_model:
        searcher = terms.searcher(load_model(model))
    findings = [found for found in lint(read, searcher) if found.kind not in (ignore or ())]
    if as_json:
        print_json(
            {
                "glossary": read.name,
                "terms": len(read.terms),
                "findings": [asdict(found) for found in findings],
            }
        )
    for found in () if as_json else findings:
        place = found.file if found.line is None else f"{found.file}:{found.line}"
        who = f" [bold]{escape(found.id)}[/]:" if found.id else ""
        stdout().print(
            f"{escape(place)}: [yellow]{found.kind}[/]:{who} {escape(found.text)}. {escape(found.fix)}",
            soft_wrap=True,
            highlight=False,
        )
    counts = f"{len(read.terms)} terms, {len(findings)} findings"
    stderr().print(f"{escape(read.name)}: {counts}", soft_wrap=True, highlight=False)
    if findings:
        raise typer.Exit(FOUND_SOMETHING)


def diff_command(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A glossary, as it was.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same, as it is to be.")],
    questions: Annotated[
        Path,
        typer.Option(
            "--questions",
            "-q",
            metavar="FILE",
            help="What is asked of both: a line each, or rows with 'question'; JSONL with 'relevant' "
            "(ids) also says whether it gets better.",
        ),
    ],
    model: ModelOption = DEFAULT_MODEL,
    new_model: Annotated[
        str | None,
        typer.Option("--new-model", metavar="MODEL", help="For NEW; else the same."),
    ] = None,
    only_worse: Annotated[
        bool,
        typer.Option("--only-worse", help="Exit with 1 only where a right answer is lost."),
    ] = False,
    as_typed: AsTypedOption = False,
    query: QueryOption = None,
    sheet: SheetOption = None,
    column: ColumnOption = None,
    template: TemplateOption = DEFAULT_TEMPLATE,
    as_json: JsonOption = False,
) -> None:
    """Which questions get another first answer. Exit code 1 if any does."""
    before, after = (
        load_glossary(source, query=query, sheet=sheet, column=column, template=template)
        for source in (old, new)
    )
    texts, relevant = _asked(questions, before, after)
    if only_worse and relevant is None:
        raise InputError(
            file=questions,
            expected="JSONL with the ids of right answers under 'relevant', which --only-worse needs",
            found="none",
            fix="Leave --only-worse out, or add them.",
        )
    first = load_model(model)
    second = first if new_model in (None, model) else load_model(str(new_model))

    from glossrank.diff import difference

    with progress("questions", total=len(texts)) as advance:
        found = difference(
            before.searcher(first),
            after.searcher(second),
            texts,
            relevant=relevant,
            as_typed=as_typed,
            advance=advance,
        )
    if as_json:
        print_json(found.to_dict())
    else:
        _print_difference(found)
    if found.worse if only_worse else found.answers:
        raise typer.Exit(FOUND_SOMETHING)


def _asked(file: Path, *glossaries: Glossary) -> tuple[list[str], list[tuple[str, ...]] | None]:
    """Questions, and the ids of their right answers if every row has them."""
    if not _is_judged(file):
        return read_question_texts(file), None
    judged = read_questions(file, None, allow_none=True)
    known = {term.id for glossary in glossaries for term in glossary.terms}
    for row in judged:
        strangers = [term_id for term_id in row.relevant if term_id not in known]
        if strangers:
            raise InputError(
                file=file,
                expected="ids of terms that one of the two glossaries has",
                found=f"{strangers[0]!r} for {row.question!r}",
                fix="Correct the id.",
            )
    return [row.question for row in judged], [row.relevant for row in judged]


def _is_judged(file: Path) -> bool:
    from glossrank.judgments import is_questions_file

    return file.suffix.lower() in (".jsonl", ".json") and is_questions_file(file)


def _print_difference(found: Difference) -> None:
    terms = found.terms
    for label, ids in (
        ("added", terms.added),
        ("removed", terms.removed),
        ("changed", terms.changed),
    ):
        if ids:
            some = ", ".join(ids[:10]) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
            stdout().print(f"[bold]{label}[/]: {escape(some)}", soft_wrap=True, highlight=False)
    if found.answers:
        table = new_table("question", "first answer was", "is now", "right?")
        for answer in found.answers:
            table.add_row(
                escape(answer.question),
                escape(answer.old_term),
                escape(answer.new_term),
                answer.verdict,
            )
        stdout().print(table)
    stdout().print(
        f"{len(found.answers)} of {found.questions} questions get another first answer"
        + (f", {found.worse} of them a worse one" if found.worse else ""),
        highlight=False,
    )
