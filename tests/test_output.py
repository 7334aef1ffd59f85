from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glossrank.errors import OutputError
from glossrank.output import new_file, new_folder


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*"))


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "deep" / "model") as folder:
        (folder / "a.txt").write_text("a")
        assert not (tmp_path / "deep" / "model").exists()
    assert names(tmp_path) == ["a.txt", "deep", "model"]
    assert (tmp_path / "deep" / "model").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "deep" / "model" / "a.txt").stat().st_mode & 0o777 == 0o644


def test_a_folder_whose_writing_fails_never_appears(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "model") as folder:
        (folder / "a.txt").write_text("a")
        raise RuntimeError
    assert names(tmp_path) == []


def test_an_empty_folder_may_be_filled_and_another_not(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with new_folder(tmp_path / "model") as folder:
        (folder / "a.txt").write_text("a")
    with pytest.raises(OutputError, match="does not exist yet"), new_folder(tmp_path / "model"):
        pass
    assert names(tmp_path) == ["a.txt", "model"]


def test_a_file_is_replaced_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), new_file(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "old"
    with new_file(path) as file:
        file.write("new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["scores.csv"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from glossrank import CrossEncoder, GlossrankError
model = CrossEncoder(sys.argv[1])
# Writing past 20 kB now fails as on a full disk.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    model.save_pretrained(sys.argv[2])
except GlossrankError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_full_disk_leaves_nothing(tiny_model: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tiny_model), str(tmp_path / "saved")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "OutputError" in done.stderr
    assert "nothing was left half-written" in done.stderr
    assert names(tmp_path) == []


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for manager in (new_folder, new_file):
        with pytest.raises(OutputError), manager(tmp_path / "file" / "below"):
            pass
    assert names(tmp_path) == ["file"]
