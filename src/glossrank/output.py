"""Writing results so that they appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from glossrank.errors import OutputError


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its name when the block ends well.

    Raises:
        OutputError: ``path`` exists and is not an empty folder, or writing fails (a full
            disk, no permission); then nothing is left behind.
    """
    refuse_existing(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield temporary
        # mkdtemp and safetensors make private files; a model folder is read by others.
        temporary.chmod(0o755)
        for file in temporary.rglob("*"):
            file.chmod(0o755 if file.is_dir() else 0o644)
        if path.is_dir():
            path.rmdir()
        temporary.rename(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def new_file(path: Path) -> Iterator[IO[str]]:
    """A UTF-8 text file that replaces ``path`` when the block ends well.

    Raises:
        OutputError: writing fails; then ``path`` is as it was.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with open(handle, "w", encoding="utf-8", newline="") as file:
            yield file
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def refuse_existing(path: Path) -> None:
    """Raise OutputError if ``path`` is there already, unless it is an empty folder."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise OutputError(
            file=path,
            expected="a folder that does not exist yet",
            found="one that does",
            fix="Choose another output folder, or remove this one yourself.",
        )


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        file=path,
        expected="room and permission to write",
        found=error.strerror or str(error),
        fix="Free some space or choose another place; nothing was left half-written.",
    )
