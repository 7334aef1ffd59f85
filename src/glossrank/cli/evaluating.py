"""The commands that judge a model: evaluate, calibrate."""

from __future__ import annotations

import errno
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from glossrank.cli.output import (
    AsTypedOption,
    ColumnOption,
    GlossaryOption,
    JsonOption,
    QueryOption,
    SheetOption,
    TemplateOption,
    escape,
    load_glossary,
    new_table,
    print_json,
    stderr,
    stdout,
    title,
)
from glossrank.cli.report_tables import print_report
from glossrank.errors import InputError, MissingExtraError, OutputError
from glossrank.glossary import Glossary
from glossrank.judgments import (
    JudgedQuestion,
    part_of,
    read_questions,
    read_trained_terms,
)
from glossrank.model_names import packaged_names
from glossrank.output import cannot_write
from glossrank.progress import progress
from glossrank.spelling import Spelling
from glossrank.template import DEFAULT_TEMPLATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from glossrank.calibration import Calibration
    from glossrank.cross_encoder import CrossEncoder
    from glossrank.fusion import Fusion
    from glossrank.search import Searcher

BM25 = "bm25"


class PrecisionChoice(str, Enum):
    """The engine's precisions, for the command line."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    INT8 = "int8"


QuestionsArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="Judged questions: JSONL with question and relevant ids."),
]
NoneOption = Annotated[
    Path | None,
    typer.Option(
        "--none",
        metavar="FILE",
        help="Questions that nothing answers (relevant: []). Such rows may be in FILE as well.",
    ),
]
EveryOption = Annotated[
    int,
    typer.Option(
        "--every",
        min=1,
        help="Only one Nth of each file's questions, drawn at random but always alike, for a quicker figure.",
    ),
]
PrecisionOption = Annotated[
    PrecisionChoice, typer.Option("--precision", help="Arithmetic; auto: bf16 where it is fast.")
]


def evaluate_command(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Packaged name, model folder, hub id, or bm25."),
    ],
    file: QuestionsArgument,
    glossary: GlossaryOption = None,
    none: NoneOption = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="MODEL", help="Another model to compare with."),
    ] = None,
    trained_on: Annotated[
        Path | None,
        typer.Option(
            "--trained-on",
            metavar="FILE",
            help="The questions of the training; tells seen from unseen terms.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also write one self-contained HTML page."),
    ] = None,
    precision: PrecisionOption = PrecisionChoice.AUTO,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Only the first N questions of each file."),
    ] = None,
    every: EveryOption = 1,
    as_typed: AsTypedOption = False,
    shortlist: Annotated[
        int | None,
        typer.Option(
            "--shortlist",
            min=1,
            metavar="N",
            help="Also measure what is lost where only N terms are scored; by default for "
            "glossaries that ask shortlists.",
        ),
    ] = None,
    query: QueryOption = None,
    sheet: SheetOption = None,
    column: ColumnOption = None,
    template: TemplateOption = DEFAULT_TEMPLATE,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on judged questions, with intervals and what went wrong."""
    # What can be refused is refused before anything is scored, which takes minutes.
    _require("evaluation", "ir_measures")
    if shortlist is not None and model == BM25:
        raise InputError(
            expected="--shortlist with a model",
            found="bm25, which scores every term",
            fix="Leave --shortlist out.",
        )
    if html is not None:
        _require("an HTML report", "matplotlib")
        _require_place(html)
    terms = load_glossary(glossary, query=query, sheet=sheet, column=column, template=template)
    questions = _read(file, none, terms, limit=limit, every=every)
    answerable = [question for question in questions if question.relevant]
    if not answerable:
        raise InputError(
            file=file,
            expected="at least one question that a term answers",
            found="only questions with relevant: []",
            fix="Give such a file with --none, and answerable questions as FILE.",
        )
    trained_terms = None if trained_on is None else read_trained_terms(trained_on, terms)
    ranker = _load(model, precision)
    other = None if against is None else _load(against, precision)

    from glossrank.fusion import load_fusion
    from glossrank.report import make_report

    report = make_report(
        _scores(ranker, questions, terms, label=model, as_typed=as_typed),
        questions,
        glossary=terms,
        model=model,
        file=str(file),
        unanswerable_file=None if none is None else str(none),
        score_name=_score_name(ranker),
        calibration=None if ranker is None else load_fusion(ranker.model_path).calibration,
        against=(
            None
            if against is None
            else (against, _scores(other, answerable, terms, label=against, as_typed=as_typed))
        ),
        trained_terms=trained_terms,
        as_typed=as_typed,
        shortlisted=(
            None if ranker is None else _shortlisted(ranker, answerable, terms, shortlist, as_typed)
        ),
    )
    if as_json:
        print_json(report.to_json())
    else:
        print_report(report)
    if html is not None:
        from glossrank.report_page import write_html

        write_html(report, html)
        stderr().print(f"report -> {escape(str(html))}", soft_wrap=True)


def calibrate_command(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="MODEL_FOLDER", help="calibration.json and fusion.json are written into it."
        ),
    ],
    file: QuestionsArgument,
    glossary: GlossaryOption = None,
    none: NoneOption = None,
    every: EveryOption = 1,
    as_typed: AsTypedOption = False,
    precision: PrecisionOption = PrecisionChoice.AUTO,
    query: QueryOption = None,
    sheet: SheetOption = None,
    column: ColumnOption = None,
    template: TemplateOption = DEFAULT_TEMPLATE,
) -> None:
    """Fit probabilities and the threshold for "none of these" on held-out questions."""
    _require("fitting a calibration", "scipy")
    _require("evaluation", "ir_measures")
    path = _own_folder(folder)
    terms = load_glossary(glossary, query=query, sheet=sheet, column=column, template=template)
    questions = _read(file, none, terms, limit=None, every=every)
    ranker = _load(path, precision)
    assert ranker is not None  # BM25 has no folder
    found = _score_arrays(terms.searcher(ranker), questions, label=folder, as_typed=as_typed)

    from glossrank.calibration import CALIBRATION_FILE, expected_calibration_error, fit_calibration
    from glossrank.evaluation import shown_answers
    from glossrank.fusion import FUSION_FILE, fit_fusion

    place = {term.id: at for at, term in enumerate(terms.terms)}
    relevant = [[place[term_id] for term_id in question.relevant] for question in questions]
    logits, right = shown_answers(found.logits, relevant)
    nothing = sum(not question.relevant for question in questions)
    fitted_on = (
        f"{len(questions) - nothing} questions that a term answers and {nothing} that nothing "
        f"answers, of {' and '.join(f.name for f in (file, none) if f is not None)}"
    )
    try:
        calibration = fit_calibration(logits, right, fitted_on=fitted_on)
        fusion = fit_fusion(
            found.logits + found.bonus, found.cosines, relevant, fitted_on=fitted_on
        )
    except ValueError as error:
        raise InputError(
            file=file,
            expected="questions to which a calibration can be fitted",
            found=f"{int(right[:, 0].sum())} of {len(right)} first answers right; {str(error).rstrip('.')}",
            fix="Give more held-out questions, and some that nothing answers with --none.",
        ) from error
    _save(calibration, path, CALIBRATION_FILE)
    _save(fusion, path, FUSION_FILE)
    fused = found.logits + found.bonus + fusion.cosine_weight * found.cosines
    table = new_table("figure")
    for name in ("logits alone (rank)", "as ask orders (fused)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("weight of the cosine", "", f"{fusion.cosine_weight:.0f}")
    curves = [(calibration, logits, right), (fusion.calibration, *shown_answers(fused, relevant))]
    for label in ("slope", "intercept", "threshold"):
        table.add_row(label, *(f"{getattr(curve, label):.4f}" for curve, _, _ in curves))
    for label, columns in (("shown answers", slice(None)), ("first answers", slice(1))):
        errors = []
        for curve, shown, good in curves:
            assert curve is not None
            stated = curve.probability(shown)[:, columns].ravel()
            errors.append(f"{expected_calibration_error(stated, good[:, columns].ravel()):.4f}")
        table.add_row(f"calibration error of {label}, on these questions", *errors)
    title(folder)
    stdout().print(table)
    stdout().print(f"[dim]fitted on {escape(fitted_on)}[/]", highlight=False)
    for name in (CALIBRATION_FILE, FUSION_FILE):
        stderr().print(f"{name} -> {escape(str(path / name))}", soft_wrap=True)


def _require(feature: str, module: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(feature=feature, extra="train", missing=module)


def _require_place(path: Path) -> None:
    if not path.parent.is_dir() or path.is_dir():
        raise OutputError(
            file=path,
            expected="a file in a folder that exists",
            found="a folder" if path.is_dir() else f"no folder {str(path.parent)!r}",
            fix="Make the folder first, or choose another place.",
        )
    if not os.access(path.parent, os.W_OK):
        raise cannot_write(path, PermissionError(errno.EACCES, "Permission denied"))


def _own_folder(name: str) -> Path:
    """The folder to write into; packaged names and hub ids are nobody's own."""
    if name not in packaged_names() and Path(name).is_dir():
        # Absolute: CrossEncoder would take "./finance-terms" for the packaged name.
        return Path(name).resolve()
    raise InputError(
        expected="a model folder, into which calibration.json is written",
        found=f"{name!r}, a packaged name" if name in packaged_names() else f"no folder {name!r}",
        fix="Give the folder's path (./NAME for a folder here); a hub id must be saved as one first.",
    )


def _read(
    file: Path, none: Path | None, terms: Glossary, *, limit: int | None, every: int
) -> list[JudgedQuestion]:
    """The questions of both files, those that nothing answers among them."""
    questions = part_of(read_questions(file, terms, allow_none=True)[:limit], every=every)
    if none is None:
        return questions
    nothing = read_questions(none, terms, allow_none=True)
    for question in nothing:
        if question.relevant:
            raise InputError(
                file=none,
                expected="relevant: [] for every question that nothing answers",
                found=f"{list(question.relevant)} for {question.question!r}",
                fix="Move the question to the file of those that a term answers.",
            )
    return questions + part_of(nothing[:limit], every=every)


def _load(model: str | Path, precision: PrecisionChoice) -> CrossEncoder | None:
    """None stands for BM25, which has nothing to load."""
    if model == BM25:
        return None
    # As in cli.output: OpenVINO is not imported for --help or a bad file.
    from glossrank.cross_encoder import CrossEncoder

    return CrossEncoder(model, precision=precision.value)


def _score_name(ranker: CrossEncoder | None) -> str:
    from glossrank.fusion import load_fusion

    if ranker is None:
        return "score"
    return "logit and cosine" if load_fusion(ranker.model_path).cosine_weight else "logit"


def _scores(
    ranker: CrossEncoder | None,
    questions: Sequence[JudgedQuestion],
    terms: Glossary,
    *,
    label: str,
    as_typed: bool,
) -> NDArray[np.float32]:
    """``[questions, terms]``: what ``ask`` orders every term by; None stands for BM25."""
    import numpy as np

    from glossrank.bm25 import bm25_scores

    texts = [question.question for question in questions]
    if ranker is None:
        spelling = Spelling(terms.documents)
        read = texts if as_typed else [spelling.correct(text) for text in texts]
        return bm25_scores(read, terms.documents)
    searcher = terms.searcher(ranker)
    found = _score_arrays(searcher, questions, label=label, as_typed=as_typed)
    weighted = searcher.fusion.cosine_weight * found.cosines
    return np.asarray(found.logits + found.bonus + weighted, dtype=np.float32)


class _ScoreArrays(NamedTuple):
    """fp32 ``[questions, terms]`` each, columns in the glossary's order."""

    logits: NDArray[np.float32]
    cosines: NDArray[np.float32]
    bonus: NDArray[np.float32]


def _score_arrays(
    searcher: Searcher, questions: Sequence[JudgedQuestion], *, label: str, as_typed: bool
) -> _ScoreArrays:
    """Every term for every question."""
    import numpy as np

    shape = (len(questions), len(searcher.terms))
    found = _ScoreArrays(*(np.empty(shape, dtype=np.float32) for _ in range(3)))
    with progress(label, total=len(questions)) as advance:
        for number, question in enumerate(questions):
            scored = searcher.score(question.question, as_typed=as_typed, exhaustive=True)
            for array, column in zip(
                found, (scored.logits, scored.cosines, scored.bonus), strict=True
            ):
                array[number, searcher.order] = column
            advance()
    return found


def _shortlisted(
    ranker: CrossEncoder,
    questions: Sequence[JudgedQuestion],
    terms: Glossary,
    size: int | None,
    as_typed: bool,
) -> NDArray[np.bool_] | None:
    """``[questions, terms]``: which terms a shortlist keeps; None where there is none."""
    import numpy as np

    searcher = terms.searcher(ranker)
    size = size or searcher.shortlist_size
    if size is None:
        return None
    kept = np.zeros((len(questions), len(terms)), dtype=np.bool_)
    for number, question in enumerate(questions):
        rows = searcher.shortlist_rows(searcher.read(question.question, as_typed=as_typed), size)
        kept[number, np.asarray(searcher.order)[rows]] = True
    return kept


def _save(curve: Calibration | Fusion, folder: Path, name: str) -> None:
    """Whole or not at all: a half-written file would make the model unusable."""
    target = folder / name
    try:
        with tempfile.TemporaryDirectory(prefix=".calibration-", dir=folder) as temporary:
            curve.save(Path(temporary))
            (Path(temporary) / name).replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
