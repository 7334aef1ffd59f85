"""BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805): MiniLM, TinyBERT, BERT."""

from __future__ import annotations

from dataclasses import dataclass

from glossrank.architectures.fields import ConfigFields
from glossrank.architectures.post_norm import PostNormConfig, PostNormNames, read_sizes


@dataclass(frozen=True, kw_only=True)
class BertConfig(PostNormConfig):
    """transformers' ``BertForSequenceClassification``: a tanh pooler, then the classifier."""

    family = "bert"
    architecture = "BertForSequenceClassification"
    prefix = "bert"
    token_types = True
    names = PostNormNames(
        embeddings="bert.embeddings",
        layer="bert.encoder.layer.{}",
        dense="bert.pooler.dense",
        out="classifier",
    )
    head_act = "tanh"

    @classmethod
    def read(
        cls, fields: ConfigFields, *, takes_token_types: bool, activation: str | None
    ) -> BertConfig:
        return cls(
            **read_sizes(fields),
            padding_index=None,
            takes_token_types=takes_token_types,
            activation=activation,
        )
