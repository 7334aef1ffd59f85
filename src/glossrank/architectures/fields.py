"""Values of a ``config.json``, each checked as it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from glossrank.errors import ModelFolderError, UnsupportedModelError


class Most(IntEnum):
    """Far above any model that is sensible here; a broken number must not fill the memory."""

    LAYERS = 200
    HIDDEN = 20_000
    HEADS = 1_000
    INTERMEDIATE = 100_000
    VOCABULARY = 5_000_000
    POSITIONS = 1_000_000
    TOKEN_TYPES = 1_000


HIDDEN_ACTS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish")
"""Activations inside the network that the graphs have, by transformers' names."""


def broken_file(file: Path, expected: str, found: str) -> ModelFolderError:
    """The error for a file of a model folder that cannot be what was saved."""
    return ModelFolderError(
        file=file,
        expected=expected,
        found=found,
        fix="Copy the file again from where the model came from.",
    )


class ConfigFields:
    """The object of one ``config.json``.

    Every method takes the key as it stands in the file. A value of a wrong type or out of
    range raises :class:`ModelFolderError`; a sound value that no graph has raises
    :class:`UnsupportedModelError`. A key without a ``default`` must be there.
    """

    def __init__(self, file: Path, raw: Mapping[str, Any]) -> None:
        self.file = file
        self.raw = raw

    def whole(self, key: str, most: int, *, least: int = 1, default: int | None = None) -> int:
        """A whole number from ``least`` to ``most``."""
        value = self.raw.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.broken(f"a whole number from {least} to {most} under {key!r}", value)
        return value

    def epsilon(self, key: str, *, default: float) -> float:
        """What a layer norm adds to the variance, between 0 and 1."""
        value = self.raw.get(key, default)
        if not isinstance(value, float) or not 0 < value < 1:
            raise self.broken(f"a number between 0 and 1 under {key!r}", value)
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """true or false."""
        value = self.raw.get(key, default)
        if not isinstance(value, bool):
            raise self.broken(f"true or false under {key!r}", value)
        return value

    def hidden_act(self, key: str, *, default: str) -> str:
        """One of :data:`HIDDEN_ACTS`."""
        return self.choice(key, HIDDEN_ACTS, default=default)

    def choice(self, key: str, known: Sequence[str], *, default: str) -> str:
        """One of the strings ``known``; any other is something that transformers may have."""
        value = self.raw.get(key, default)
        if value not in known:
            raise self.unsupported(f"{key} {' or '.join(known)}", f"{key} {value!r}")
        return str(value)

    def heads_divide(self, hidden_key: str, heads_key: str) -> None:
        """The hidden size must be a multiple of the number of attention heads."""
        hidden, heads = self.raw[hidden_key], self.raw[heads_key]
        if hidden % heads:
            raise broken_file(
                self.file,
                f"a {hidden_key} that the number of attention heads divides",
                f"{hidden} and {heads} heads",
            )

    def broken(self, expected: str, value: object) -> ModelFolderError:
        """The error for a value that cannot be."""
        return broken_file(self.file, expected, repr(value))

    def unsupported(self, expected: str, found: str) -> UnsupportedModelError:
        """The error for an option that transformers has and the graphs do not."""
        return UnsupportedModelError(
            file=self.file,
            expected=expected,
            found=found,
            fix="glossrank has no graph for that option; choose a cross-encoder without it.",
        )
