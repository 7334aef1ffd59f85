from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from glossrank import CrossEncoder
from glossrank.errors import ModelError, ModelFolderError, UnsupportedModelError
from glossrank.model_folder import load_model_folder
from tests.tiny_families import FAMILIES, write_family


def change_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text())
    config.update(changes)
    file.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def change_weights(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def two_labels(folder: Path) -> None:
    change_config(folder, id2label={"0": "no", "1": "yes"})


def other_architecture(folder: Path) -> None:
    change_config(folder, model_type="mpnet", architectures=["MPNetForSequenceClassification"])


def bare_encoder(folder: Path) -> None:
    change_config(folder, architectures=["BertModel"])


def other_activation(folder: Path) -> None:
    change_config(folder, hidden_act="mish")


def relative_positions(folder: Path) -> None:
    change_config(folder, position_embedding_type="relative_key")


def size_missing(folder: Path) -> None:
    change_config(folder, hidden_size=None)


def heads_do_not_divide(folder: Path) -> None:
    change_config(folder, num_attention_heads=5)


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def config_is_a_list(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')


def larger_tokenizer(folder: Path) -> None:
    change_config(folder, vocab_size=50)


def no_template(folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"post_processor": None}))


def type_too_large(folder: Path) -> None:
    change_config(folder, type_vocab_size=1)


def case_differs(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')


def no_room(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 2}')


def prompt(folder: Path) -> None:
    (folder / "config_sentence_transformers.json").write_text('{"default_prompt_name": "query"}')


def input_names_are_text(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"model_input_names": "input_ids"}')


def epsilon_is_text(folder: Path) -> None:
    change_config(folder, layer_norm_eps="small")


def labels_are_a_number(folder: Path) -> None:
    change_config(folder, id2label=5)


def a_billion_layers(folder: Path) -> None:
    change_config(folder, num_hidden_layers=10**9)


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))


def truncated_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def weights_are_text(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")


def empty_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def tensor_missing(folder: Path) -> None:
    change_weights(folder, lambda w: w.pop("classifier.bias"))


def wrong_shape(folder: Path) -> None:
    change_weights(folder, lambda w: w.update({"classifier.weight": np.zeros((2, 32), np.float32)}))


def not_a_number(folder: Path) -> None:
    def change(weights: dict[str, Any]) -> None:
        weights["bert.pooler.dense.bias"][3] = np.nan

    change_weights(folder, change)


def integer_weights(folder: Path) -> None:
    change_weights(folder, lambda w: w.update({"classifier.bias": np.zeros(1, np.int32)}))


FAULTS: list[tuple[Callable[[Path], None], type[ModelError], str]] = [
    (two_labels, UnsupportedModelError, "2 labels"),
    (other_architecture, UnsupportedModelError, "mpnet"),
    (bare_encoder, UnsupportedModelError, "BertModel"),
    (other_activation, UnsupportedModelError, "mish"),
    (relative_positions, UnsupportedModelError, "relative_key"),
    (size_missing, ModelFolderError, "hidden_size"),
    (heads_do_not_divide, ModelFolderError, "5 heads"),
    (broken_config, ModelFolderError, "config.json"),
    (config_is_a_list, ModelFolderError, "JSON object"),
    (no_config, ModelFolderError, "no config.json"),
    (no_tokenizer, ModelFolderError, "no tokenizer.json"),
    (broken_tokenizer, ModelFolderError, "tokenizer.json"),
    (larger_tokenizer, ModelFolderError, "ids of at most 49"),
    (no_template, ModelFolderError, "special tokens around a pair"),
    (type_too_large, ModelFolderError, "token types below 1"),
    (case_differs, ModelFolderError, "do_lower_case False"),
    (no_room, ModelFolderError, "model_max_length"),
    (prompt, UnsupportedModelError, "default_prompt_name"),
    (input_names_are_text, ModelFolderError, "model_input_names"),
    (epsilon_is_text, ModelFolderError, "layer_norm_eps"),
    (labels_are_a_number, ModelFolderError, "id2label"),
    (a_billion_layers, ModelFolderError, "num_hidden_layers"),
    (no_weights, ModelFolderError, "no model.safetensors"),
    (pickle_only, ModelFolderError, "a pickle"),
    (truncated_weights, ModelFolderError, "cannot be read"),
    (weights_are_text, ModelFolderError, "cannot be read"),
    (empty_weights, ModelFolderError, "cannot be read"),
    (tensor_missing, ModelFolderError, "classifier.bias"),
    (wrong_shape, ModelFolderError, r"\(2, 32\)"),
    (not_a_number, ModelFolderError, "NaN"),
    (integer_weights, ModelFolderError, "I32"),
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
        load_model_folder(folder).weights()
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_weights_of_every_float_type_keep_their_values(
    make_model: Callable[..., Path], dtype: Any
) -> None:
    folder = make_model()
    exact = load_file(folder / "model.safetensors")
    save_file({k: v.astype(dtype) for k, v in exact.items()}, folder / "model.safetensors")
    weights = load_model_folder(folder).weights()
    for name, array in weights.items():
        # Matrices in fp16 are left to the compiler.
        half = dtype == np.float16 and array.ndim > 1
        assert array.dtype == (np.float16 if half else np.float32)
        np.testing.assert_array_equal(array, exact[name].astype(dtype).astype(np.float32))


def test_max_length_is_the_smaller_of_tokenizer_and_positions(
    make_model: Callable[..., Path],
) -> None:
    folder = make_model(positions=64)
    assert load_model_folder(folder).max_length == 64
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 48}')
    assert load_model_folder(folder).max_length == 48
    # What transformers writes for "no limit".
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 1e30}')
    assert load_model_folder(folder).max_length == 64
    (folder / "tokenizer_config.json").unlink()
    assert load_model_folder(folder).max_length == 64


@pytest.mark.parametrize(("family", "rows"), [("xlm-roberta", 64), ("roberta", 64)])
def test_positions_before_the_first_tokens_are_not_for_tokens(
    tmp_path: Path, family: str, rows: int
) -> None:
    folder = write_family(tmp_path / "model", family, positions=rows)
    (folder / "tokenizer_config.json").unlink()
    assert load_model_folder(folder).max_length == rows - 2
    model = CrossEncoder(folder)
    assert model.max_length == rows - 2
    with pytest.raises(ValueError, match="at most 62"):
        model.max_length = rows - 1
    short = write_family(tmp_path / "short", family, positions=7)
    with pytest.raises(ModelFolderError, match="at least 6"):
        load_model_folder(short)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_every_family_is_read_from_half_the_bits(tmp_path: Path, family: str, dtype: Any) -> None:
    folder = write_family(tmp_path / "model", family)
    exact = load_file(folder / "model.safetensors")
    save_file({k: v.astype(dtype) for k, v in exact.items()}, folder / "model.safetensors")
    weights = load_model_folder(folder).weights()
    assert weights.keys() == exact.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(array, exact[name].astype(dtype).astype(np.float32))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_familys_tensors_are_checked(tmp_path: Path, family: str) -> None:
    folder = write_family(tmp_path / "model", family)
    name = (
        "classifier.weight"
        if family in ("bert", "distilbert", "modernbert")
        else "classifier.out_proj.weight"
    )
    change_weights(folder, lambda w: w.update({name: np.zeros((2, 32), np.float32)}))
    with pytest.raises(ModelFolderError, match=r"\(2, 32\)"):
        load_model_folder(folder).weights()
    change_weights(folder, lambda w: w.pop(name))
    with pytest.raises(ModelFolderError, match=name):
        load_model_folder(folder).weights()


def test_activation_is_read_from_the_places_sentence_transformers_uses(
    make_model: Callable[..., Path],
) -> None:
    folder = make_model(activation=None)
    assert load_model_folder(folder).config.activation is None
    change_config(folder, sbert_ce_default_activation_function="legacy")
    assert load_model_folder(folder).config.activation == "legacy"
    change_config(folder, sentence_transformers={"activation_fn": "newer"})
    assert load_model_folder(folder).config.activation == "newer"
    (folder / "config_sentence_transformers.json").write_text('{"activation_fn": "newest"}')
    assert load_model_folder(folder).config.activation == "newest"
