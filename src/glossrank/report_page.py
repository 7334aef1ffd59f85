"""An evaluation as one HTML page.

The page is one file without any outside asset; its colours follow the reader's light or dark
setting, those of the plots too.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from glossrank.calibration import SHOWN_ANSWERS
from glossrank.errors import MissingExtraError
from glossrank.evaluation import Interval
from glossrank.output import new_file
from glossrank.report import (
    EvaluationReport,
    RankedTerm,
    SliceFigures,
    none_rows,
    shortlist_rows,
)

# Colours are named once, as CSS variables; matplotlib draws with stand-ins, which
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


def write_html(report: EvaluationReport, path: Path) -> None:
    """Write one self-contained page; ``path`` is replaced, or stays as it was.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    page = _page(report)
    with new_file(path) as file:
        file.write(page)


def _page(report: EvaluationReport) -> str:
    charts = _charts(report)
    sections = [
        _head(report),
        "<h2>Measures</h2>",
        _measures_table(report),
        "<h2>Kinds of questions</h2>",
        _slices_table(report),
        f"<h2>Distribution: {report.score_name}</h2>",
        charts["scores"],
        "<h2>None of these, and how sure</h2>",
        _none_section(report),
        charts.get("reliability", ""),
        "<h2>Which terms were confused</h2>",
        _confusions_table(report),
        *(
            ()
            if report.shortlist is None
            else (
                "<h2>Shortlist</h2>",
                "<p class=muted>What is lost where only the terms of a quick first ranking are "
                f"scored, instead of all {report.terms}.</p>",
                _table(["figure", "#value"], shortlist_rows(report.shortlist)),
            )
        ),
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
        label=f"Distributions of the {report.score_name} of right, wrong and unanswerable",
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
