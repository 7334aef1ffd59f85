"""What the configurations of all architectures have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from glossrank.architectures.fields import ConfigFields


@dataclass(frozen=True, kw_only=True)
class ModelConfig(ABC):
    """The part of ``config.json`` that a graph needs; sizes in units of elements.

    Attributes:
        family: transformers' ``model_type``.
        architecture: the class of transformers that the graph equals.
        prefix: what the names of the encoder's tensors start with (``base_model_prefix``).
        token_types: whether transformers' tokenizers of this family give token types, where
            the tokenizer's configuration does not say; None where the model has no use for
            them.
        max_positions: tokens of a pair that the model has positions for.
        type_vocab_size: rows of the table of token types, 0 where there is no such table.
        takes_token_types: whether the graph has an input for them.
        hidden_act: name of the activation in the feed-forward layers.
        activation: dotted torch name of the saved activation from logits to scores, or
            None where none is saved.
    """

    family: ClassVar[str]
    architecture: ClassVar[str]
    prefix: ClassVar[str]
    token_types: ClassVar[bool | None]

    num_layers: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    vocab_size: int
    max_positions: int
    type_vocab_size: int
    takes_token_types: bool
    layer_norm_eps: float
    hidden_act: str
    activation: str | None

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_heads

    @classmethod
    @abstractmethod
    def read(
        cls, fields: ConfigFields, *, takes_token_types: bool, activation: str | None
    ) -> ModelConfig:
        """The configuration of a ``config.json`` whose architecture is this one.

        Raises:
            ModelFolderError: a value is missing or cannot be.
            UnsupportedModelError: an option that the graph does not have.
        """

    @abstractmethod
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor that the graph reads."""


class TensorShapes:
    """Collects names and shapes of tensors, layer by layer."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}

    def table(self, name: str, rows: int, columns: int) -> None:
        """An embedding."""
        self.shapes[f"{name}.weight"] = (rows, columns)

    def linear(self, name: str, inputs: int, outputs: int, *, bias: bool = True) -> None:
        """torch's ``Linear``, which keeps its weight transposed."""
        self.shapes[f"{name}.weight"] = (outputs, inputs)
        if bias:
            self.shapes[f"{name}.bias"] = (outputs,)

    def norm(self, name: str, size: int, *, bias: bool = True) -> None:
        """A layer norm."""
        self.shapes[f"{name}.weight"] = (size,)
        if bias:
            self.shapes[f"{name}.bias"] = (size,)


def refuse_options(fields: ConfigFields) -> None:
    """Refuse options that transformers' encoders share and that change what is computed.

    Raises:
        UnsupportedModelError: relative positions, or attention that looks back only.
    """
    fields.choice("position_embedding_type", ["absolute"], default="absolute")
    if fields.flag("is_decoder", default=False):
        raise fields.unsupported("an encoder", "is_decoder True")
