"""OpenVINO without its telemetry: glossrank opens no connection that nobody asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TELEMETRY = "openvino_telemetry"


@contextmanager
def without_telemetry() -> Iterator[None]:
    """While the block runs, ``openvino_telemetry`` cannot be imported.

    Importing OpenVINO reports the import to a server of its maker, from a thread, and keeps counts
    in the home folder. Where that module is missing it uses a stub of its own. A program that has
    imported it before keeps it.
    """
    known = _TELEMETRY in sys.modules
    if not known:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not known:
            sys.modules.pop(_TELEMETRY, None)
