"""The plots of a result: SVG, readable at the width of a README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.contenders import OURS, REFERENCE
from suite.report import digits, throughputs
from suite.results import Result

_WIDTH = 8.6
_OURS, _THEIRS, _MIXED = "#0b6e99", "#b8b8b8", "#d1495b"
_TITLES = {
    "short": "short definitions",
    "one": "one question",
    "many": "many questions",
    "long": "long passages",
    "mixed": "mixed lengths",
}


def draw(result: Result, file: Path) -> list[Path]:
    """Write the plots that the result has figures for, beside its file.

    Returns:
        The written files; none where matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        return []
    matplotlib.use("Agg")
    drawn = []
    for name, plot in (("speed", _speed), ("tokens", _tokens), ("memory", _memory)):
        figure = plot(result)
        if figure is not None:
            path = file.with_name(f"{file.stem}-{name}.svg")
            figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
            drawn.append(path)
    return drawn


def _figure(height: float, columns: int = 1, **options: Any) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, **options)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _speed(result: Result) -> Any:
    """Pairs a second of every contender, a panel a workload."""
    keys = [key for key in result["workloads"] if throughputs(result, key)]
    if not keys:
        return None
    found = {key: throughputs(result, key) for key in keys}
    names = [n for n in result["contenders"] if any(n in one for one in found.values())]
    figure, axes = _figure(1.0 + 0.27 * len(names), len(keys), sharey=True)
    for ax, key in zip(axes, keys, strict=True):
        for row, name in enumerate(names):
            one = found[key].get(name)
            if one is None:
                continue
            ours = result["contenders"][name]["family"] == OURS
            ax.barh(row, one.pairs.median, color=_OURS if ours else _THEIRS, height=0.75)
            ax.text(one.pairs.median, row, f" {digits(one.pairs.median)}", va="center", fontsize=7)
        ax.set_title(_TITLES.get(key, key), fontsize=9)
        ax.margins(x=0.28)
        ax.tick_params(axis="x", labelsize=7)
        ax.locator_params(axis="x", nbins=3)
    axes[0].set_yticks(range(len(names)))
    axes[0].set_yticklabels([_label(result, name) for name in names], fontsize=8)
    axes[0].invert_yaxis()
    figure.supxlabel("pairs a second", fontsize=9)
    return figure


def _label(result: Result, name: str) -> str:
    label: str = result["contenders"][name]["name"]
    return label.replace("sentence-transformers", "s-t")


def _tokens(result: Result) -> Any:
    """Milliseconds a pair against tokens a pair: chunks of one length, and of all lengths."""
    if not result["stream"]:
        return None
    figure, (ax,) = _figure(3.6)
    for key, one in result["stream"].items():
        for mixed, colour, kind in (
            (False, _OURS, "of one length"),
            (True, _MIXED, "of all lengths"),
        ):
            rows = [n for n, is_mixed in enumerate(one["mixed"]) if is_mixed == mixed]
            ax.scatter(
                [one["tokens"][n] / one["chunks"][n][0] for n in rows],
                [1000 * one["chunks"][n][1] / one["chunks"][n][0] for n in rows],
                s=16, color=colour, label=f"{result['contenders'][key]['name']}, chunks {kind}",
                zorder=3,
            )  # fmt: skip
    _mixed_points(result, ax)
    ax.set_xlabel("tokens a pair, mean of a chunk", fontsize=9)
    ax.set_ylabel("ms a pair", fontsize=9)
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=0)
    ax.tick_params(labelsize=8)
    ax.legend(fontsize=7, frameon=False, loc="upper left")
    return figure


def _mixed_points(result: Result, ax: Any) -> None:
    """The other contenders on the sample of mixed lengths."""
    workload = result["workloads"]["mixed"]
    mean = workload["tokens"] / workload["pairs"]
    label: str | None = "other contenders, a sample of all lengths"
    for name, one in throughputs(result, "mixed").items():
        if result["contenders"][name]["family"] != OURS:
            ax.scatter(
                mean, 1000 / one.pairs.median, s=22, marker="x", color="#555555", label=label
            )
            label = None
        if name == REFERENCE.key:
            place = {"textcoords": "offset points", "xytext": (6, -3)}
            ax.annotate(_label(result, name), (mean, 1000 / one.pairs.median), fontsize=7, **place)


def _memory(result: Result) -> Any:
    """Resident memory over the long file."""
    series = {key: one["rss"] for key, one in result["stream"].items() if len(one["rss"]) > 1}
    if not series:
        return None
    figure, (ax,) = _figure(2.4)
    for key, rss in series.items():
        megabytes = [value / 1e6 for value in rss]
        ax.plot(range(1, len(rss) + 1), megabytes, label=result["contenders"][key]["name"])
    ax.set_ylim(0, 1.3 * max(max(rss) for rss in series.values()) / 1e6)
    ax.set_xlabel("seconds", fontsize=9)
    ax.set_ylabel("MB in memory", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.legend(fontsize=7, frameon=False)
    return figure
