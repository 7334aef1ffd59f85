from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from suite.artifacts import Artifacts  # noqa: E402
from suite.contenders import Contender  # noqa: E402
from suite.failures import PeerError  # noqa: E402
from suite.measure import Measurement  # noqa: E402
from suite.results import Result  # noqa: E402
from suite.stream_file import StreamFile  # noqa: E402
from suite.workers import Launcher  # noqa: E402
from suite.workloads import Workload  # noqa: E402


class TestLauncher(Launcher):
    """Starts the runners of the tests instead of the peers'."""

    __test__ = False

    def variables(self, environment: str) -> dict[str, str]:
        return super().variables(environment) | {"PYTHONPATH": str(ROOT / "tests")}


def contender(key: str, *, exact: bool = True, **options: Any) -> Contender:
    environment = "nowhere" if options.pop("missing", False) else "glossrank"
    return Contender(
        key=key,
        name=key,
        family=key,
        environment=environment,
        runner="bench_runners",
        model="model",
        precision="fp32",
        exact=exact,
        options=options,
        streams=True,
    )


REFERENCE = contender("reference")


def workload(folder: Path, key: str, documents: int, rounds: int = 2) -> Workload:
    groups = [("q", ["d" * (1 + n) for n in range(documents)])]
    file = folder / f"{key}.json"
    file.write_text(json.dumps(groups))
    return Workload(key, key, rounds, groups, file, np.full(documents, 9, dtype=np.int32))


@pytest.fixture
def measure(tmp_path: Path) -> Callable[..., Result]:
    """Measures contenders beside the reference and gives the result."""

    def run(
        *contenders: Contender,
        keys: tuple[str, ...] = ("short", "one", "latency"),
        reference: Contender = REFERENCE,
    ) -> Result:
        sizes = {"short": 12, "one": 13, "latency": 1, "check": 14}
        workloads = {key: workload(tmp_path, key, size) for key, size in sizes.items()}
        result: Result = {
            name: {}
            for name in ("contenders", "seconds", "latency", "cold_start", "memory", "stream")
        }
        result["idle"] = 0.0
        launcher = TestLauncher({}, logs=tmp_path / "logs")
        measurement = Measurement(
            (REFERENCE, *contenders),
            workloads,
            launcher=launcher,
            artifacts=Artifacts(tmp_path, tmp_path, launcher, folder=tmp_path / "models"),
            result=result,
            save=lambda: None,
            scratch=tmp_path / "scratch",
            reference=reference,
        )
        try:
            measurement.prepare()
            measurement.rounds(list(keys), None)
        finally:
            measurement.close()
        return result

    return run


def test_everyone_is_measured_in_every_round(measure: Callable[..., Result]) -> None:
    result = measure(contender("lossy", exact=False, off=0.5), keys=("short", "one", "memory"))
    for key in ("short", "one"):
        assert {name: len(s) for name, s in result["seconds"][key].items()} == {
            "reference": 2,
            "lossy": 2,
        }
    agreement = result["contenders"]["lossy"]["agreement"]
    assert (agreement["largest"], agreement["same_order"]) == (0.5, 1)
    assert result["memory"]["lossy"]["peak"] >= result["memory"]["lossy"]["loaded"]
    assert all(entry["failed"] is None for entry in result["contenders"].values())


def test_failing_contenders_do_not_lose_the_run(measure: Callable[..., Result]) -> None:
    result = measure(
        contender("not-installed", missing=True),
        contender("no-weights", load="no weights"),
        contender("inexact", off=0.01),
        contender("inexact-later", off_later=0.01),
        contender("dies", dies_at=13),
    )
    failed = {name: entry["failed"] for name, entry in result["contenders"].items()}
    assert failed["reference"] is None
    assert "install: no pins" in failed["not-installed"]
    assert failed["no-weights"] == "load: OSError: no weights"
    claim = "FAILED: claims fp32's logits, differs by up to 0.01 from the reference"
    assert failed["inexact"] == claim
    assert failed["inexact-later"] == f"{claim} (short)"
    # Of one workload only; it is started again for the next ones.
    assert failed["dies"] is None
    assert list(result["contenders"]["dies"]["problems"]) == ["one"]
    assert "exit status 3" in result["contenders"]["dies"]["problems"]["one"]
    assert set(result["seconds"]["short"]) == {"reference", "dies"}
    assert set(result["seconds"]["one"]) == {"reference"}
    assert {name: len(calls) for name, calls in result["latency"].items()} == {
        "reference": 2,
        "dies": 2,
    }


def test_a_reference_that_was_not_asked_for_is_compared_with_only(
    measure: Callable[..., Result],
) -> None:
    result = measure(reference=contender("other", off=0.25, exact=False), keys=("short",))
    assert list(result["contenders"]) == ["reference"]
    assert "differs by up to 0.25" in result["contenders"]["reference"]["failed"]


def test_without_the_reference_nothing_is_measured(measure: Callable[..., Result]) -> None:
    with pytest.raises(PeerError, match="no weights"):
        measure(reference=contender("reference", load="no weights"))


def test_start_and_stream_take_new_processes(tmp_path: Path) -> None:
    from suite.fresh import Fresh
    from tests.test_bench_workloads import write_small_stream

    launcher = TestLauncher({}, logs=tmp_path / "logs")
    artifacts = Artifacts(tmp_path, tmp_path, launcher, folder=tmp_path / "models")
    fresh = Fresh(REFERENCE, launcher, artifacts, tmp_path)
    assert fresh.cold_start() > 0
    file: StreamFile = write_small_stream(tmp_path)
    found = fresh.stream(file, np.full(len(file.tokens), 2.0))
    assert [rows for rows, _ in found["chunks"]] == [file.chunk] * len(found["mixed"])
    assert sum(found["tokens"]) == file.tokens.sum()
    assert found["flops"] == [2.0 * file.chunk] * len(found["mixed"])
