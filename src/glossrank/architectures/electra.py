"""ELECTRA (Clark et al. 2020, https://arxiv.org/abs/2003.10555), its discriminator."""

from __future__ import annotations

from dataclasses import dataclass

from glossrank.architectures.fields import ConfigFields, Most
from glossrank.architectures.post_norm import PostNormConfig, PostNormNames, read_sizes


@dataclass(frozen=True, kw_only=True)
class ElectraConfig(PostNormConfig):
    """transformers' ``ElectraForSequenceClassification``.

    The head's activation is GELU whatever ``hidden_act`` says, as there.
    """

    family = "electra"
    architecture = "ElectraForSequenceClassification"
    prefix = "electra"
    token_types = True
    names = PostNormNames(
        embeddings="electra.embeddings",
        layer="electra.encoder.layer.{}",
        dense="classifier.dense",
        out="classifier.out_proj",
    )
    head_act = "gelu"

    @classmethod
    def read(
        cls, fields: ConfigFields, *, takes_token_types: bool, activation: str | None
    ) -> ElectraConfig:
        sizes = read_sizes(fields)
        sizes["embedding_size"] = fields.whole("embedding_size", Most.HIDDEN)
        return cls(
            **sizes,
            padding_index=None,
            takes_token_types=takes_token_types,
            activation=activation,
        )
