"""Runners for the tests of the benchmark's processes, loaded by ``benchmarks/peers/start.py``.

A score is minus the length of the document; ``options`` say what goes wrong.
"""

from __future__ import annotations

import os
import time
from typing import Any

PACKAGES = ("numpy", "no-such-package")


def load(model: str, options: dict[str, Any]) -> Any:  # noqa: ARG001
    os.write(1, b"libraries print\n")
    if "load" in options:
        raise OSError(options["load"])
    calls = 0

    def score(groups: list[tuple[str, list[str]]]) -> list[float]:
        nonlocal calls
        calls += 1
        documents = [document for _, documents in groups for document in documents]
        if len(documents) == options.get("dies_at"):
            os.write(1, b"out of something\n")
            os._exit(3)
        if len(documents) == options.get("raises_at"):
            raise ValueError("no such shape\nand more")
        if "sleep" in options:
            time.sleep(options["sleep"])
        off = options.get("off", 0.0)
        late = options.get("off_later", 0.0) if calls > 1 else 0.0
        return [off + late - len(document) for document in documents]

    return score
