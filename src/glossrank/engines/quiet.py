"""OpenVINO without its telemetry: glossrank opens no connection that nobody asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TELEMETRY = "openvino_telemetry"
_CONVERTER = "openvino.tools.ovc"
_CONVERT = "convert_model"


@contextmanager
def without_telemetry() -> Iterator[None]:
    """While the block runs, ``openvino_telemetry`` and ``openvino.tools.ovc`` cannot be imported.

    Importing OpenVINO imports its converter of other libraries' models, which takes some 50 ms, and that reports the import to a server of its maker, from a thread, and keeps
    counts in the home folder. OpenVINO does without either where they are missing. Here
    ``openvino.convert_model`` is imported when somebody asks for it. A program that has imported
    them before keeps them.
    """
    absent = [name for name in (_TELEMETRY, _CONVERTER) if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)
        _convert_when_asked()


def _convert_when_asked() -> None:
    openvino = sys.modules.get("openvino")
    if openvino is not None and not {_CONVERT, "__getattr__"} & vars(openvino).keys():
        openvino.__getattr__ = _converter  # type: ignore[method-assign]


def _converter(name: str) -> object:
    """A module's ``__getattr__``, see PEP 562."""
    if name != _CONVERT:
        raise AttributeError(f"module 'openvino' has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_CONVERTER), name)
    return found
