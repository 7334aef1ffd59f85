"""Writing results so that they appear whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from safetensors import SafetensorError

from glossrank.errors import OutputError


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its name when the block ends well.

    Raises:
        OutputError: ``path`` exists and is not an empty folder, or writing fails (a full
            disk, no permission); then nothing is left behind.
    """
    path = path.resolve()
    refuse_existing(path)
    temporary = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        # safetensors writes private files; a model folder is as public as its folder.
        mode = temporary.stat().st_mode & 0o666
        for file in temporary.rglob("*"):
            if file.is_file():
                file.chmod(mode)
        temporary.rename(path)
    except (OSError, SafetensorError) as error:
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def new_file(path: Path) -> Iterator[IO[str]]:
    """A UTF-8 text file that replaces ``path`` when the block ends well.

    Raises:
        OutputError: writing fails; then ``path`` is as it was.
    """
    with new_path(path) as temporary, temporary.open("x", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def new_path(path: Path) -> Iterator[Path]:
    """A path for a file that replaces ``path`` when the block ends well.

    Raises:
        OutputError: writing fails; then ``path`` is as it was.
    """
    temporary = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def refuse_existing(path: Path) -> None:
    """Raise OutputError if ``path`` is there already, unless it is an empty folder."""
    try:
        empty = path.is_dir() and not any(path.iterdir()) and not path.is_mount()
        taken = path.exists() or path.is_symlink()
    except OSError as error:
        raise cannot_write(path, error) from error
    if taken and not empty:
        raise OutputError(
            file=path,
            expected="a folder that does not exist yet",
            found="one that does",
            fix="Choose another output folder, or remove this one yourself.",
        )


def cannot_write(path: Path, error: Exception) -> OutputError:
    """The error of a write that the system refused."""
    return OutputError(
        file=path,
        expected="room and permission to write",
        found=getattr(error, "strerror", None) or str(error),
        fix="Free some space or choose another place; nothing was left half-written.",
    )


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}")
