from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from suite.artifacts import Artifacts  # noqa: E402
from suite.contenders import CONTENDERS, OURS, REFERENCE, select  # noqa: E402
from suite.failures import PeerError  # noqa: E402
from suite.paths import PEERS  # noqa: E402
from suite.workers import Launcher  # noqa: E402

PAGE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_every_contender_has_a_runner_and_pins() -> None:
    assert len({contender.key for contender in CONTENDERS}) == len(CONTENDERS)
    assert REFERENCE in CONTENDERS
    for contender in CONTENDERS:
        tree = ast.parse((PEERS / f"{contender.runner}.py").read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert "load" in functions
        if contender.environment != OURS:
            assert (PEERS / f"{contender.environment}.txt").is_file()


def test_versions_are_pinned_and_torch_is_the_same_everywhere() -> None:
    for pins in PEERS.glob("*.txt"):
        lines = [line for line in pins.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
        assert any("==" in line for line in lines)
        assert {line for line in lines if line.startswith("torch")} <= {"torch==2.13.0"}


def test_contenders_are_chosen_by_key_library_or_pattern() -> None:
    assert select([]) == CONTENDERS
    assert [c.key for c in select(["st-fp32"])] == ["st-fp32"]
    assert {c.family for c in select(["glossrank", "flashrank"])} == {"glossrank", "flashrank"}
    assert {c.precision for c in select(["*-int8"])} == {"int8"}
    with pytest.raises(ValueError, match="no contender is called 'nobody'; there are st-fp32"):
        select(["nobody"])


def test_the_page_names_every_contender() -> None:
    assert re.findall(r"^\| `([\w-]+)` \|", PAGE, flags=re.MULTILINE)[: len(CONTENDERS)] == [
        contender.key for contender in CONTENDERS
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nobody"], "no contender is called 'nobody'"),
        (["--workloads", "short,nothing"], "no workload is called 'nothing'"),
        (["--isa", "AVX9"], "--isa must be one of"),
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--report", "nowhere.json"], "nowhere.json: expected a result file"),
        (["--isa", "AVX2", "--without-amx"], "not allowed with argument"),
    ],
)
def test_wrong_options_are_named_without_a_traceback(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "bench.py"), *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_packaged_models_can_be_measured_too(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path, tmp_path, Launcher({}, logs=tmp_path), folder=tmp_path)
    assert artifacts.path("model") == tmp_path
    assert artifacts.path("minilm-l6-base").name == "minilm-l6-base"
    with pytest.raises(PeerError, match="no packaged model is called 'nothing'"):
        artifacts.path("nothing")
