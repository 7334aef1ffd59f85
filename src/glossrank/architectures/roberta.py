"""RoBERTa (Liu et al. 2019, https://arxiv.org/abs/1907.11692) and XLM-RoBERTa (Conneau et al.
2020, https://arxiv.org/abs/1911.02116): the bge rerankers and their like."""

from __future__ import annotations

from dataclasses import dataclass

from glossrank.architectures.fields import ConfigFields
from glossrank.architectures.post_norm import PostNormConfig, PostNormNames, read_sizes


@dataclass(frozen=True, kw_only=True)
class RobertaConfig(PostNormConfig):
    """transformers' ``RobertaForSequenceClassification``.

    Positions count from the one after ``pad_token_id``, so that fewer tokens than the table
    has rows fit. Its tokenizers give no token types: every token has type 0, unless the
    tokenizer's configuration names them among its outputs.
    """

    family = "roberta"
    architecture = "RobertaForSequenceClassification"
    prefix = "roberta"
    token_types = False
    names = PostNormNames(
        embeddings="roberta.embeddings",
        layer="roberta.encoder.layer.{}",
        dense="classifier.dense",
        out="classifier.out_proj",
    )
    head_act = "tanh"

    @classmethod
    def read(
        cls, fields: ConfigFields, *, takes_token_types: bool, activation: str | None
    ) -> RobertaConfig:
        sizes = read_sizes(fields)
        rows = sizes["max_positions"]
        most = min(sizes["vocab_size"] - 1, rows - 2)
        padding = fields.whole("pad_token_id", most, least=0, default=1)
        sizes["max_positions"] = rows - padding - 1
        return cls(
            **sizes,
            padding_index=padding,
            takes_token_types=takes_token_types,
            activation=activation,
        )


@dataclass(frozen=True, kw_only=True)
class XLMRobertaConfig(RobertaConfig):
    """transformers' ``XLMRobertaForSequenceClassification``: RoBERTa's graph and names."""

    family = "xlm-roberta"
    architecture = "XLMRobertaForSequenceClassification"
