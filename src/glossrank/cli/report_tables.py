"""An evaluation as tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glossrank.cli.output import escape, new_table, stdout, title

if TYPE_CHECKING:
    from glossrank.evaluation import Interval
    from glossrank.report import EvaluationReport

_WORST_PRINTED = 5
_SLICE_MEASURES = ("nDCG@10", "P@1", "R@10")


def print_report(report: EvaluationReport) -> None:
    title(f"{report.model} on {report.file}")
    _print_measures(report)
    _print_slices(report)
    _print_shortlist(report)
    _print_none(report)
    _print_worst(report)
    stdout().print(
        f"[dim]{report.answerable} answerable and {report.unanswerable} unanswerable questions, "
        f"{report.terms} terms of {escape(report.glossary)}; questions read "
        f"{'as typed' if report.as_typed else 'with slips corrected'}; 95% intervals by bootstrap[/]",
        highlight=False,
    )


def _print_measures(report: EvaluationReport) -> None:
    other = report.comparison
    table = new_table("measure")
    table.add_column("mean", justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right", no_wrap=True)
    if other is not None:
        table.add_column(escape(other.model), justify="right", overflow="fold")
        table.add_column("difference", justify="right", no_wrap=True)
        table.add_column("95% interval", justify="right", no_wrap=True)
        table.add_column("")
    for name, interval in report.measures.items():
        cells = [name, f"{interval.mean:.3f}", f"{interval.low:.3f} to {interval.high:.3f}"]
        if other is not None:
            found = other.differences[name]
            cells += [
                f"{other.measures[name].mean:.3f}",
                f"{found.difference:+.3f}",
                f"{found.low:+.3f} to {found.high:+.3f}",
                found.verdict,
            ]
        table.add_row(*cells)
    stdout().print(table)


def _print_slices(report: EvaluationReport) -> None:
    def cell(interval: Interval) -> str:
        return f"{interval.mean:.3f} ({interval.low:.2f}-{interval.high:.2f})"

    table = new_table("questions")
    for name in ("n", *_SLICE_MEASURES):
        table.add_column(name, justify="right", no_wrap=True)
    for name, figures in report.slices.items():
        cells = (cell(figures.measures[measure]) for measure in _SLICE_MEASURES)
        table.add_row(name, str(figures.questions), *cells)
    stdout().print(table)


def _print_shortlist(report: EvaluationReport) -> None:
    from glossrank.report import shortlist_rows

    if report.shortlist is None:
        return
    table = new_table("shortlist")
    table.add_column("value", justify="right", no_wrap=True)
    for label, value in shortlist_rows(report.shortlist):
        table.add_row(label, value)
    stdout().print(table)


def _print_none(report: EvaluationReport) -> None:
    from glossrank.report import none_rows

    table = new_table("none of these")
    table.add_column("value", justify="right", no_wrap=True)
    for label, value in none_rows(report.none):
        table.add_row(label, value)
    if table.row_count:
        stdout().print(table)
    if report.none.threshold is None:
        stdout().print(
            "no calibration: probabilities and the threshold are left out "
            "(`glossrank calibrate` fits them)",
            highlight=False,
        )


def _print_worst(report: EvaluationReport) -> None:
    if not report.worst:
        stdout().print("every first answer is right")
        return
    table = new_table("worst questions", "wanted", "came first")
    for worst in report.worst[:_WORST_PRINTED]:
        wanted = "\n".join(f"{w.place}. {escape(w.term)} {w.score:.2f}" for w in worst.wanted)
        table.add_row(
            escape(worst.question), wanted, f"{escape(worst.won.term)} {worst.won.score:.2f}"
        )
    stdout().print(table)
