"""Every error that glossrank raises on purpose.

    GlossrankError
    ├── InputError              a file or text that the user gave is wrong
    │   ├── ClashError          two entries of a glossary have one id
    │   └── PairsError          one or more rows of a labelled-pairs file are wrong
    ├── OutputError             a result cannot be written where it was asked for
    ├── IndexFileError          a saved index is broken, or of another glossary or model
    ├── ModelError
    │   ├── ModelNotFoundError  no such packaged name, folder or hub id
    │   ├── ModelFolderError    the folder is there, but a file in it is missing or broken
    │   └── UnsupportedModelError   a sound model that this engine cannot run
    ├── TrainingInterruptedError    a training run was stopped on request
    ├── ModelRefusedError       the guard found a trained model worse than its base
    └── MissingExtraError       a feature needs an optional dependency

An error takes facts and composes the message: where, what was expected, what was
found, what to do. Programming mistakes (a negative batch size) stay ``ValueError`` and
``TypeError``, as in sentence-transformers.
"""

from __future__ import annotations

from pathlib import Path


class GlossrankError(Exception):
    """Base of all errors above.

    Args:
        expected: what would have been right.
        found: what was there instead.
        fix: what the user can do, a full sentence.
        file: the file concerned, if there is one.
        line: 1-based line number in ``file``.
    """

    def __init__(
        self,
        *,
        expected: str,
        found: str,
        fix: str,
        file: Path | str | None = None,
        line: int | None = None,
    ) -> None:
        self.expected = expected
        # A cell of a broken file can be megabytes long.
        self.found = found if len(found) <= _LONGEST else f"{found[:_LONGEST]} ..."
        self.fix = fix
        # A database's URL is no path, though it stands where a file's does.
        self.file = Path(file) if file is not None and "://" not in str(file) else file
        self.line = line
        super().__init__(self._compose())

    def _compose(self) -> str:
        where = ""
        if self.file is not None:
            where = f"{self.file}:{self.line}: " if self.line is not None else f"{self.file}: "
        return f"{where}expected {self.expected}, found {self.found}. {self.fix}"


class InputError(GlossrankError):
    """A file or text given by the user is not what it should be."""


class ClashError(InputError):
    """Two entries of a glossary have one id."""


class PairsError(InputError):
    """Rows of a labelled-pairs file are wrong; ``problems`` lists every one of them.

    Args:
        file: the pairs file.
        problems: the rows' own errors, in file order, at least one.
    """

    def __init__(self, *, file: Path | str, problems: list[InputError]) -> None:
        self.problems = problems
        first = problems[0]
        super().__init__(
            expected=first.expected, found=first.found, fix=first.fix, file=file, line=first.line
        )

    def _compose(self) -> str:
        lines = [str(problem) for problem in self.problems[:_PROBLEMS_SHOWN]]
        hidden = len(self.problems) - len(lines)
        if hidden:
            lines.append(f"... and {hidden} more; `glossrank pairs describe FILE` lists them all.")
        return "\n".join(lines)


class OutputError(GlossrankError):
    """A result cannot be written; nothing was left half-written."""


class IndexFileError(GlossrankError):
    """A saved index that is broken, or not of this glossary and model."""


class ModelError(GlossrankError):
    """Base of everything that can be wrong with a model."""


class ModelNotFoundError(ModelError):
    """Neither a packaged name, nor a folder, nor a reachable hub id."""


class ModelFolderError(ModelError):
    """A model folder with a missing, corrupt or contradictory file."""


class UnsupportedModelError(ModelError):
    """A sound model that glossrank's engine cannot run."""


class TrainingInterruptedError(GlossrankError):
    """A run was stopped on request; ``resume`` goes on from its last checkpoint."""


class ModelRefusedError(GlossrankError):
    """The guard found that training made the model worse; nothing was saved."""


class MissingExtraError(GlossrankError):
    """A feature whose optional dependencies are not installed.

    Args:
        feature: what the user asked for.
        extra: the extra of the package that brings it.
        missing: the module that could not be imported.
    """

    def __init__(self, *, feature: str, extra: str, missing: str) -> None:
        self.extra = extra
        super().__init__(
            expected=f"the packages of the extra [{extra}], which {feature} needs",
            found=f"no module named {missing!r}",
            fix=f"Install them with: pip install 'glossrank[{extra}]'",
        )


_PROBLEMS_SHOWN = 20
_LONGEST = 600
