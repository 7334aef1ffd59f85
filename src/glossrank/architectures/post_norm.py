"""BERT and its relatives: learned positions, and a layer norm after every sum.

They differ in the names of their tensors, in how positions are counted, in token types, and
in the activation of the head; :class:`PostNormConfig` says all of it, so that one graph runs
them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from glossrank.architectures.base import ModelConfig, TensorShapes, refuse_options
from glossrank.architectures.fields import ConfigFields, Most


@dataclass(frozen=True, kw_only=True)
class PostNormNames:
    """Names of tensors, without ``.weight`` and ``.bias``.

    Attributes:
        embeddings: of the embedding tables and their layer norm.
        layer: of a layer; ``{}`` stands for its number. The next eight follow it.
        attended, attended_norm: the linear layer and the norm after attention.
        wide, narrow, output_norm: the feed-forward layers and the norm after them.
        dense, out: the two linear layers of the head.
    """

    embeddings: str
    layer: str
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    attended: str = "attention.output.dense"
    attended_norm: str = "attention.output.LayerNorm"
    wide: str = "intermediate.dense"
    narrow: str = "output.dense"
    output_norm: str = "output.LayerNorm"
    dense: str
    out: str


@dataclass(frozen=True, kw_only=True)
class PostNormConfig(ModelConfig):
    """Sizes and quirks of a model of this kind.

    Attributes:
        names: where the tensors are.
        head_act: the activation between the two linear layers of the head.
        embedding_size: columns of the embedding tables; where it is not the hidden size, a
            linear layer ``embeddings_project`` leads from one to the other.
        padding_index: None where positions count from 0. Else they count from the one after
            it, over the tokens whose id is another, and tokens of that id have its position
            (fairseq's ``make_positions``).
    """

    names: ClassVar[PostNormNames]
    head_act: ClassVar[str]

    embedding_size: int
    padding_index: int | None

    @property
    def position_rows(self) -> int:
        """Rows of the table of positions."""
        skipped = 0 if self.padding_index is None else self.padding_index + 1
        return self.max_positions + skipped

    @property
    def projection(self) -> str | None:
        """Name of the linear layer from the embedding size to the hidden size, if any."""
        return (
            None if self.embedding_size == self.hidden_size else f"{self.prefix}.embeddings_project"
        )

    def layer_names(self, index: int) -> PostNormNames:
        """The names with those of layer ``index`` in full."""
        names, layer = self.names, self.names.layer.format(index)
        return PostNormNames(
            embeddings=names.embeddings,
            layer=layer,
            query=f"{layer}.{names.query}",
            key=f"{layer}.{names.key}",
            value=f"{layer}.{names.value}",
            attended=f"{layer}.{names.attended}",
            attended_norm=f"{layer}.{names.attended_norm}",
            wide=f"{layer}.{names.wide}",
            narrow=f"{layer}.{names.narrow}",
            output_norm=f"{layer}.{names.output_norm}",
            dense=names.dense,
            out=names.out,
        )

    def tensors(self) -> dict[str, tuple[int, ...]]:
        found = TensorShapes()
        hidden, embedding = self.hidden_size, self.embedding_size
        tables = self.names.embeddings
        found.table(f"{tables}.word_embeddings", self.vocab_size, embedding)
        found.table(f"{tables}.position_embeddings", self.position_rows, embedding)
        if self.type_vocab_size:
            found.table(f"{tables}.token_type_embeddings", self.type_vocab_size, embedding)
        found.norm(f"{tables}.LayerNorm", embedding)
        if self.projection is not None:
            found.linear(self.projection, embedding, hidden)
        for index in range(self.num_layers):
            names = self.layer_names(index)
            for name in (names.query, names.key, names.value, names.attended):
                found.linear(name, hidden, hidden)
            found.norm(names.attended_norm, hidden)
            found.linear(names.wide, hidden, self.intermediate_size)
            found.linear(names.narrow, self.intermediate_size, hidden)
            found.norm(names.output_norm, hidden)
        found.linear(self.names.dense, hidden, hidden)
        found.linear(self.names.out, hidden, 1)
        return found.shapes


def read_sizes(fields: ConfigFields) -> dict[str, Any]:
    """Sizes under BERT's keys, as arguments of :class:`PostNormConfig`.

    Raises:
        ModelFolderError: a size is missing or cannot be.
        UnsupportedModelError: an option that changes what is computed.
    """
    refuse_options(fields)
    sizes: dict[str, Any] = {
        "num_layers": fields.whole("num_hidden_layers", Most.LAYERS),
        "hidden_size": fields.whole("hidden_size", Most.HIDDEN),
        "num_heads": fields.whole("num_attention_heads", Most.HEADS),
        "intermediate_size": fields.whole("intermediate_size", Most.INTERMEDIATE),
        "vocab_size": fields.whole("vocab_size", Most.VOCABULARY),
        "max_positions": fields.whole("max_position_embeddings", Most.POSITIONS),
        "type_vocab_size": fields.whole("type_vocab_size", Most.TOKEN_TYPES),
    }
    fields.heads_divide("hidden_size", "num_attention_heads")
    sizes["embedding_size"] = sizes["hidden_size"]
    sizes["layer_norm_eps"] = fields.epsilon("layer_norm_eps", default=1e-12)
    sizes["hidden_act"] = fields.hidden_act("hidden_act", default="gelu")
    return sizes
