from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from glossrank.encoding import Batch, PairEncoder
from glossrank.engines.openvino_files import OpenVINOFileEngine
from glossrank.errors import ModelError, ModelFolderError, UnsupportedModelError
from glossrank.foreign_model import load_foreign_model
from tests.test_openvino import random_pairs, torch_logits
from tests.tiny_foreign import INPUTS, bag_onnx, bert_onnx, write_ir, write_onnx


def engine_of(file: Path, folder: Path, precision: str = "fp32") -> OpenVINOFileEngine:
    return OpenVINOFileEngine(file, load_foreign_model(folder), precision=precision)  # type: ignore[arg-type]


def file_logits(
    file: Path, folder: Path, pairs: list[tuple[str, str]], *, precision: str = "fp32"
) -> np.ndarray:
    model = load_foreign_model(folder)
    engine = engine_of(file, folder, precision)
    encoder = PairEncoder(model.tokenizer, max_length=model.max_length)
    logits = np.full(len(pairs), np.nan, dtype=np.float32)
    for batch in encoder.batches(pairs):
        logits[batch.rows] = engine.logits(batch)
    return logits


def bag_logits(batch: Batch, *, types: bool = True) -> np.ndarray:
    """What ``bag_onnx`` computes."""
    real = np.arange(batch.input_ids.shape[1]) < batch.lengths[:, None]
    values = batch.input_ids * 0.01 + (batch.token_type_ids if types else 0)
    return np.asarray((values * real).sum(axis=1), dtype=np.float32)


@pytest.fixture(scope="module")
def files(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny model's network as ONNX and as IR."""
    network = bert_onnx(tiny_model)
    place = tmp_path_factory.mktemp("exported")
    return {
        "onnx": write_onnx(network, place / "model.onnx"),
        "openvino": write_ir(network, place / "openvino_model.xml"),
    }


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_logits_equal_transformers(files: dict[str, Path], tiny_model: Path, kind: str) -> None:
    pairs = random_pairs(3, 120, count=30)
    ours = file_logits(files[kind], tiny_model, pairs)
    np.testing.assert_allclose(ours, torch_logits(tiny_model, pairs), atol=1e-5, rtol=0)


def test_bf16_is_near(files: dict[str, Path], tiny_model: Path) -> None:
    pairs = random_pairs(3, 20)
    coarse = file_logits(files["openvino"], tiny_model, pairs, precision="bf16")
    assert engine_of(files["openvino"], tiny_model, "bf16").precision == "bf16"
    np.testing.assert_allclose(coarse, torch_logits(tiny_model, pairs), atol=0.3)


@pytest.mark.parametrize(
    "inputs",
    [INPUTS, INPUTS[::-1], ("attention_mask", "input_ids"), ("token_type_ids", "input_ids", "attention_mask")],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32])
def test_inputs_are_known_by_name_in_any_order(
    tiny_model: Path, tmp_path: Path, inputs: tuple[str, ...], kind: int
) -> None:
    model = load_foreign_model(tiny_model)
    batch = next(PairEncoder(model.tokenizer, max_length=64).batches(random_pairs(1, 20)))
    wanted = bag_logits(batch, types="token_type_ids" in inputs)
    network = bag_onnx(inputs=inputs, kind=kind)
    for file in (
        write_onnx(network, tmp_path / "model.onnx"),
        write_ir(network, tmp_path / "openvino_model.xml"),
    ):
        found = OpenVINOFileEngine(file, model, precision="fp32").logits(batch)
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_padding_has_the_id_of_the_configuration(
    make_model: Callable[..., Path], tmp_path: Path
) -> None:
    from tests.test_model_folder import change_config

    folder = make_model()
    change_config(folder, pad_token_id=7)
    file = write_onnx(bag_onnx(inputs=("input_ids",)), tmp_path / "model.onnx")
    ids = np.array([[10, 20, 0, 0]], dtype=np.int32)
    batch = Batch(np.array([0]), ids, np.zeros_like(ids), np.array([2], dtype=np.int32))
    assert engine_of(file, folder).logits(batch) == pytest.approx(0.44)


def test_one_engine_serves_several_threads(files: dict[str, Path], tiny_model: Path) -> None:
    model = load_foreign_model(tiny_model)
    engine = engine_of(files["onnx"], tiny_model)
    encoder = PairEncoder(model.tokenizer, max_length=64)
    batches = [next(encoder.batches(random_pairs(seed, 20, count=4))) for seed in range(16)]
    expected = [engine.logits(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for found, wanted in zip(pool.map(engine.logits, batches), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_weights_beside_an_onnx_file_are_read(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(
        bert_onnx(tiny_model), file, save_as_external_data=True, location="model.onnx_data",
        size_threshold=0,
    )  # fmt: skip
    pairs = random_pairs(5, 30)
    ours = file_logits(file, tiny_model, pairs)
    np.testing.assert_allclose(ours, torch_logits(tiny_model, pairs), atol=1e-5, rtol=0)
    (tmp_path / "model.onnx_data").unlink()
    with pytest.raises(ModelFolderError, match=r"model\.onnx"):
        engine_of(file, tiny_model)


FOREIGN: list[tuple[dict[str, object], str]] = [
    ({"inputs": ("input_ids", "attention_mask", "position_ids")}, "position_ids: i64"),
    ({"inputs": ("ids", "attention_mask")}, "ids: i64"),
    ({"inputs": ("attention_mask",)}, "expected an input 'input_ids'"),
    ({"kind": TensorProto.FLOAT}, "input_ids: f32"),
    ({"shape": (1, 128)}, r"any number of pairs and tokens, found input_ids: i64 \[1,128\]"),
    ({"shape": ("pairs", 128)}, r"any number of pairs and tokens"),
    ({"output": "scores"}, "expected an output 'logits', found scores"),
    ({"labels": 2}, r"one label.*\[\?,2\]"),
    ({"labels": 2, "last": "Softmax"}, r"one label.*\[\?,2\]"),
    ({"reshape": [-1], "output_shape": ("pairs",)}, r"one label.*\[\?\]"),
    ({"reshape": [2, 1]}, r"any number of pairs, found logits: f32 \[2,1\]"),
    ({"rows": [-1, 5]}, "any number of pairs and tokens"),
    ({"last": "Invented"}, "operations that OpenVINO has"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), FOREIGN, ids=str)
def test_a_network_that_is_no_reranker_is_refused_when_it_is_loaded(
    tiny_model: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    file = write_onnx(bag_onnx(**options), tmp_path / "model.onnx")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        engine_of(file, tiny_model)
    assert "backend='torch'" in str(caught.value)


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def a_pointer(file: Path) -> None:
    file.write_text("version https://git-lfs.github.com/spec/v1\n")


@pytest.mark.parametrize("fault", [cut_short, emptied, a_pointer])
@pytest.mark.parametrize("name", ["model.onnx", "openvino_model.xml", "openvino_model.bin"])
def test_a_broken_file_is_an_error_when_it_is_loaded(
    files: dict[str, Path],
    tiny_model: Path,
    tmp_path: Path,
    name: str,
    fault: Callable[[Path], None],
) -> None:
    place = shutil.copytree(files["onnx"].parent, tmp_path / "copy")
    fault(place / name)
    file = place / name.replace(".bin", ".xml")
    with pytest.raises(ModelError) as caught:
        engine_of(file, tiny_model)
    assert isinstance(caught.value, ModelFolderError), caught.value
    assert file.name in str(caught.value)


def test_a_missing_bin_is_named(files: dict[str, Path], tiny_model: Path, tmp_path: Path) -> None:
    place = shutil.copytree(files["onnx"].parent, tmp_path / "copy")
    (place / "openvino_model.bin").unlink()
    with pytest.raises(ModelFolderError, match=r"openvino_model\.bin: expected the weights of"):
        engine_of(place / "openvino_model.xml", tiny_model)


def test_a_precision_that_openvino_has_not_is_an_error(
    files: dict[str, Path], tiny_model: Path
) -> None:
    with pytest.raises(ValueError, match="fp16"):
        engine_of(files["onnx"], tiny_model, "fp16")
