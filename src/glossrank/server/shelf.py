"""The glossaries of a server: those it was started with, and those that were uploaded."""

from __future__ import annotations

import io
import re
import tempfile
import threading
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from glossrank.errors import InputError
from glossrank.glossary import Glossary, TermsRead, read_terms
from glossrank.lint import Finding, glossary_of, lint
from glossrank.output import cannot_write, new_path
from glossrank.search import Searcher
from glossrank.server.queue import refuse_given_up
from glossrank.server.serving import Served
from glossrank.template import DEFAULT_TEMPLATE

FORMATS = ("csv", "tsv", "jsonl", "json", "yaml", "xlsx")
NAME_PATTERN = r"[a-z0-9][a-z0-9-]{0,63}"
"""What a glossary may be called: a name is part of a path and of a file's name."""


MOST_YAML = 1_000_000
"""Bytes of a YAML file: it is read a hundred times slower than the others."""
MOST_UNPACKED = 20_000_000
"""Bytes of XML in a workbook; packed they can be a thousand times smaller."""


@dataclass(frozen=True)
class Loaded:
    """A glossary ready to be asked.

    Attributes:
        searcher: of the contents at one moment; a change makes another.
        model: the name of what answers.
        fixed: whether the server was started with it, so that it cannot be replaced.
    """

    name: str
    searcher: Searcher
    model: str
    fixed: bool


class Shelf:
    """Safe to use from several threads; a glossary is replaced in one step.

    Args:
        served: what the searchers ask.
        folder: where uploads are kept, and found at the next start.
        most_terms: of an upload.
        most_glossaries: in all.
    """

    def __init__(
        self, served: Served, folder: Path, *, most_terms: int, most_glossaries: int
    ) -> None:
        self._most_terms = most_terms
        self._most_glossaries = most_glossaries
        self._served = served
        self._folder = folder
        self._loaded: dict[str, Loaded] = {}
        self._writing = threading.Lock()

    def open(self, sources: dict[str, str | None]) -> None:
        """Load the server's own glossaries and what was uploaded before.

        Raises:
            GlossrankError: a source cannot be read.
        """
        for name, source in sources.items():
            check_name(name)
            self._loaded[name] = self._ready(name, Glossary.load(source), self._served, fixed=True)
        for file in sorted(self._folder.glob("*")):
            name = file.stem
            if file.suffix[1:] in FORMATS and name not in self._loaded:
                self._loaded[name] = self._ready(
                    name, Glossary.load(file), self._served, fixed=False
                )

    def use(self, served: Served) -> None:
        """Let another model answer from now on, for all glossaries in one step."""
        with self._writing:
            self._loaded = {
                name: self._ready(name, loaded.searcher.glossary, served, fixed=loaded.fixed)
                for name, loaded in self._loaded.items()
            }
            self._served = served

    @property
    def names(self) -> list[str]:
        """All of them, the server's own first."""
        return list(self._loaded)

    def get(self, name: str) -> Loaded | None:
        return self._loaded.get(name)

    def put(self, name: str, content: bytes, kind: str) -> Loaded:
        """Keep an uploaded glossary, in place of one of that name.

        Args:
            kind: one of :data:`FORMATS`.

        Raises:
            InputError: a bad name, a fixed glossary, or contents that are no glossary: then what
                was there stays.
            OutputError: it cannot be written.
        """
        check_name(name)
        read = read_content(content, kind, most_terms=self._most_terms)
        if read.problems:
            raise read.problems[0]
        glossary = Glossary(name, read.terms, notes=read.notes)
        with self._writing:
            self._check_room(name)
            loaded = self._ready(name, glossary, self._served, fixed=False)
            # Who sent it has been told by now that it was not kept.
            refuse_given_up()
            file = self._folder / f"{name}.{kind}"
            with new_path(file) as temporary:
                temporary.write_bytes(content)
            self._unlink(name, but=kind)
            self._loaded = {**self._loaded, name: loaded}
        return loaded

    def remove(self, name: str) -> None:
        """Take an uploaded glossary away.

        Raises:
            OutputError: its file cannot be removed.
        """
        with self._writing:
            self._unlink(name)
            self._loaded = {key: kept for key, kept in self._loaded.items() if key != name}

    def _check_room(self, name: str) -> None:
        known = self._loaded.get(name)
        if known is not None and known.fixed:
            raise InputError(
                expected="the name of an uploaded glossary, or a new one",
                found=f"{name!r}, with which the server was started",
                fix="Give another name.",
            )
        if known is None and len(self._loaded) >= self._most_glossaries:
            raise InputError(
                expected=f"at most {self._most_glossaries} glossaries",
                found="one more",
                fix="Replace or remove one.",
            )

    def _unlink(self, name: str, *, but: str = "") -> None:
        file = self._folder / name
        try:
            for kind in FORMATS:
                if kind != but:
                    file.with_suffix(f".{kind}").unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(file, error) from error

    def lint(
        self, content: bytes, kind: str, *, with_model: bool
    ) -> tuple[TermsRead, list[Finding]]:
        """What is wrong with a glossary that is not kept.

        Raises:
            InputError: the contents as a whole cannot be read.
        """
        read = read_content(content, kind, most_terms=self._most_terms)
        glossary = glossary_of(read, template=DEFAULT_TEMPLATE)
        searcher = Searcher(glossary, self._served.alone) if with_model and glossary else None
        return read, lint(read, searcher)

    def _ready(self, name: str, glossary: Glossary, served: Served, *, fixed: bool) -> Loaded:
        named = Glossary(name, glossary.terms, glossary.template, glossary.notes)
        searcher = Searcher(named, served.alone)
        searcher.prepare()
        return Loaded(name, searcher, served.name, fixed)


def uploaded(folder: Path, name: str) -> Path | None:
    """The file that a glossary was uploaded as, if it was."""
    check_name(name)
    files = (folder / f"{name}.{kind}" for kind in FORMATS)
    return next((file for file in files if file.is_file()), None)


def check_name(name: str) -> None:
    """
    Raises:
        InputError: it cannot be a glossary's.
    """
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise InputError(
            expected="a name of up to 64 small letters, digits and hyphens",
            found=repr(name)[:80],
            fix="Give another one.",
        )


def read_content(content: bytes, kind: str, *, most_terms: int) -> TermsRead:
    """The terms of an uploaded file.

    Raises:
        InputError: it cannot be read, or is too large to be read in a server.
        OutputError: there is no room for a temporary file.
    """
    size = _unpacked(content) if kind == "xlsx" else len(content)
    most = {"xlsx": MOST_UNPACKED, "yaml": MOST_YAML}.get(kind, size)
    if size > most:
        raise InputError(
            file=f"upload.{kind}",
            expected=f"at most {most:,} bytes{' of XML' if kind == 'xlsx' else ''}",
            found=f"{size:,}",
            fix="Keep only the terms, or save it as CSV.",
        )
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"upload.{kind}"
            file.write_bytes(content)
            read = read_terms(file, most=most_terms)
    except InputError as error:
        raise _elsewhere(error, file) from error
    except OSError as error:
        raise cannot_write(Path(f"upload.{kind}"), error) from error
    return replace(read, problems=tuple(_elsewhere(error, file) for error in read.problems))


def _unpacked(content: bytes) -> int:
    """Bytes that a ZIP file says it has; zipfile reads no more than that. 0 where it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        # What is wrong with it, its reader says.
        return 0


def _elsewhere(error: InputError, file: Path) -> InputError:
    """The same without the name of the server's folder, which is nobody's business."""
    return InputError(
        file=file.name,
        line=error.line,
        expected=error.expected,
        found=error.found.replace(str(file), file.name),
        fix=error.fix,
    )
