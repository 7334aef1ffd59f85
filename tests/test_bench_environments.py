from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from suite.environments import (  # noqa: E402
    MARKER,
    environment_python,
    fingerprint_of,
    last_reason,
    run_logged,
)
from suite.failures import PeerError  # noqa: E402


def test_glossrank_runs_in_the_python_of_the_benchmark(tmp_path: Path) -> None:
    python = environment_python("glossrank", pins_folder=tmp_path, build_folder=tmp_path)
    assert python == Path(sys.executable)


def test_a_complete_environment_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "peer.txt").write_text("peer==1\n")
    folder = tmp_path / "build" / "peer"
    folder.mkdir(parents=True)
    (folder / MARKER).write_text(fingerprint_of(tmp_path / "peer.txt"))
    python = environment_python("peer", pins_folder=tmp_path, build_folder=tmp_path / "build")
    assert python == folder / "bin" / "python"
    assert [file.name for file in folder.iterdir()] == [MARKER]


def test_changed_pins_make_it_anew(tmp_path: Path) -> None:
    pins = tmp_path / "peer.txt"
    pins.write_text("peer==1\n")
    before = fingerprint_of(pins)
    pins.write_text("peer==2\n")
    assert fingerprint_of(pins) != before


def test_a_command_that_fails_gives_the_reason_that_it_printed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "print('ERROR: no such version'); print('a hint'); raise SystemExit(1)"
    with pytest.raises(PeerError, match=r"^ERROR: no such version$"):
        run_logged([sys.executable, "-c", code], log)
    silent = tmp_path / "silent"
    with pytest.raises(PeerError, match=r"^exit status 3$"):
        run_logged([sys.executable, "-c", "raise SystemExit(3)"], silent)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "peer.txt").write_text("peer==1\n")
    (tmp_path / "build").write_text("a file")
    with pytest.raises(PeerError, match=r"build"):
        environment_python("peer", pins_folder=tmp_path, build_folder=tmp_path / "build")


def test_unknown_peers_have_no_pins(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match=r"no pins: .*: nobody\.txt"):
        environment_python("nobody", pins_folder=tmp_path, build_folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ""),
        ("Collecting\nERROR: no version\nmore\nERROR: second\n", "ERROR: no version"),
        ("Traceback\n  File\nValueError: broken\n\n", "ValueError: broken"),
    ],
)
def test_the_reason_is_pips_first_error_or_the_last_line(
    tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "log").write_text(text)
    assert last_reason(tmp_path / "log") == reason
