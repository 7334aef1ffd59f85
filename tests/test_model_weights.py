from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
