"""Arguments of :class:`glossrank.CrossEncoder`'s calls, as sentence-transformers' callers give them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np

Pair: TypeAlias = Sequence[str]
P = ParamSpec("P")
R = TypeVar("R")


def renamed(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Also accept the older names of keyword arguments, as sentence-transformers does."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            for old, new in names.items():
                if old in kwargs:
                    value = kwargs.pop(old)
                    kwargs.setdefault(new, value)
            return function(*args, **kwargs)

        return wrapper

    return decorate


def file_name_of(model_kwargs: dict[str, Any] | None) -> str | None:
    """The one key of sentence-transformers' ``model_kwargs`` that means something here."""
    others = {key: value for key, value in (model_kwargs or {}).items() if key != "file_name"}
    if others:
        raise ValueError(f"model_kwargs must be empty but for 'file_name', got {others!r}.")
    name = (model_kwargs or {}).get("file_name")
    return None if name is None else str(name)


def refuse_options(**options: dict[str, Any] | None) -> None:
    """Options that could only contradict what the model folder says.

    Raises:
        ValueError: one of them is not empty.
    """
    for name, value in options.items():
        if value:
            raise ValueError(
                f"{name} must be empty: glossrank reads everything from the model folder, got {value!r}."
            )


def as_pairs(inputs: Any) -> tuple[list[tuple[str, str]], bool]:
    """Pairs as tuples, and whether the caller gave a single pair.

    Raises:
        TypeError: not pairs, or a text that is not a string.
        ValueError: a pair of other than two.
    """
    if inputs is None:
        raise TypeError("predict() needs pairs of texts.")
    rows = inputs.tolist() if isinstance(inputs, np.ndarray) else list(inputs)
    if isinstance(inputs, str):
        raise TypeError(f"expected pairs of texts, got one string: {inputs[:60]!r}.")
    single = bool(rows) and isinstance(rows[0], str)
    return [_as_pair(row) for row in ([rows] if single else rows)], single


def _as_pair(row: Any) -> tuple[str, str]:
    pair = tuple(row) if isinstance(row, list | tuple) else ()
    if len(pair) != 2:
        raise ValueError(f"expected a pair of two texts, got {row!r}.")
    if not (isinstance(pair[0], str) and isinstance(pair[1], str)):
        kinds = ", ".join(type(text).__name__ for text in pair)
        raise TypeError(f"expected a pair of strings, got ({kinds}).")
    return pair[0], pair[1]
