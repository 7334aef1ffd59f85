"""Thousands of questions to a file of answers, a line each, that survives being killed.

Every line says which job it belongs to (a hash of glossary, model and options), which question it
answers and at what place. So a run that is started again reads what is there, drops a last line
that was cut off, and goes on with the next question: no line is lost, none written twice, and
the file is the same to the byte as that of a run that was never stopped.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO

from glossrank.answers import Answers
from glossrank.errors import OutputError
from glossrank.first_stage import RESCORED
from glossrank.glossary import DEFAULT_TOP_K
from glossrank.output import cannot_write
from glossrank.progress import progress
from glossrank.search import Searcher
from glossrank.tables import require_text

_SYNC_EVERY = 50
"""Lines after which the disk is told to keep them: a power cut loses no more."""
_JOB_LENGTH = 16


def search_to_file(
    searcher: Searcher,
    questions: Sequence[str],
    output: Path,
    *,
    top_k: int = DEFAULT_TOP_K,
    as_typed: bool = False,
    show_progress_bar: bool = False,
) -> int:
    """Answer every question that ``output`` does not answer yet.

    Args:
        output: JSONL, a line a question in their order: ``number`` (from 1), ``job``,
            ``question`` and the fields of :meth:`glossrank.search.Answers.to_dict`.

    Returns:
        How many questions were answered now.

    Raises:
        InputError: a question is empty; before any is answered.
        OutputError: the file holds something else, another process writes it, or the disk is
            full; what was written stays, and the next run goes on from there.
    """
    for number, question in enumerate(questions, start=1):
        require_text(question, name=f"question {number}")
    job = job_of(searcher, top_k=top_k, as_typed=as_typed)
    try:
        with _locked(output) as file:
            done = _take_up(file, output, questions, job)
            rest = questions[done:]
            answers = searcher.search_many(rest, top_k, as_typed=as_typed)
            bar = progress("questions", total=len(questions), done=done, shown=show_progress_bar)
            with bar as advance:
                for number, answer in enumerate(answers, start=done + 1):
                    _write(file, line_of(number, job, questions[number - 1], answer))
                    if number % _SYNC_EVERY == 0:
                        os.fsync(file.fileno())
                    advance()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(output, error) from error
    return len(rest)


def _write(file: IO[bytes], line: bytes) -> None:
    """Unbuffered, so that what is killed between two lines loses none."""
    while line:
        written = file.write(line)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        # A disk that is nearly full takes a part.
        line = line[written:]


def job_of(searcher: Searcher, *, top_k: int, as_typed: bool) -> str:
    """16 hexadecimal digits: the same for the same contents, model and options."""
    model, first = searcher.model, searcher.first_stage
    content = [
        # Words, vectors and rules of another version may give other answers.
        version("glossrank"),
        searcher.glossary.fingerprint,
        model.fingerprint,
        model.precision,
        model.max_seq_length,
        searcher.shortlist_size,
        searcher.shortlist_tokens,
        None if first is None else (first.model.fingerprint, RESCORED),
        top_k,
        as_typed,
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:_JOB_LENGTH]


def line_of(number: int, job: str, question: str, answers: Answers) -> bytes:
    """One line of the file, its end included."""
    record = {"number": number, "job": job, "question": question, **answers.to_dict()}
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise OutputError(
            file=path,
            expected="a file",
            found="a folder" if path.is_dir() else "a device or a pipe",
            fix="Give the name of a file, or - for stdout.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file:
        try:
            # Not on every system; where it is not, two runs at once are not noticed.
            import fcntl
        except ImportError:
            pass
        else:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputError(
                    file=path,
                    expected="a file that no other run writes",
                    found="one that is being written",
                    fix="Wait for the other run, or choose another output.",
                ) from error
            except OSError:
                # A file system without locks.
                pass
        yield file


def _take_up(file: IO[bytes], path: Path, questions: Sequence[str], job: str) -> int:
    """How many questions the file answers; a line that was cut off is removed."""
    file.seek(0)
    whole = 0
    done = 0
    with open(file.fileno(), "rb", closefd=False) as reader:
        for line in reader:
            if not line.endswith(b"\n"):
                _check_cut(line, path, job, number=done + 1)
                break
            _check(line, path, questions, job, number=done + 1)
            whole += len(line)
            done += 1
    file.truncate(whole)
    file.seek(0, os.SEEK_END)
    return done


def _check_cut(line: bytes, path: Path, job: str, *, number: int) -> None:
    """A last line without an end may be thrown away only if this job began to write it."""
    begin = json.dumps({"number": number, "job": job}).encode()[:-1]
    if not (line.startswith(begin) or begin.startswith(line)):
        raise _foreign(path, number, "something else")


def _check(line: bytes, path: Path, questions: Sequence[str], job: str, *, number: int) -> None:
    try:
        record = json.loads(line)
        found = (record["number"], record["job"], record["question"])
    except (ValueError, KeyError, TypeError):
        raise _foreign(path, number, "something else") from None
    if number > len(questions):
        raise _foreign(path, number, f"an answer too many ({len(questions)} questions)")
    if found[1] != job:
        raise _foreign(path, number, "an answer of another glossary, model or option")
    if found != (number, job, questions[number - 1]):
        raise _foreign(path, number, f"an answer to {str(found[2])[:80]!r}")


def _foreign(path: Path, line: int, found: str) -> OutputError:
    return OutputError(
        file=path,
        line=line,
        expected="a new file, or one that this very job began",
        found=found,
        fix="Choose another output, or remove the file.",
    )
