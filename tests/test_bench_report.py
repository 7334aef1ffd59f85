from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from suite import plots, report, results  # noqa: E402

AGREEMENT = {
    "pairs": 60,
    "questions": 3,
    "same_set": 1.0,
    "same_order": 0.667,
    "largest": 0.0123,
    "mean": 0.001,
    "spearman": 0.99987,
}


def contender(name: str, family: str, precision: str = "fp32", **changes: Any) -> dict[str, Any]:
    entry = {
        "name": name,
        "family": family,
        "precision": precision,
        "exact": precision == "fp32",
        "versions": {family: "1.2"},
        "agreement": AGREEMENT,
        "failed": None,
        "problems": {},
    }
    return entry | changes


RESULT: results.Result = {
    "schema": results.SCHEMA,
    "started": "2026-01-02 03:04 UTC",
    "finished": "2026-01-02 05:04 UTC",
    "commit": "abc+",
    "quick": False,
    "arguments": [],
    "isa": {"name": None, "variables": {}, "not_limited": "MLAS"},
    "machine": {
        "cpu": "A CPU",
        "family_model": "6/1",
        "cores": 4,
        "usable_cores": 2,
        "cgroup_cpus": 1.5,
        "cgroup_memory": None,
        "memory": 2**34,
        "flags": ["avx2"],
        "l2_l3": ["L2 1024K"],
        "system": "Linux 6",
        "python": "3.12.1",
        "load_before": 0.1,
        "load_after": 2.0,
    },
    "rates": {
        "rates": {
            "fp32": {"flops": 100e9, "by": "torch, 8 x 8 x 8", "tried": []},
            "bf16": {"flops": 400e9, "by": "OpenVINO, 8 x 8 x 8", "tried": []},
        },
        "kernels": {"OpenVINO fp32": "brgemm_avx2_f32"},
    },
    "model": {"name": "m", "sha256": "0", "layers": 6, "hidden": 384, "intermediate": 1536},
    "workloads": {
        "short": {
            "title": "12 questions x 100",
            "rounds": 3,
            "pairs": 1000,
            "tokens": 40_000,
            "shortest": 20,
            "longest": 60,
            "flops": 200e9,
        },
        "mixed": {
            "title": "mixed pairs",
            "rounds": 1,
            "pairs": 100,
            "tokens": 12_000,
            "shortest": 20,
            "longest": 440,
            "flops": 60e9,
        },
    },
    "contenders": {
        "st-fp32": contender("their default", "sentence-transformers"),
        "st-bf16": contender("their bf16", "sentence-transformers", "bf16"),
        "other": contender("other | peer", "other", failed="install: no such version"),
        "glossrank-bf16": contender("ours", "glossrank", "bf16", problems={"long": "it died"}),
    },
    "seconds": {
        "short": {
            "st-fp32": [5.0, 4.0, 4.5],
            "st-bf16": [2.0, 2.5, 2.25],
            "other": [0.1],
            "glossrank-bf16": [1.0, 1.25, 1.0],
        },
        "mixed": {"st-fp32": [3.0], "glossrank-bf16": [0.5]},
    },
    "latency": {"glossrank-bf16": [0.001 * n for n in range(1, 101)]},
    "cold_start": {"glossrank-bf16": [0.5, 0.7, 0.6]},
    "memory": {"glossrank-bf16": {"loaded": 1e8, "after": 2e8, "peak": 3e8}},
    "stream": {
        "glossrank-bf16": {
            "chunks": [[10, 1.0], [10, 3.0]],
            "tokens": [200, 600],
            "flops": [1e9, 3e9],
            "mixed": [False, True],
            "rss": [1e8, 2e8, 2e8],
        }
    },
    "idle": 0.004,
}


def cells(text: str, name: str, heading: str) -> list[str]:
    """The cells of a contender's row under a heading."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    row = next(line for line in section.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def test_throughput_ratios_and_shares() -> None:
    found = report.throughputs(RESULT, "short")
    ours = found["glossrank-bf16"]
    assert ours.pairs.median == 1000
    assert (ours.pairs.low, ours.pairs.high) == (800, 1000)
    assert ours.to_default == 4.5
    assert ours.to_best == 2.25
    assert ours.flops == 200e9
    assert ours.share == 0.5
    assert found["st-fp32"].share == pytest.approx(200 / 4.5 / 100)


def test_the_report_shows_figures_and_reasons() -> None:
    text = report.markdown(RESULT, ["a-speed.svg"])
    row = cells(text, "ours", "12 questions x 100")
    assert row == ["ours", "1000 (800 to 1000)", "4.50", "2.25", "200", "50%"]
    row = cells(text, "ours", "Single pairs, start, memory")
    assert row[1:4] == ["50.0 ms", "95.0 ms", "0.60 s (0.50 to 0.70)"]
    assert row[4:] == ["100 MB", "200 MB", "300 MB"]
    row = cells(text, "their bf16", "Agreement with sentence-transformers in fp32")
    assert row == ["their bf16", "lossy", "100%", "67%", "1.2e-02", "1.0e-03", "0.999870"]
    assert "20 pairs from a file: ours" in text
    assert (
        "4 s, 5.00 pairs/s, 200 tokens/s, 1.00 GFLOP/s, 0% of the measured rate; 800 tokens" in text
    )
    assert "1 chunks of all lengths at once: 1.00 (1.00 to 1.00) GFLOP/s." in text
    assert "it moved by 0.0% (flat" in text
    assert "![a-speed](a-speed.svg)" in text
    assert "limited to 1.5 by its control group" in text
    assert "their default: " not in text
    assert "stopped" not in text


def test_a_failed_contender_has_a_reason_and_no_figure() -> None:
    text = report.markdown(RESULT)
    assert "- other | peer: install: no such version\n" in text
    assert "- ours, long: it died\n" in text
    assert "other" not in report.throughputs(RESULT, "short")
    agreement = text.split("## Agreement")[1].split("\n## ")[0]
    assert "| other \\| peer | FAILED |" in agreement
    speed = text.split("## 12 questions x 100\n")[1].split("\n## ")[0]
    assert "other" not in speed


def test_a_run_without_the_default_has_no_ratios() -> None:
    result = copy.deepcopy(RESULT)
    for key in ("st-fp32", "st-bf16"):
        del result["contenders"][key]
        for seconds in result["seconds"].values():
            seconds.pop(key, None)
    ours = report.throughputs(result, "short")["glossrank-bf16"]
    assert ours.to_default is None
    assert ours.to_best is None
    assert "| ours | 1000 |" in report.markdown(result)


def test_a_run_that_was_stopped_early_can_be_shown() -> None:
    result = copy.deepcopy(RESULT)
    result |= {"finished": None, "quick": True, "rates": {}, "seconds": {}, "stream": {}}
    result |= {"latency": {}, "cold_start": {}, "memory": {}}
    text = report.markdown(result)
    assert "stopped before its end" in text
    assert "figures mean nothing" in text
    assert "## Pairs a second" not in text
    assert "Best matrix products" not in text


def test_the_instruction_set_switch_is_said() -> None:
    result = copy.deepcopy(RESULT)
    result["isa"] |= {"name": "AVX2", "variables": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}
    assert "Held to AVX2: ONEDNN_MAX_CPU_ISA=AVX2" in report.markdown(result)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234.5, "1234"), (99.96, "100.0"), (12.34, "12.3"), (1.234, "1.23"), (0.0123, "0.0123"), (0, "0")],
)  # fmt: skip
def test_three_digits(value: float, shown: str) -> None:
    assert report.digits(value) == shown


def test_the_plots_are_drawn(tmp_path: Path) -> None:
    drawn = plots.draw(RESULT, tmp_path / "run.json")
    names = [file.name for file in drawn]
    assert names == ["run-speed.svg", "run-tokens.svg", "run-memory.svg"]
    for file in drawn:
        assert file.read_text(encoding="utf-8").rstrip().endswith("</svg>")


def test_nothing_measured_draws_nothing(tmp_path: Path) -> None:
    assert plots.draw(RESULT | {"seconds": {}, "stream": {}}, tmp_path / "run.json") == []


def test_results_are_written_whole_and_read_again(tmp_path: Path) -> None:
    file = results.unused(tmp_path, "day-machine")
    results.write(RESULT, file)
    assert results.read(file) == RESULT
    assert results.unused(tmp_path, "day-machine").name == "day-machine-2.json"


@pytest.mark.parametrize("content", ["", "[]", json.dumps({"schema": 0}), "\xff"])
def test_other_files_are_no_results(tmp_path: Path, content: str) -> None:
    file = tmp_path / "other.json"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(results.ResultError, match=r"other\.json: expected a result file"):
        results.read(file)
