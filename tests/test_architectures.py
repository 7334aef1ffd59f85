from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glossrank.architectures import ARCHITECTURES, ModelConfig, parse_config
from glossrank.architectures.modernbert import ModernBertConfig
from glossrank.errors import ModelFolderError, UnsupportedModelError
from tests.tiny_families import FAMILIES, family_config

FILE = Path("folder/config.json")
SIZES = {
    "bert": [
        "num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size",
        "vocab_size", "max_position_embeddings", "type_vocab_size",
    ],
    "distilbert": [
        "n_layers", "dim", "n_heads", "hidden_dim", "vocab_size", "max_position_embeddings",
    ],
}  # fmt: skip
SIZES["roberta"] = SIZES["xlm-roberta"] = SIZES["bert"]
SIZES["electra"] = [*SIZES["bert"], "embedding_size"]
SIZES["modernbert"] = SIZES["bert"][:-1]


def parse(family: str, **changes: Any) -> ModelConfig:
    raw = family_config(family) | changes
    raw = {key: value for key, value in raw.items() if value is not None}
    return parse_config(FILE, raw, input_names=None, activation="saved")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_configuration_names_its_family_and_sizes(family: str) -> None:
    config = parse(family)
    assert config.family == family
    assert (config.num_layers, config.hidden_size, config.num_heads) == (2, 32, 4)
    assert (config.head_size, config.intermediate_size) == (8, 64)
    assert config.activation == "saved"
    assert config.takes_token_types is (family in ("bert", "electra"))
    # A position before the first token's, and one of the padding.
    assert config.max_positions == (198 if "roberta" in family else 200)
    assert {kind.family for kind in ARCHITECTURES} == {*FAMILIES, "indexed-bert"}


@pytest.mark.parametrize(
    ("family", "key"), [(family, key) for family, keys in SIZES.items() for key in keys]
)
@pytest.mark.parametrize("value", [None, 0, -1, 10**9, 2.5, "2", True, [2]])
def test_a_size_that_cannot_be_is_refused(family: str, key: str, value: Any) -> None:
    with pytest.raises(ModelFolderError, match=rf"whole number .* {key!r}"):
        parse(family, **{key: value})


FAULTS: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    *((f, {"architectures": ["OtherModel"]}, UnsupportedModelError, "OtherModel") for f in FAMILIES),
    *((f, {"architectures": "Bert"}, ModelFolderError, "architectures") for f in FAMILIES),
    *((f, {"id2label": {"0": "a", "1": "b"}}, UnsupportedModelError, "2 labels") for f in FAMILIES),
    *((f, {"id2label": None}, UnsupportedModelError, "2 labels") for f in FAMILIES),
    *((f, {"id2label": [1]}, ModelFolderError, "id2label") for f in FAMILIES),
    *(
        (f, {"position_embedding_type": "relative_key"}, UnsupportedModelError, "relative_key")
        for f in FAMILIES
    ),
    *((f, {"is_decoder": True}, UnsupportedModelError, "is_decoder") for f in FAMILIES),
    *((f, {"is_decoder": 1}, ModelFolderError, "is_decoder") for f in FAMILIES),
    ("bert", {"model_type": "deberta-v2"}, UnsupportedModelError, "deberta-v2"),
    ("bert", {"model_type": None}, UnsupportedModelError, "RobertaForSequenceClassification"),
    ("bert", {"hidden_act": "mish"}, UnsupportedModelError, "hidden_act 'mish'"),
    ("bert", {"hidden_act": ["gelu"]}, UnsupportedModelError, "hidden_act"),
    ("bert", {"layer_norm_eps": 1.5}, ModelFolderError, "layer_norm_eps"),
    ("bert", {"num_attention_heads": 5}, ModelFolderError, "32 and 5 heads"),
    ("roberta", {"pad_token_id": -1}, ModelFolderError, "from 0 to 198 under 'pad_token_id'"),
    ("roberta", {"pad_token_id": 199}, ModelFolderError, "pad_token_id"),
    ("roberta", {"pad_token_id": "<pad>"}, ModelFolderError, "pad_token_id"),
    ("xlm-roberta", {"vocab_size": 90, "pad_token_id": 90}, ModelFolderError, "from 0 to 89"),
    ("distilbert", {"activation": "tanh"}, UnsupportedModelError, "activation 'tanh'"),
    ("distilbert", {"n_heads": 5}, ModelFolderError, "32 and 5 heads"),
    ("modernbert", {"hidden_activation": "tanh"}, UnsupportedModelError, "hidden_activation"),
    ("modernbert", {"classifier_activation": "x"}, UnsupportedModelError, "classifier_activation"),
    ("modernbert", {"classifier_pooling": "max"}, UnsupportedModelError, "'max'"),
    ("modernbert", {"norm_eps": 0}, ModelFolderError, "norm_eps"),
    ("modernbert", {"norm_bias": "no"}, ModelFolderError, "true or false under 'norm_bias'"),
    ("modernbert", {"num_attention_heads": 5}, ModelFolderError, "32 and 5 heads"),
    ("modernbert", {"num_attention_heads": 32}, ModelFolderError, "even size"),
    ("modernbert", {"head_dim": 4}, ModelFolderError, "even size"),
    ("modernbert", {"local_attention": 0}, ModelFolderError, "local_attention"),
    ("modernbert", {"sliding_window": -1}, ModelFolderError, "sliding_window"),
    ("modernbert", {"global_attn_every_n_layers": 0}, ModelFolderError, "global_attn_every"),
    ("modernbert", {"layer_types": ["full_attention"]}, ModelFolderError, "2 layers"),
    ("modernbert", {"layer_types": "full_attention"}, ModelFolderError, "layer_types"),
    ("modernbert", {"layer_types": ["full_attention", "linear_attention"]}, UnsupportedModelError, "linear_attention"),
    ("modernbert", {"layer_types": ["full_attention", ["x"]]}, UnsupportedModelError, "layer_types"),
    ("modernbert", {"global_rope_theta": "10"}, ModelFolderError, "rope_theta of full_attention"),
    ("modernbert", {"local_rope_theta": 0.5}, ModelFolderError, "rope_theta of sliding_attention"),
    ("modernbert", {"rope_scaling": {"type": "linear"}}, UnsupportedModelError, "rope_scaling"),
    ("modernbert", {"rope_parameters": {"rope_theta": 10.0}}, ModelFolderError, "rope_parameters"),
    ("modernbert", {"rope_parameters": []}, ModelFolderError, "rope_parameters"),
    ("modernbert", {"rope_parameters": {"full_attention": 5}}, ModelFolderError, "full_attention"),
    (
        "modernbert",
        {"rope_parameters": {"sliding_attention": {"rope_type": "yarn"}}},
        UnsupportedModelError,
        "rope_type 'yarn'",
    ),
    (
        "modernbert",
        {"rope_parameters": {"full_attention": {"rope_theta": True}}},
        ModelFolderError,
        "rope_theta",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("family", "changes", "kind", "message"), FAULTS, ids=str)
def test_each_fault_has_its_error(
    family: str, changes: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        parse(family, **changes)
    assert str(FILE) in str(caught.value)


def test_no_architecture_need_be_named_and_a_number_of_labels_will_do() -> None:
    assert parse("electra", architectures=None, id2label=None, num_labels=1).family == "electra"
    assert parse("electra", architectures=[]).family == "electra"
    # transformers believes the labels' names, where there are some.
    assert parse("electra", num_labels=3).family == "electra"


def test_tensors_follow_the_options() -> None:
    assert "electra.embeddings_project.weight" in parse("electra").tensors()
    assert "electra.embeddings_project.weight" not in parse("electra", embedding_size=32).tensors()
    plain = parse("modernbert").tensors()
    assert [name for name in plain if name.endswith("bias")] == ["classifier.bias"]
    assert "model.layers.0.attn_norm.weight" not in plain
    assert plain["model.layers.1.attn.Wqkv.weight"] == (96, 32)
    flags = ("norm_bias", "attention_bias", "mlp_bias", "classifier_bias")
    assert len(parse("modernbert", **dict.fromkeys(flags, True)).tensors()) > len(plain)


def test_modernberts_layers_default_to_transformers_pattern() -> None:
    config = parse("modernbert", num_hidden_layers=7)
    assert isinstance(config, ModernBertConfig)
    assert config.local_layers == (False, True, True, False, True, True, False)
    assert (config.global_theta, config.local_theta) == (160_000.0, 10_000.0)
    assert config.window == 8
    wide = parse("modernbert", local_attention=None)
    assert isinstance(wide, ModernBertConfig)
    assert wide.window == 64
