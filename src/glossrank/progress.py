"""A progress bar on stderr, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(
    label: str, *, total: int, done: int = 0, shown: bool = True
) -> Iterator[Callable[..., None]]:
    """Yields a function that is called with how many more are done (1 by default).

    Args:
        done: of a job that goes on where it was stopped.
        shown: False for no bar at all.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(escape(label), total=total, completed=done)

        def advance(count: int = 1) -> None:
            bar.advance(task, count)

        yield advance
