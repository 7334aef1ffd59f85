from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from glossrank.errors import ModelFolderError
from glossrank.model_folder import load_model_folder
from tests.test_graphs import assert_equal_to_transformers
from tests.test_openvino import random_pairs
from tests.tiny_families import write_family


def rename(folder: Path, change: Callable[[str], str]) -> int:
    """Rename tensors of the file; how many have another name now."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    renamed = {change(name): array for name, array in weights.items()}
    assert len(renamed) == len(weights)
    save_file(renamed, file, metadata={"format": "pt"})
    return len(renamed.keys() - weights.keys())


def to_gamma(name: str) -> str:
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    )


RENAMED: list[tuple[str, Callable[[str], str]]] = [
    ("bert", to_gamma),
    ("roberta", to_gamma),
    ("bert", lambda name: name.removeprefix("bert.")),
    ("bert", lambda name: f"bert.{name}" if name.startswith("classifier") else name),
    ("xlm-roberta", lambda name: to_gamma(name.removeprefix("roberta."))),
    ("electra", lambda name: f"electra.{name}"),
    ("distilbert", lambda name: name.removeprefix("distilbert.")),
    ("modernbert", lambda name: name.removeprefix("model.")),
    ("modernbert", lambda name: f"model.{name}" if name.startswith("head") else name),
]


@pytest.mark.parametrize(("family", "change"), RENAMED)
def test_older_names_are_read_as_transformers_reads_them(
    tmp_path: Path, family: str, change: Callable[[str], str]
) -> None:
    folder = write_family(tmp_path / "model", family)
    before = load_model_folder(folder).weights()
    assert rename(folder, change)
    after = load_model_folder(folder).weights()
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name])
    assert_equal_to_transformers(folder, random_pairs(1, 20))


@pytest.mark.parametrize(
    ("family", "change", "missing"),
    [
        # transformers knows gamma and beta beside "LayerNorm" only.
        ("distilbert", lambda n: n.replace("norm.weight", "norm.gamma"), "sa_layer_norm.weight"),
        ("modernbert", lambda n: n.replace("norm.weight", "norm.gamma"), "model.embeddings.norm"),
        ("roberta", lambda n: n.replace("roberta.", "bert."), "roberta.embeddings"),
        ("modernbert", lambda n: f"module.{n}", "model.embeddings"),
    ],
)
def test_other_names_are_no_names(
    tmp_path: Path, family: str, change: Callable[[str], str], missing: str
) -> None:
    folder = write_family(tmp_path / "model", family)
    assert rename(folder, change)
    with pytest.raises(ModelFolderError, match=missing):
        load_model_folder(folder).weights()


def test_a_tensor_by_two_names_is_refused(tmp_path: Path) -> None:
    folder = write_family(tmp_path / "model", "bert")
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights["embeddings.LayerNorm.gamma"] = weights["bert.embeddings.LayerNorm.weight"] + 1
    save_file(weights, file)
    with pytest.raises(ModelFolderError, match=r"one tensor 'bert\.embeddings\.LayerNorm\.weight'"):
        load_model_folder(folder).weights()


@pytest.mark.parametrize("spaces", range(8))
def test_a_header_of_any_length_gives_the_same_numbers(
    make_model: Callable[..., Path], spaces: int
) -> None:
    folder = make_model()
    file = folder / "model.safetensors"
    expected = load_file(file)
    content = file.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = content[8:end].rstrip() + b" " * spaces
    file.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])
    weights = load_model_folder(folder).weights()
    assert weights.keys() == expected.keys()
    for name, array in weights.items():
        assert array.flags.aligned
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, -np.nan])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_number_that_is_not_finite_is_found_wherever_it_is(
    make_model: Callable[..., Path], dtype: type, number: float
) -> None:
    folder = make_model(hidden=64)
    file = folder / "model.safetensors"
    weights: dict[str, Any] = {name: array.astype(dtype) for name, array in load_file(file).items()}
    # The largest finite number is one.
    table = weights["bert.embeddings.word_embeddings.weight"]
    table[-1, -1] = np.finfo(np.float16).max
    save_file(weights, file)
    load_model_folder(folder).weights()
    table[-1, -1] = number
    save_file(weights, file)
    with pytest.raises(ModelFolderError, match="NaN or infinity"):
        load_model_folder(folder).weights()
