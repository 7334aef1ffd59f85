"""An evaluation as one object: figures, what went wrong, a JSON document, an HTML page.

Takes score arrays, never models. The page is one file without any outside asset; its
colours follow the reader's light or dark setting, those of the plots too.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossrank.calibration import SHOWN_ANSWERS, Calibration
from glossrank.errors import MissingExtraError
from glossrank.evaluation import (
    Interval,
    NoneFigures,
    PairedDifference,
    bootstrap_interval,
    none_figures,
    paired_bootstrap,
    per_question,
    slices,
)
from glossrank.glossary import Glossary
from glossrank.judgments import JudgedQuestion
from glossrank.output import new_file

MOST_WORST = 25
MOST_CONFUSIONS = 20
_HISTOGRAM_BINS = 30

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class SliceFigures:
    """A kind of question: how many there are, and the measures over them."""

    questions: int
    measures: Mapping[str, Interval]


@dataclass(frozen=True)
class Comparison:
    """Another model on the same answerable questions; differences are this minus the other."""

    model: str
    measures: Mapping[str, Interval]
    differences: Mapping[str, PairedDifference]


@dataclass(frozen=True)
class RankedTerm:
    """A term with its place (1 is best) and score for one question."""

    id: str
    term: str
    place: int
    score: float


@dataclass(frozen=True)
class WorstQuestion:
    """A question with a wrong first answer: what was wanted, and what won instead."""

    question: str
    ndcg: float
    wanted: tuple[RankedTerm, ...]
    won: RankedTerm


@dataclass(frozen=True)
class Confusion:
    """How often a term came first where another one was wanted; both by name."""

    wanted: str
    won: str
    count: int


@dataclass(frozen=True)
class ScoreHistogram:
    """Counts of scores in bins of equal width, between ``edges`` ``[bins + 1]``.

    ``right`` is the best right term of a question, ``wrong`` its best wrong one,
    ``unanswerable`` the first answer where nothing fits.
    """

    edges: tuple[float, ...]
    right: tuple[int, ...]
    wrong: tuple[int, ...]
    unanswerable: tuple[int, ...]


@dataclass(frozen=True)
class EvaluationReport:
    """What ``glossrank evaluate`` found.

    Attributes:
        file, unanswerable_file: where the questions came from.
        terms: of the glossary.
        answerable, unanswerable: numbers of questions.
        score_name: "logit", or "score" for a ranker without logits.
        as_typed: whether the ranker read the questions with their slips; else corrected.
        measures: over the answerable questions, with 95% intervals.
        slices: the same for the kinds of :func:`glossrank.evaluation.slices`.
        none: over all questions; its probability parts are None without a calibration.
        worst: lowest nDCG@10 first, then the widest lead of the wrong answer.
        confusions: most frequent first; a question wants its first relevant term.
    """

    model: str
    glossary: str
    file: str
    unanswerable_file: str | None
    terms: int
    answerable: int
    unanswerable: int
    score_name: str
    as_typed: bool
    measures: Mapping[str, Interval]
    slices: Mapping[str, SliceFigures]
    comparison: Comparison | None
    none: NoneFigures
    scores: ScoreHistogram
    worst: tuple[WorstQuestion, ...]
    confusions: tuple[Confusion, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, texts and finite numbers."""
        document: dict[str, Any] = _plain(asdict(self))
        document["none"]["bins"] = [
            {"probability": stated, "right": found, "count": count}
            for stated, found, count in self.none.bins
        ]
        if self.comparison is not None:
            for name, difference in self.comparison.differences.items():
                document["comparison"]["differences"][name]["verdict"] = difference.verdict
        return document

    def write_html(self, path: Path) -> None:
        """Write one self-contained page; ``path`` is replaced, or stays as it was.

        Raises:
            MissingExtraError: matplotlib is not installed.
            OutputError: the file cannot be written.
        """
        page = _page(self)
        with new_file(path) as file:
            file.write(page)


def make_report(
    scores: FloatArray,
    questions: Sequence[JudgedQuestion],
    *,
    glossary: Glossary,
    model: str,
    file: str,
    unanswerable_file: str | None = None,
    score_name: str = "logit",
    calibration: Calibration | None = None,
    against: tuple[str, FloatArray] | None = None,
    trained_terms: frozenset[str] | None = None,
    as_typed: bool = False,
) -> EvaluationReport:
    """All figures of one model on one set of questions.

    Args:
        scores: ``[questions, terms]``, columns in the order of the glossary, finite.
        questions: those without relevant terms count for ``none`` alone.
        calibration: of the model, if it has one.
        against: another model's name and scores ``[answerable questions, terms]``.
        trained_terms: ids of terms that the model was trained on.
        as_typed: whether the scores are of questions with their slips; else corrected.

    Raises:
        MissingExtraError: ir_measures is not installed.
        ValueError: no question is answerable, or arrays do not fit.
    """
    if scores.shape != (len(questions), len(glossary)):
        raise ValueError(f"{scores.shape} scores, not {len(questions)} x {len(glossary)}.")
    rows = [number for number, question in enumerate(questions) if question.relevant]
    if not rows:
        raise ValueError("no question is answerable.")
    answerable = [questions[number] for number in rows]
    column = {term.id: at for at, term in enumerate(glossary.terms)}
    relevant = [[column[term_id] for term_id in question.relevant] for question in answerable]
    ranked = scores[rows]
    nothing = np.delete(scores, rows, axis=0)
    values = per_question(ranked, relevant)
    worst, confusions = _mistakes(ranked, relevant, answerable, values["nDCG@10"], glossary)
    return EvaluationReport(
        model=model,
        glossary=glossary.name,
        file=file,
        unanswerable_file=unanswerable_file,
        terms=len(glossary),
        answerable=len(rows),
        unanswerable=len(nothing),
        score_name=score_name,
        as_typed=as_typed,
        measures=_intervals(values),
        slices={
            name: SliceFigures(
                int(mask.sum()), _intervals({m: column[mask] for m, column in values.items()})
            )
            for name, mask in slices(answerable, glossary, trained_terms).items()
        },
        comparison=None if against is None else _comparison(values, relevant, *against),
        none=none_figures(ranked, relevant, nothing, calibration=calibration),
        scores=_histogram(ranked, relevant, nothing),
        worst=worst,
        confusions=confusions,
    )


def none_rows(none: NoneFigures) -> list[tuple[str, str]]:
    """The figures that there are, in words; for a table with two columns."""
    figures = (
        ("AUROC, answerable against unanswerable", none.auroc, ".3f"),
        ("unanswerable questions that get an answer", none.false_answer_rate, ".1%"),
        ("right first answers withheld, of answerable", none.wrongly_withheld_rate, ".1%"),
        ("handled rightly, of all questions", none.right_overall, ".1%"),
        ("calibration error, first answers", none.calibration_error, ".3f"),
        (f"calibration error, first {SHOWN_ANSWERS} answers", none.calibration_error_shown, ".3f"),
        ("threshold", none.threshold, ".4f"),
    )
    return [(label, f"{value:{form}}") for label, value, form in figures if value is not None]


def _intervals(values: Mapping[str, NDArray[np.float64]]) -> dict[str, Interval]:
    return {name: bootstrap_interval(column) for name, column in values.items()}


def _comparison(
    values: Mapping[str, NDArray[np.float64]],
    relevant: Sequence[Sequence[int]],
    model: str,
    scores: FloatArray,
) -> Comparison:
    others = per_question(scores, relevant)
    return Comparison(
        model=model,
        measures=_intervals(others),
        differences={name: paired_bootstrap(values[name], others[name]) for name in values},
    )


def _mistakes(
    scores: FloatArray,
    relevant: Sequence[Sequence[int]],
    questions: Sequence[JudgedQuestion],
    ndcg: NDArray[np.float64],
    glossary: Glossary,
) -> tuple[tuple[WorstQuestion, ...], tuple[Confusion, ...]]:
    order = (-scores).argsort(axis=1, kind="stable")
    places = order.argsort(axis=1, kind="stable") + 1
    terms = glossary.terms
    pairs: Counter[tuple[str, str]] = Counter()
    found: list[WorstQuestion] = []
    for number, (question, columns) in enumerate(zip(questions, relevant, strict=True)):
        first = int(order[number, 0])
        if first in columns:
            continue

        def ranked(at: int, row: int = number) -> RankedTerm:
            term = terms[at]
            return RankedTerm(term.id, term.term, int(places[row, at]), float(scores[row, at]))

        pairs[terms[columns[0]].term, terms[first].term] += 1
        found.append(
            WorstQuestion(
                question=question.question,
                ndcg=float(ndcg[number]),
                wanted=tuple(ranked(at) for at in columns),
                won=ranked(first),
            )
        )
    found.sort(key=lambda worst: (worst.ndcg, max(w.score for w in worst.wanted) - worst.won.score))
    confusions = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_CONFUSIONS]
    return (
        tuple(found[:MOST_WORST]),
        tuple(Confusion(wanted, won, count) for (wanted, won), count in confusions),
    )


def _histogram(
    scores: FloatArray, relevant: Sequence[Sequence[int]], nothing: FloatArray
) -> ScoreHistogram:
    right = np.zeros(scores.shape, dtype=bool)
    for number, columns in enumerate(relevant):
        right[number, list(columns)] = True
    groups = {
        "right": np.where(right, scores, -np.inf).max(axis=1),
        # A glossary may have no wrong term for a question.
        "wrong": np.where(right, -np.inf, scores).max(axis=1)[~right.all(axis=1)],
        "unanswerable": nothing.max(axis=1) if len(nothing) else np.empty(0),
    }
    edges = np.histogram_bin_edges(
        np.concatenate(list(groups.values())).astype(np.float64), bins=_HISTOGRAM_BINS
    )
    counts = {name: np.histogram(group, bins=edges)[0] for name, group in groups.items()}
    return ScoreHistogram(
        edges=tuple(edges.tolist()), **{name: tuple(c.tolist()) for name, c in counts.items()}
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


# The page. Colours are named once, as CSS variables; matplotlib draws with stand-ins, which
# are replaced by the variables' names in its SVG.
_STAND_INS = {
    "#010101": "var(--ink)",
    "#010102": "var(--muted)",
    "#010103": "var(--right)",
    "#010104": "var(--wrong)",
    "#010105": "var(--none)",
    "#010106": "var(--line)",
}
_INK, _MUTED, _RIGHT, _WRONG, _NONE, _LINE = _STAND_INS

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --card: #f6f7f9; --ink: #1c2430;
  --muted: #5b6675; --line: #d9dee5; --right: #0f766e; --wrong: #c2410c; --none: #6d4fc4; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181e; --card: #1c222a;
  --ink: #e6eaf0; --muted: #98a3b3; --line: #323b47; --right: #2dd4bf; --wrong: #fb923c;
  --none: #b6a0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 3rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .5rem; }
p { margin: .4rem 0; } .muted, figcaption, small { color: var(--muted); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
  gap: .7rem; margin: 1.2rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.25; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .6rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
th, td { padding: .45rem .75rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
tr:last-child > td, tr:last-child > th[scope=row] { border-bottom: 0; }
thead th { background: var(--card); font-size: .85rem; white-space: nowrap; }
tbody th { font-weight: 600; white-space: nowrap; }
.number { text-align: right; white-space: nowrap; } td small { display: block; }
.text { min-width: 13rem; }
.better, .worse, .no { white-space: nowrap; }
.better { color: var(--right); } .worse { color: var(--wrong); }
figure { margin: 0; } .scroll + figure { margin-top: 1rem; }
figure svg { display: block; width: 100%; min-width: 27rem; height: auto; }
figure .scroll { padding: .5rem; } figcaption { font-size: .9rem; margin-top: .4rem; }
svg text { font-family: inherit; }
td:has(> .bar) { min-width: 9rem; width: 40%; vertical-align: middle; }
.bar { background: var(--wrong); border-radius: .2rem; height: .8rem; min-width: 2px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem .9rem; }
dd { margin: 0; } dt { font-weight: 600; }
"""

_MEANINGS = {
    "nDCG@10": "how near the top the right terms are, among the first ten; 1 is best",
    "RR@10": "1 / place of the first right term, 0 below the tenth; its mean is MRR@10",
    "P@1": "share of questions whose first answer is right",
    "R@5": "share of the right terms among the first five",
    "R@10": "share of the right terms among the first ten",
    "R@20": "share of the right terms among the first twenty",
}


def _page(report: EvaluationReport) -> str:
    charts = _charts(report)
    sections = [
        _head(report),
        "<h2>Measures</h2>",
        _measures_table(report),
        "<h2>Kinds of questions</h2>",
        _slices_table(report),
        f"<h2>{report.score_name.capitalize()}s</h2>",
        charts["scores"],
        "<h2>None of these, and how sure</h2>",
        _none_section(report),
        charts.get("reliability", ""),
        "<h2>Which terms were confused</h2>",
        _confusions_table(report),
        "<h2>Worst questions</h2>",
        _worst_table(report),
        "<h2>What the figures mean</h2>",
        "<dl>" + "".join(f"<dt>{m}</dt><dd>{text}</dd>" for m, text in _MEANINGS.items()) + "</dl>",
        "<p class=muted>Intervals: percentile bootstrap over questions, 95%. "
        "A difference is called better or worse where its interval excludes 0.</p>",
    ]
    title = escape(f"{report.model} on {Path(report.file).name}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in sections if part)
        + "\n</body>\n</html>\n"
    )


def _head(report: EvaluationReport) -> str:
    tiles = [
        (name, f"{report.measures[name].mean:.3f}", _range(report.measures[name]))
        for name in ("nDCG@10", "RR@10", "P@1")
    ]
    if report.none.right_overall is not None:
        total = report.answerable + report.unanswerable
        tiles.append(
            ("handled rightly", f"{report.none.right_overall:.1%}", f"of all {total} questions")
        )
    files = " and ".join(escape(f) for f in (report.file, report.unanswerable_file) if f)
    return (
        f"<h1>{escape(report.model)}</h1>\n"
        f"<p class=muted>{files}: {report.answerable} questions that a term answers, "
        f"{report.unanswerable} that nothing answers. "
        f"Glossary {escape(report.glossary)}, {report.terms} terms. "
        f"Questions were read {'as typed' if report.as_typed else 'with slips corrected'}.</p>\n<div class=tiles>"
        + "".join(
            f"<div class=tile><small>{label}</small><b>{value}</b><small>{note}</small></div>"
            for label, value, note in tiles
        )
        + "</div>"
    )


def _measures_table(report: EvaluationReport) -> str:
    columns = ["measure", "#mean", "#95% interval"]
    other = report.comparison
    if other is not None:
        columns += [f"#{other.model}", "#difference", "#95% interval", "#p", "verdict"]
    rows = []
    for name, interval in report.measures.items():
        row = [name, f"{interval.mean:.3f}", _range(interval)]
        if other is not None:
            difference = other.differences[name]
            row += [
                f"{other.measures[name].mean:.3f}",
                f"{difference.difference:+.3f}",
                f"{difference.low:+.3f} to {difference.high:+.3f}",
                f"{difference.p_value:.4f}",
                f"<span class={difference.verdict.split()[0]}>{difference.verdict}</span>",
            ]
        rows.append(row)
    return _table(columns, rows)


def _slices_table(report: EvaluationReport) -> str:
    everything = SliceFigures(report.answerable, report.measures)
    rows = [
        [
            name,
            str(figures.questions),
            *(f"{i.mean:.3f}<small>{_range(i)}</small>" for i in figures.measures.values()),
        ]
        for name, figures in {"all": everything, **report.slices}.items()
    ]
    return _table(["questions", "#n", *(f"#{name}" for name in report.measures)], rows)


def _none_section(report: EvaluationReport) -> str:
    note = ""
    if report.none.threshold is None:
        note = (
            "<p class=muted>This model has no calibration: no probability, no threshold, "
            "no reliability diagram. <code>glossrank calibrate</code> fits one.</p>"
        )
    rows = none_rows(report.none)
    return note + (_table(["figure", "#value"], rows) if rows else "")


def _confusions_table(report: EvaluationReport) -> str:
    if not report.confusions:
        return "<p>None: every first answer is right.</p>"
    most = report.confusions[0].count
    rows = [
        [
            escape(c.wanted),
            escape(c.won),
            str(c.count),
            f'<div class=bar style="width:{100 * c.count / most:.0f}%"></div>',
        ]
        for c in report.confusions
    ]
    return _table(["wanted", ".came first", "#questions", ""], rows)


def _worst_table(report: EvaluationReport) -> str:
    if not report.worst:
        return "<p>None: every first answer is right.</p>"
    rows = [
        [
            escape(worst.question),
            f"{worst.ndcg:.2f}",
            "<br>".join(f"{escape(w.term)} <small>{_placed(w)}</small>" for w in worst.wanted),
            f"{escape(worst.won.term)} <small>{_placed(worst.won)}</small>",
        ]
        for worst in report.worst
    ]
    columns = [".question", "#nDCG@10", f"wanted, place and {report.score_name}", "came first"]
    return _table(columns, rows)


def _placed(term: RankedTerm) -> str:
    return f"{term.place}. &nbsp; {term.score:.2f}"


def _range(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML, column names text; a first ``#`` marks numbers, ``.`` long texts."""
    kinds = [{"#": " class=number", ".": " class=text"}.get(name[:1], "") for name in columns]
    names = [name[1:] if kind else name for name, kind in zip(columns, kinds, strict=True)]
    head = "".join(
        f"<th scope=col{kind}>{escape(name)}</th>" for name, kind in zip(names, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _charts(report: EvaluationReport) -> dict[str, str]:
    """Plots as ``<figure>`` elements: "scores", and "reliability" if there is a calibration."""
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            feature="an HTML report", extra="train", missing="matplotlib"
        ) from error

    def figure(height: float) -> Any:
        # Without pyplot: no window system, and nothing that outlives this call.
        drawn = Figure(figsize=(7.6, height), layout="constrained")
        FigureCanvasAgg(drawn)
        return drawn

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": "glossrank",
        "text.color": _INK,
        "axes.edgecolor": _LINE,
        "axes.labelcolor": _MUTED,
        "xtick.color": _MUTED,
        "ytick.color": _MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 10,
    }
    with matplotlib.rc_context(settings):
        charts = {"scores": _scores_chart(report, figure(3.2))}
        if report.none.bins:
            charts["reliability"] = _reliability_chart(report, figure(4.6))
    return charts


def _scores_chart(report: EvaluationReport, figure: Any) -> str:
    axes = figure.subplots()
    groups = [
        ("best right term", report.scores.right, _RIGHT, "-"),
        ("best wrong term", report.scores.wrong, _WRONG, "--"),
        ("first answer where nothing fits", report.scores.unanswerable, _NONE, ":"),
    ]
    for label, counts, colour, line in groups:
        total = sum(counts)
        if total:
            shares = [100 * count / total for count in counts]
            axes.stairs(shares, report.scores.edges, fill=True, color=colour, alpha=0.2)
            axes.stairs(
                shares,
                report.scores.edges,
                color=colour,
                linewidth=1.6,
                linestyle=line,
                label=label,
            )
    axes.set_xlabel(report.score_name)
    axes.set_ylabel("% of questions")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.2), ncols=3)
    return _svg_figure(
        figure,
        label=f"Distributions of the {report.score_name}s of right, wrong and unanswerable",
        caption=f"The {report.score_name} of each question's best right term and best wrong term, and "
        "of the first answer to questions that nothing answers. The less they overlap, the "
        "better one threshold tells them apart.",
    )


def _reliability_chart(report: EvaluationReport, figure: Any) -> str:
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    stated, found, counts = zip(*report.none.bins, strict=True)
    upper.plot([0, 1], [0, 1], color=_MUTED, linewidth=1, linestyle=":", label="perfect")
    upper.plot(stated, found, color=_RIGHT, linewidth=1.6, marker="o", label="this model")
    upper.set_ylabel("share that was right")
    upper.set_ylim(-0.03, 1.05)
    upper.legend(frameon=False, loc="upper left")
    lower.bar(stated, counts, width=0.05, color=_RIGHT, alpha=0.6)
    for at, count in zip(stated, counts, strict=True):
        lower.annotate(
            str(count), (at, count), xytext=(0, 3), textcoords="offset points", ha="center"
        )
    lower.set_ylim(0, max(counts) * 1.35)
    lower.set_xlim(-0.03, 1.03)
    lower.set_ylabel("questions")
    lower.set_xlabel("stated probability of the first answer")
    return _svg_figure(
        figure,
        label="Reliability diagram of the first answers, with the count of each bin",
        caption="First answers of all questions, those that nothing answers included, in bins of "
        "equal width. Expected calibration error (ECE): "
        f"{report.none.calibration_error:.3f}; of the first {SHOWN_ANSWERS} answers: "
        f"{report.none.calibration_error_shown:.3f}.",
    )


def _svg_figure(figure: Any, *, label: str, caption: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # Two plots in one page would share these ids; clip paths are told apart by content.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for stand_in, variable in _STAND_INS.items():
        svg = svg.replace(stand_in, variable)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
    return (
        f"<figure><div class=scroll>{svg}</div><figcaption>{escape(caption)}</figcaption></figure>"
    )
