"""What happened, fault by fault."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """
    Attributes:
        fault: what was done to the server.
        found: what it did.
        good: whether that is what it should.
        seconds: since the outcome before.
    """

    fault: str
    found: str
    good: bool
    seconds: float


class Outcomes:
    """All of them, each printed when it is known."""

    def __init__(self) -> None:
        self.all: list[Outcome] = []
        self._since = time.monotonic()

    def add(self, fault: str, found: str, good: bool) -> None:
        now = time.monotonic()
        # Folders of this run are of no interest.
        found = re.sub(rf"{tempfile.gettempdir()}/glossrank-faults-[^/]*", "DATA", found).strip()
        outcome = Outcome(fault, found, good, round(now - self._since, 1))
        self._since = now
        self.all.append(outcome)
        mark = "good" if good else "BAD "
        print(f"{mark} {outcome.seconds:7.1f} s  {fault}: {found}", file=sys.stderr, flush=True)

    def table(self) -> str:
        """In Markdown."""
        lines = ["| | fault | what happened |", "|:--|:--|:--|"]
        for one in self.all:
            found = one.found.replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {'good' if one.good else '**bad**'} | {one.fault} | {found} |")
        return "\n".join(lines)
