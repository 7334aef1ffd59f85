"""DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108)."""

from __future__ import annotations

from dataclasses import dataclass

from glossrank.architectures.base import refuse_options
from glossrank.architectures.fields import ConfigFields, Most
from glossrank.architectures.post_norm import PostNormConfig, PostNormNames

_EPSILON = 1e-12
"""Of every layer norm; transformers' class has it as a constant."""


@dataclass(frozen=True, kw_only=True)
class DistilBertConfig(PostNormConfig):
    """transformers' ``DistilBertForSequenceClassification``: no token types.

    ``sinusoidal_pos_embds`` changes nothing, since the table of positions is saved.
    """

    family = "distilbert"
    architecture = "DistilBertForSequenceClassification"
    prefix = "distilbert"
    token_types = None
    names = PostNormNames(
        embeddings="distilbert.embeddings",
        layer="distilbert.transformer.layer.{}",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attended="attention.out_lin",
        attended_norm="sa_layer_norm",
        wide="ffn.lin1",
        narrow="ffn.lin2",
        output_norm="output_layer_norm",
        dense="pre_classifier",
        out="classifier",
    )
    head_act = "relu"

    @classmethod
    def read(
        cls, fields: ConfigFields, *, takes_token_types: bool, activation: str | None
    ) -> DistilBertConfig:
        refuse_options(fields)
        hidden = fields.whole("dim", Most.HIDDEN)
        heads = fields.whole("n_heads", Most.HEADS)
        fields.heads_divide("dim", "n_heads")
        return cls(
            num_layers=fields.whole("n_layers", Most.LAYERS),
            hidden_size=hidden,
            embedding_size=hidden,
            num_heads=heads,
            intermediate_size=fields.whole("hidden_dim", Most.INTERMEDIATE),
            vocab_size=fields.whole("vocab_size", Most.VOCABULARY),
            max_positions=fields.whole("max_position_embeddings", Most.POSITIONS),
            type_vocab_size=0,
            layer_norm_eps=_EPSILON,
            hidden_act=fields.hidden_act("activation", default="gelu"),
            padding_index=None,
            takes_token_types=takes_token_types,
            activation=activation,
        )
