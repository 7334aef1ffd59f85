from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glossrank.errors import ModelError, ModelFolderError, UnsupportedModelError
from glossrank.foreign_model import (
    DEFAULT_LENGTH,
    has_safetensors,
    load_foreign_model,
    weights_files,
)
from tests.test_model_folder import (
    bare_encoder,
    broken_config,
    broken_tokenizer,
    case_differs,
    change_config,
    labels_are_a_number,
    larger_tokenizer,
    no_config,
    no_room,
    no_template,
    no_tokenizer,
    prompt,
    two_labels,
    type_too_large,
)
from tests.tiny_foreign import keep_only_shards


def swapped_template(folder: Path) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["post_processor"]["pair"].reverse()
    file.write_text(json.dumps(content))


def no_vocabulary_left(folder: Path) -> None:
    change_config(folder, num_labels=3, id2label=None)


def second_module(folder: Path) -> None:
    modules = [{"type": "a.Transformer"}, {"type": "b.LogitScore"}]
    (folder / "modules.json").write_text(json.dumps(modules))


def broken_modules(folder: Path) -> None:
    (folder / "modules.json").write_text('[{"path": ""}]')


FAULTS: list[tuple[Callable[[Path], None], type[ModelError], str]] = [
    (two_labels, UnsupportedModelError, "2 labels"),
    (no_vocabulary_left, UnsupportedModelError, "3 labels"),
    (bare_encoder, UnsupportedModelError, "BertModel"),
    (prompt, UnsupportedModelError, "default_prompt_name"),
    (second_module, UnsupportedModelError, "Transformer, LogitScore"),
    (broken_modules, ModelFolderError, "modules.json"),
    (broken_config, ModelFolderError, "config.json"),
    (labels_are_a_number, ModelFolderError, "id2label"),
    (no_config, ModelFolderError, "no config.json"),
    (no_tokenizer, ModelFolderError, "no tokenizer.json"),
    (broken_tokenizer, ModelFolderError, "tokenizer.json"),
    (larger_tokenizer, ModelFolderError, "ids of at most 49"),
    (swapped_template, ModelFolderError, "second text of a pair after the first"),
    (type_too_large, ModelFolderError, "token types below 1"),
    (case_differs, ModelFolderError, "do_lower_case False"),
    (no_room, ModelFolderError, "room for at least 5 tokens"),
]


@pytest.mark.parametrize(
    ("fault", "kind", "message"), FAULTS, ids=lambda v: getattr(v, "__name__", "")
)
def test_each_fault_has_its_error(
    make_model: Callable[..., Path],
    fault: Callable[[Path], None],
    kind: type[ModelError],
    message: str,
) -> None:
    folder = make_model()
    fault(folder)
    with pytest.raises(kind, match=message) as caught:
        load_foreign_model(folder)
    assert str(folder) in str(caught.value)


def test_the_network_is_not_looked_at(make_model: Callable[..., Path]) -> None:
    folder = make_model(positions=64, activation="torch.nn.modules.activation.Tanh")
    change_config(
        folder,
        model_type="unheard-of",
        architectures=["NewForSequenceClassification"],
        hidden_act=5,
    )
    (folder / "model.safetensors").unlink()
    model = load_foreign_model(folder)
    assert model.config.activation == "torch.nn.modules.activation.Tanh"
    assert model.config.pad_token_id == 0
    assert model.max_length == model.config.max_positions == 64
    assert model.tokenizer.get_vocab_size() > 0


def test_a_tokenizer_without_special_tokens_will_do(make_model: Callable[..., Path]) -> None:
    folder = make_model()
    no_template(folder)
    assert len(load_foreign_model(folder).sample.ids) == 2


@pytest.mark.parametrize(
    ("settings", "tokenizer", "found"),
    [
        ({}, {}, 512),
        ({}, {"model_max_length": 48}, 48),
        ({}, {"model_max_length": 1e30}, 512),
        ({"max_position_embeddings": None, "n_positions": 99}, {}, 99),
        ({"max_position_embeddings": -1}, {}, DEFAULT_LENGTH),
        ({"max_position_embeddings": None}, {"model_max_length": 2048}, 2048),
        ({"model_type": "mpnet", "pad_token_id": 1, "max_position_embeddings": 514}, {}, 512),
        ({"model_type": "roberta", "pad_token_id": None, "max_position_embeddings": 514}, {}, 512),
    ],
)
def test_max_length_is_what_tokenizer_and_positions_allow(
    make_model: Callable[..., Path],
    settings: dict[str, object],
    tokenizer: dict[str, object],
    found: int,
) -> None:
    folder = make_model()
    change_config(folder, **settings)
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    assert load_foreign_model(folder).max_length == found


def test_token_types_are_left_out_where_the_tokenizer_gives_none(
    make_model: Callable[..., Path],
) -> None:
    folder = make_model()
    assert load_foreign_model(folder).token_types
    names = {"model_input_names": ["input_ids", "attention_mask"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    assert not load_foreign_model(folder).token_types
    change_config(folder, type_vocab_size=1)
    assert not load_foreign_model(folder).token_types
    (folder / "tokenizer_config.json").unlink()
    change_config(folder, model_type="camembert", pad_token_id=1)
    assert not load_foreign_model(folder).token_types


def test_the_sample_batches_differ_in_both_sizes(tiny_model: Path) -> None:
    two, padded = load_foreign_model(tiny_model).sample_batches()
    assert two.input_ids.shape == (2, 5)
    assert padded.input_ids.shape == (1, 8)
    np.testing.assert_array_equal(padded.input_ids[0, :5], two.input_ids[0])
    assert not padded.input_ids[0, 5:].any()
    assert padded.lengths.tolist() == [5]


def test_weights_are_one_file_or_an_index_of_several(make_model: Callable[..., Path]) -> None:
    folder = make_model()
    assert has_safetensors(folder)
    assert [file.name for file in weights_files(folder)] == ["model.safetensors"]
    keep_only_shards(folder)
    assert has_safetensors(folder)
    assert [file.name for file in weights_files(folder)] == [
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]


def test_an_index_names_safetensors_of_this_folder_only(make_model: Callable[..., Path]) -> None:
    folder = keep_only_shards(make_model())
    index = folder / "model.safetensors.index.json"
    (folder / "weights.bin").write_bytes(pickle.dumps({}))
    for shards, message in (
        ({"a": "weights.bin"}, r"'weights\.bin'"),
        ({"a": "../model.safetensors"}, r"'\.\./model"),
        ({"a": "model-00003-of-00002.safetensors"}, "no file 'model-00003"),
        ({}, "no names"),
        ([], "no names"),
    ):
        index.write_text(json.dumps({"weight_map": shards}))
        with pytest.raises(ModelFolderError, match=message):
            weights_files(folder)
    index.unlink()
    assert not has_safetensors(folder)
    with pytest.raises(ModelFolderError, match=r"only weights\.bin, a pickle"):
        weights_files(folder)
