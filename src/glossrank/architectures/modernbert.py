"""ModernBERT (Warner et al. 2024, https://arxiv.org/abs/2412.13663)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glossrank.architectures.base import ModelConfig, TensorShapes, refuse_options
from glossrank.architectures.fields import ConfigFields, Most

# The keys that transformers 5 gives the two kinds of layers.
_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
# Theta of each kind: the older key, and the default.
_THETAS = {_GLOBAL: ("global_rope_theta", 160_000.0), _LOCAL: ("local_rope_theta", 10_000.0)}
_LARGEST_THETA = 1e12
# No table of this length is saved, but one of rotations is made.
_MOST_POSITIONS = 131_072
_EVERY = 3
_WINDOW = 128
_EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class ModernBertConfig(ModelConfig):
    """transformers' ``ModernBertForSequenceClassification``.

    Attributes:
        local_layers: of each layer, whether its tokens see their neighbours only.
        window: how far a neighbour may be, in tokens to either side.
        global_theta, local_theta: bases of the rotations of the two kinds of layers.
        norm_bias, attention_bias, mlp_bias, classifier_bias: which parts have biases.
        pooling: ``"cls"`` or ``"mean"``, what the head reads.
        head_act: the activation in the head.
    """

    family = "modernbert"
    architecture = "ModernBertForSequenceClassification"
    prefix = "model"
    token_types = None

    local_layers: tuple[bool, ...]
    window: int
    global_theta: float
    local_theta: float
    norm_bias: bool
    attention_bias: bool
    mlp_bias: bool
    classifier_bias: bool
    pooling: str
    head_act: str

    @classmethod
    def read(
        cls, fields: ConfigFields, *, takes_token_types: bool, activation: str | None
    ) -> ModernBertConfig:
        refuse_options(fields)
        layers = fields.whole("num_hidden_layers", Most.LAYERS)
        hidden = fields.whole("hidden_size", Most.HIDDEN)
        heads = fields.whole("num_attention_heads", Most.HEADS)
        fields.heads_divide("hidden_size", "num_attention_heads")
        _check_head_size(fields, hidden // heads)
        return cls(
            num_layers=layers,
            hidden_size=hidden,
            num_heads=heads,
            intermediate_size=fields.whole("intermediate_size", Most.INTERMEDIATE),
            vocab_size=fields.whole("vocab_size", Most.VOCABULARY),
            max_positions=fields.whole("max_position_embeddings", _MOST_POSITIONS),
            type_vocab_size=0,
            takes_token_types=takes_token_types,
            layer_norm_eps=fields.epsilon("norm_eps", default=_EPSILON),
            hidden_act=fields.hidden_act("hidden_activation", default="gelu"),
            local_layers=_local_layers(fields, layers),
            window=_window(fields),
            global_theta=_theta(fields, _GLOBAL),
            local_theta=_theta(fields, _LOCAL),
            norm_bias=fields.flag("norm_bias", default=False),
            attention_bias=fields.flag("attention_bias", default=False),
            mlp_bias=fields.flag("mlp_bias", default=False),
            classifier_bias=fields.flag("classifier_bias", default=False),
            pooling=fields.choice("classifier_pooling", ("cls", "mean"), default="cls"),
            head_act=fields.hidden_act("classifier_activation", default="gelu"),
            activation=activation,
        )

    def tensors(self) -> dict[str, tuple[int, ...]]:
        found = TensorShapes()
        hidden, wide = self.hidden_size, self.intermediate_size
        found.table("model.embeddings.tok_embeddings", self.vocab_size, hidden)
        found.norm("model.embeddings.norm", hidden, bias=self.norm_bias)
        for index in range(self.num_layers):
            layer = f"model.layers.{index}"
            # The embeddings are normed already.
            if index:
                found.norm(f"{layer}.attn_norm", hidden, bias=self.norm_bias)
            found.linear(f"{layer}.attn.Wqkv", hidden, 3 * hidden, bias=self.attention_bias)
            found.linear(f"{layer}.attn.Wo", hidden, hidden, bias=self.attention_bias)
            found.norm(f"{layer}.mlp_norm", hidden, bias=self.norm_bias)
            # The values and their gate.
            found.linear(f"{layer}.mlp.Wi", hidden, 2 * wide, bias=self.mlp_bias)
            found.linear(f"{layer}.mlp.Wo", wide, hidden, bias=self.mlp_bias)
        found.norm("model.final_norm", hidden, bias=self.norm_bias)
        found.linear("head.dense", hidden, hidden, bias=self.classifier_bias)
        found.norm("head.norm", hidden, bias=self.norm_bias)
        found.linear("classifier", hidden, 1)
        return found.shapes


def _check_head_size(fields: ConfigFields, size: int) -> None:
    # transformers rotates as many columns as this key says.
    said = fields.raw.get("head_dim")
    if size % 2 or said not in (None, size):
        raise fields.broken(
            "an even size of the attention heads, hidden_size / num_attention_heads",
            size if said is None else said,
        )


def _local_layers(fields: ConfigFields, layers: int) -> tuple[bool, ...]:
    """From ``layer_types`` or, in older files, from the distance between global layers."""
    kinds = fields.raw.get("layer_types")
    if kinds is None:
        every = fields.whole("global_attn_every_n_layers", Most.LAYERS, default=_EVERY)
        return tuple(index % every != 0 for index in range(layers))
    if not isinstance(kinds, list) or len(kinds) != layers:
        raise fields.broken(f"a list of {layers} layers under 'layer_types'", kinds)
    for kind in kinds:
        if kind not in (_GLOBAL, _LOCAL):
            raise fields.unsupported(f"layer_types {_GLOBAL} and {_LOCAL}", repr(kind))
    return tuple(kind == _LOCAL for kind in kinds)


def _window(fields: ConfigFields) -> int:
    """Half of ``local_attention``; transformers also takes the half under its own name."""
    if "sliding_window" in fields.raw:
        return fields.whole("sliding_window", Most.POSITIONS, least=0)
    return fields.whole("local_attention", Most.POSITIONS, default=_WINDOW) // 2


def _theta(fields: ConfigFields, kind: str) -> float:
    """From ``rope_parameters`` or, in older files, from a key of its own."""
    older, default = _THETAS[kind]
    rotations = _rotations(fields, kind)
    value = rotations.get("rope_theta", fields.raw.get(older, default))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 1 <= value <= _LARGEST_THETA:
        raise fields.broken(f"a number of at least 1 as the rope_theta of {kind}", value)
    return float(value)


def _rotations(fields: ConfigFields, kind: str) -> Mapping[str, Any]:
    """The parameters of one kind of layers, {} where none are given."""
    if fields.raw.get("rope_scaling") is not None:
        raise fields.unsupported("rotations without rope_scaling", repr(fields.raw["rope_scaling"]))
    both = fields.raw.get("rope_parameters")
    both = {} if both is None else both
    if not isinstance(both, dict) or not set(both) <= {_GLOBAL, _LOCAL}:
        raise fields.broken(f"{_GLOBAL} and {_LOCAL} under 'rope_parameters'", both)
    own = both.get(kind, {})
    if not isinstance(own, dict):
        raise fields.broken(f"an object under 'rope_parameters', {kind!r}", own)
    rule = own.get("rope_type", own.get("type", "default"))
    if rule != "default":
        raise fields.unsupported("rotations of rope_type default", f"rope_type {rule!r}")
    return own
