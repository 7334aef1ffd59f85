"""A result as Markdown. Figures are medians; brackets hold the range over the rounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from suite.contenders import REFERENCE, SENTENCE_TRANSFORMERS
from suite.figures import Spread, percentile, settled, spread
from suite.results import Result

_GIGA, _MEGA = 1e9, 1e6
_QUICK = (
    "**A quick run: few pairs, one round. It shows that the harness works; its figures mean "
    "nothing.**"
)


@dataclass(frozen=True)
class Throughput:
    """One contender on one workload.

    Attributes:
        pairs: pairs a second.
        to_default, to_best: times the speed of sentence-transformers' default, and of the
            fastest of its family; None where that was not measured.
        flops: useful operations a second.
        share: of the machine's measured rate at the contender's precision, or None.
    """

    pairs: Spread
    to_default: float | None
    to_best: float | None
    flops: float
    share: float | None


def throughputs(result: Result, key: str) -> dict[str, Throughput]:
    """Of all contenders that finished a round of a workload and have not failed."""
    workload = result["workloads"][key]
    seconds = {
        name: spread(values)
        for name, values in result["seconds"].get(key, {}).items()
        if result["contenders"][name]["failed"] is None
    }
    family = [
        one.median
        for name, one in seconds.items()
        if result["contenders"][name]["family"] == SENTENCE_TRANSFORMERS
    ]
    default = seconds.get(REFERENCE.key)
    rates = result["rates"].get("rates", {})
    found = {}
    for name, one in seconds.items():
        rate = rates.get(result["contenders"][name]["precision"])
        flops = workload["flops"] / one.median
        found[name] = Throughput(
            pairs=Spread(*(workload["pairs"] / s for s in (one.median, one.high, one.low))),
            to_default=None if default is None else default.median / one.median,
            to_best=min(family) / one.median if family else None,
            flops=flops,
            share=None if rate is None else flops / rate["flops"],
        )
    return found


def markdown(result: Result, plots: Sequence[str] = ()) -> str:
    """The whole report.

    Args:
        plots: file names beside the report.
    """
    measured = [key for key in result["workloads"] if result["seconds"].get(key)]
    parts = [
        f"# {result['started'][:10]}, {result['machine']['cpu']}",
        _QUICK if result["quick"] else "",
        "" if result["finished"] else "**The run was stopped before its end.**",
        _machine(result),
        _summary(result, measured),
        _failures(result),
        _agreement(result),
        *(_throughput(result, key) for key in measured),
        _single(result),
        *(_stream(result, key) for key in result["stream"]),
        "\n\n".join(f"![{PurePath(plot).stem}]({plot})" for plot in plots),
        _versions(result),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its first column left, the others right; "" without rows."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    if not lines:
        return ""
    rule = " | ".join([":--", *["--:"] * (len(head) - 1)])
    return "\n".join(f"| {line} |" for line in (" | ".join(head), rule, *lines))


def digits(value: float) -> str:
    """Three significant digits, whole from 100 on."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def _machine(result: Result) -> str:
    machine, rates = result["machine"], result["rates"]
    limit = machine["cgroup_cpus"]
    lines = [
        f"{machine['cpu']} (family/model {machine['family_model']}), "
        f"{machine['usable_cores']} of {machine['cores']} cores"
        f"{f', limited to {limit:g} by its control group' if limit else ''}, "
        f"{machine['memory'] / 2**30:.0f} GiB, {' '.join(machine['l2_l3'])}; "
        f"{' '.join(machine['flags'])}; {machine['system']}, Python {machine['python']}.",
        f"Commit {result['commit']}; model {result['model']['name']} "
        f"({result['model']['layers']} layers, {result['model']['hidden']} wide); load average "
        f"{machine['load_before']:.1f} before the run, {machine.get('load_after', 0):.1f} at its "
        f"end; contenders that waited used at most {result['idle']:.1%} of a core.",
    ]
    isa = result["isa"]
    if isa["name"]:
        switches = ", ".join(f"{k}={v}" for k, v in isa["variables"].items())
        lines.append(
            f"Held to {isa['name']}: {switches}, AMX refused by the kernel. "
            f"Not held: {isa['not_limited']}."
        )
    rows = [
        (kind, digits(best["flops"] / _GIGA), best["by"])
        for kind, best in rates.get("rates", {}).items()
    ]
    if rows:
        lines.append("Best matrix products measured in this run:")
        lines.append(table(("precision", "GFLOP/s", "by"), rows))
        kernels = "; ".join(f"{k}: {v}" for k, v in rates["kernels"].items())
        lines.append(f"Kernels of the last ones: {kernels}.")
    return "\n\n".join(lines)


def _names(result: Result) -> list[tuple[str, dict[str, Any]]]:
    """Contenders that have not failed, in their order."""
    return [(k, e) for k, e in result["contenders"].items() if e["failed"] is None]


def _summary(result: Result, measured: list[str]) -> str:
    by_workload = {key: throughputs(result, key) for key in measured}
    rows = []
    for name, entry in _names(result):
        cells = []
        for key in measured:
            one = by_workload[key].get(name)
            ratio = "" if one is None or one.to_default is None else f" ({one.to_default:.2f}x)"
            cells.append("" if one is None else f"{digits(one.pairs.median)}{ratio}")
        if any(cells):
            rows.append((entry["name"], *cells))
    heads = [result["workloads"][key]["title"] for key in measured]
    found = table(("pairs/s (against sentence-transformers' default)", *heads), rows)
    return f"## Pairs a second\n\n{found}" if found else ""


def _failures(result: Result) -> str:
    lines = []
    for entry in result["contenders"].values():
        if entry["failed"] is not None:
            lines.append(f"- {entry['name']}: {entry['failed']}")
        for key, reason in entry["problems"].items():
            lines.append(f"- {entry['name']}, {key}: {reason}")
    return "\n".join(["## Not measured", "", *lines]) if lines else ""


def _agreement(result: Result) -> str:
    rows = []
    for entry in result["contenders"].values():
        one = entry["agreement"]
        if one is not None:
            state = "FAILED" if entry["failed"] else "exact" if entry["exact"] else "lossy"
            rows.append(
                (
                    entry["name"],
                    state,
                    f"{one['same_set']:.0%}",
                    f"{one['same_order']:.0%}",
                    f"{one['largest']:.1e}",
                    f"{one['mean']:.1e}",
                    f"{one['spearman']:.6f}",
                )
            )
    if not rows:
        return ""
    first = next(e["agreement"] for e in result["contenders"].values() if e["agreement"])
    head = ("", "", "same top 10", "in order", "largest difference", "mean", "Spearman")
    return (
        "## Agreement with sentence-transformers in fp32\n\n"
        f"Logits of {first['pairs']:,} pairs; top 10 of {first['questions']} questions.\n\n"
        + table(head, rows)
    )


def _throughput(result: Result, key: str) -> str:
    workload = result["workloads"][key]
    rows = [
        (
            result["contenders"][name]["name"],
            _range(one.pairs),
            _times(one.to_default),
            _times(one.to_best),
            digits(one.flops / _GIGA),
            "" if one.share is None else f"{one.share:.0%}",
        )
        for name, one in throughputs(result, key).items()
    ]
    mean = workload["tokens"] / workload["pairs"]
    rounds = max(len(values) for values in result["seconds"][key].values())
    counted = f"{rounds} round{'' if rounds == 1 else 's'}"
    head = ("", "pairs/s", "x default", "x its best", "GFLOP/s", "of the measured rate")
    return (
        f"## {workload['title']}\n\n{workload['pairs']:,} pairs of {workload['shortest']} to "
        f"{workload['longest']} tokens, {mean:.0f} on average; {counted}.\n\n" + table(head, rows)
    )


def _range(one: Spread) -> str:
    return f"{digits(one.median)} ({digits(one.low)} to {digits(one.high)})"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _single(result: Result) -> str:
    rows = []
    for name, entry in _names(result):
        calls = result["latency"].get(name)
        starts = result["cold_start"].get(name)
        memory = result["memory"].get(name)
        cells = ["", "", "", "", "", ""]
        if calls:
            cells[:2] = [f"{percentile(calls, share) * 1000:.1f} ms" for share in (0.5, 0.95)]
        if starts:
            one = spread(starts)
            cells[2] = f"{one.median:.2f} s ({one.low:.2f} to {one.high:.2f})"
        if memory:
            cells[3:] = [f"{memory[k] / _MEGA:.0f} MB" for k in ("loaded", "after", "peak")]
        if any(cells):
            rows.append((entry["name"], *cells))
    head = ("", "one pair, p50", "p95", "process start to first score",
            "memory, loaded", "after the first workload", "peak")  # fmt: skip
    found = table(head, rows)
    return f"## Single pairs, start, memory\n\n{found}" if found else ""


def _stream(result: Result, key: str) -> str:
    one = result["stream"][key]
    pairs = sum(rows for rows, _ in one["chunks"])
    seconds = sum(taken for _, taken in one["chunks"])
    rate = result["rates"].get("rates", {}).get(result["contenders"][key]["precision"])
    flops = sum(one["flops"]) / seconds
    share_of_rate = "" if rate is None else f", {flops / rate['flops']:.0%} of the measured rate"
    lines = [
        f"## {pairs:,} pairs from a file: {result['contenders'][key]['name']}",
        f"{seconds:.0f} s, {digits(pairs / seconds)} pairs/s, "
        f"{sum(one['tokens']) / seconds:,.0f} tokens/s, "
        f"{digits(flops / _GIGA)} GFLOP/s{share_of_rate}; {sum(one['tokens']):,} tokens, "
        f"chunks of {one['chunks'][0][0]:,}.",
    ]
    for mixed, kind in ((False, "of about one length"), (True, "of all lengths at once")):
        rows = [row for row, is_mixed in enumerate(one["mixed"]) if is_mixed == mixed]
        if rows:
            rates = spread([one["flops"][row] / one["chunks"][row][1] / _GIGA for row in rows])
            lines.append(f"{len(rows)} chunks {kind}: {_range(rates)} GFLOP/s.")
    if one["rss"]:
        share, flat = settled(one["rss"])
        lines.append(
            f"Memory at most {max(one['rss']) / _MEGA:.0f} MB; after the first tenth of the time "
            f"it moved by {share:.1%} ({'flat' if flat else 'not flat'}: 5 % are allowed)."
        )
    return "\n\n".join(lines)


def _versions(result: Result) -> str:
    rows = [
        (entry["name"], ", ".join(f"{k} {v}" for k, v in entry["versions"].items()))
        for entry in result["contenders"].values()
        if entry["versions"]
    ]
    found = table(("", "versions"), rows).replace("| --: |", "| :-- |")
    return f"## Versions\n\n{found}" if found else ""
