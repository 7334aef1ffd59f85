"""Models that came out of verdicts: one after the other, none removed, and which one is in use.

``FOLDER/0001``, ``FOLDER/0002`` and so on are model folders; ``FOLDER/used.json`` lists those in use,
the last one answering. Taking a model back shortens the list; the folder stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from glossrank.errors import InputError
from glossrank.output import cannot_write, new_file

_LIST_FILE = "used.json"
_LOCK_FILE = ".lock"


class ModelHistory:
    """Which model answers, and which ones did before.

    Args:
        folder: made when a model is added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def used(self) -> list[str]:
        """Names of the model folders in use, the last one answering; empty where none is.

        Raises:
            InputError: the list cannot be read, or names a folder that is not there.
        """
        file = self.folder / _LIST_FILE
        try:
            names = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise self._broken(f"something else ({error})") from error
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._broken("something else")
        for name in names:
            if Path(name).name != name or not (self.folder / name).is_dir():
                raise self._broken(f"{name!r}, which is not there")
        return names

    @property
    def current(self) -> Path | None:
        """The folder of the model that answers, or None where it is the server's own.

        Raises:
            InputError: see :attr:`used`.
        """
        names = self.used
        return self.folder / names[-1] if names else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other process change which models there are, during the block.

        Raises:
            InputError: another one does.
            OutputError: the folder cannot be written.
        """
        place = self.folder / _LOCK_FILE
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = place.open("w")
        except OSError as error:
            raise cannot_write(place, error) from error
        # Never removed: another process may be about to lock it. Closed, it is free again,
        # and so it is when a process is killed.
        with file:
            if not _lock(file):
                raise InputError(
                    file=self.folder,
                    expected="nobody else who trains or takes back a model in this folder",
                    found="a command that does",
                    fix="Wait until it has ended, or end it.",
                )
            yield

    def take_in(self, folder: Path) -> Path:
        """Give a new model folder the next number and let it answer; where it is then.

        Raises:
            OutputError: it cannot be moved, or the list cannot be written.
            InputError: see :attr:`used`.
        """
        used = self.used
        numbers = [int(p.name) for p in self.folder.glob("[0-9]*") if p.name.isdecimal()]
        place = self.folder / f"{max(numbers, default=0) + 1:04}"
        try:
            folder.rename(place)
        except OSError as error:
            raise cannot_write(place, error) from error
        self._write([*used, place.name])
        return place

    def take_back(self) -> Path | None:
        """Let the model before the current one answer again; its folder, or None for the server's own.

        Raises:
            InputError: no model is in use, or see :attr:`used`.
            OutputError: the list cannot be written.
        """
        names = self.used
        if not names:
            raise InputError(
                file=self.folder,
                expected="a model that came out of verdicts",
                found="none in use",
                fix="There is nothing to take back.",
            )
        self._write(names[:-1])
        return self.current

    def _write(self, names: list[str]) -> None:
        with new_file(self.folder / _LIST_FILE) as file:
            json.dump(names, file)

    def _broken(self, found: str) -> InputError:
        return InputError(
            file=self.folder / _LIST_FILE,
            expected="a list of the model folders beside it",
            found=found,
            fix="Correct it, or remove it to go back to the server's own model.",
        )


def _lock(file: IO[str]) -> bool:
    """Whether nobody else has it; on systems without such locks nobody has."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # Some network file systems have none.
        return True
    return True
