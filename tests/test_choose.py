from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glossrank import CrossEncoder
from glossrank.engines.choose import Chosen, Wanted, choose_engine, missing_module
from glossrank.errors import MissingExtraError, ModelError, ModelFolderError, UnsupportedModelError
from glossrank.model_names import find_folder
from tests.conftest import write_tiny_model
from tests.test_model_folder import change_config, pickle_only, truncated_weights, two_labels
from tests.test_openvino import random_pairs
from tests.tiny_foreign import (
    bag_onnx,
    bert_onnx,
    keep_only_shards,
    write_foreign_model,
    write_ir,
    write_onnx,
)

PAIRS = random_pairs(11, 30)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT folder with everything: weights, IR and ONNX, all of one network."""
    folder = write_tiny_model(tmp_path_factory.mktemp("full") / "bert")
    network = bert_onnx(folder)
    write_ir(network, folder / "openvino" / "openvino_model.xml")
    write_ir(bag_onnx(), folder / "openvino" / "openvino_model_qint8_quantized.xml")
    write_onnx(network, folder / "onnx" / "model.onnx")
    return folder


@pytest.fixture
def own_copy(full: Path, tmp_path: Path) -> Path:
    """A copy of ``full`` to break."""
    return shutil.copytree(full, tmp_path / "copy")


@pytest.fixture(scope="module")
def deberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without a graph of its own; never write into it."""
    return write_foreign_model(tmp_path_factory.mktemp("foreign") / "deberta")


def choose(folder: Path, **options: Any) -> Chosen:
    return choose_engine(partial(find_folder, folder), Wanted(**options))


def names(chosen: Chosen) -> list[str]:
    return [file.relative_to(chosen.folder.path).as_posix() for file in chosen.files]


def test_auto_goes_from_the_own_graph_over_files_to_torch(own_copy: Path) -> None:
    def found() -> tuple[str, list[str]]:
        chosen = choose(own_copy)
        return chosen.backend, names(chosen)

    assert found() == ("openvino", ["model.safetensors"])
    # The same network under a name that has no graph.
    change_config(own_copy, hidden_act="gelu_python", hidden_dropout_prob=0.0)
    assert found() == ("openvino", ["openvino/openvino_model.xml", "openvino/openvino_model.bin"])
    shutil.rmtree(own_copy / "openvino")
    assert found() == ("onnx", ["onnx/model.onnx"])
    shutil.rmtree(own_copy / "onnx")
    assert found() == ("torch", ["model.safetensors"])


def test_files_run_where_there_are_no_weights(own_copy: Path) -> None:
    wanted = CrossEncoder(own_copy, precision="fp32").predict(PAIRS)
    (own_copy / "model.safetensors").unlink()
    for backend in ("openvino", "onnx"):
        model = CrossEncoder(own_copy, precision="fp32")
        assert (model.backend, model.device, model.precision) == (backend, "cpu", "fp32")
        np.testing.assert_allclose(model.predict(PAIRS), wanted, atol=1e-5)
        shutil.rmtree(own_copy / backend)
    with pytest.raises(ModelFolderError, match=r"no model\.safetensors"):
        CrossEncoder(own_copy)


def test_openvino_is_the_own_graph_where_there_is_one_else_the_ir(own_copy: Path) -> None:
    assert names(choose(own_copy, backend="openvino")) == ["model.safetensors"]
    (own_copy / "model.safetensors").unlink()
    assert names(choose(own_copy, backend="openvino"))[0] == "openvino/openvino_model.xml"
    shutil.rmtree(own_copy / "openvino")
    with pytest.raises(UnsupportedModelError, match="Give backend='auto' or backend='onnx'"):
        choose(own_copy, backend="openvino")


def test_every_backend_gives_the_same_scores(full: Path) -> None:
    wanted = CrossEncoder(full, precision="fp32").predict(PAIRS)
    for options in (
        {"backend": "onnx"},
        {"backend": "torch"},
        {"model_kwargs": {"file_name": "model.onnx"}},
        {"model_kwargs": {"file_name": "onnx/model.onnx"}, "backend": "onnx"},
        {"model_kwargs": {"file_name": "openvino/openvino_model.xml"}, "backend": "openvino"},
    ):
        model = CrossEncoder(full, precision="fp32", device="cpu", **options)
        assert model.backend == options.get("backend", "onnx")
        np.testing.assert_allclose(model.predict(PAIRS), wanted, atol=1e-5)


def test_a_named_file_is_taken_before_the_own_graph(full: Path) -> None:
    for name in (
        "openvino_model_qint8_quantized.xml",
        "openvino/openvino_model_qint8_quantized.xml",
    ):
        chosen = choose(full, file_name=name)
        assert chosen.backend == "openvino"
        assert names(chosen)[0] == "openvino/openvino_model_qint8_quantized.xml"
    with pytest.raises(ModelFolderError, match=r"found onnx/model\.onnx"):
        choose(full, file_name="model_O4.onnx")


def test_a_file_that_cannot_run_gives_way_to_torch_and_a_broken_one_does_not(
    deberta: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(deberta, tmp_path / "deberta")
    file = write_onnx(bag_onnx(output="last_hidden_state"), folder / "onnx" / "model.onnx")
    assert choose(folder).backend == "torch"
    with pytest.raises(UnsupportedModelError, match="last_hidden_state"):
        choose(folder, backend="onnx")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelFolderError, match="a whole file"):
        choose(folder)


def test_shards_run_with_torch(make_model: Callable[..., Path]) -> None:
    folder = keep_only_shards(make_model())
    chosen = choose(folder)
    assert (chosen.backend, len(chosen.files)) == ("torch", 3)
    with pytest.raises(UnsupportedModelError, match="Give backend='auto' or backend='torch'"):
        choose(folder, backend="openvino")


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (two_labels, UnsupportedModelError, "2 labels"),
        (truncated_weights, ModelFolderError, "a whole safetensors file"),
        (pickle_only, ModelFolderError, "a pickle"),
    ],
)
def test_a_fault_of_the_folder_is_no_reason_to_try_another_engine(
    make_model: Callable[..., Path],
    fault: Callable[[Path], None],
    kind: type[ModelError],
    message: str,
) -> None:
    folder = make_model()
    fault(folder)
    with pytest.raises(kind, match=message):
        choose(folder)


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_without_torch_the_error_says_what_to_install(
    deberta: Path, tiny_model: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert missing_module() is None
    monkeypatch.setitem(sys.modules, missing, None)
    assert missing_module() == missing
    with pytest.raises(UnsupportedModelError, match=r"deberta.*pip install 'glossrank\[torch\]'"):
        choose(deberta)
    with pytest.raises(MissingExtraError, match=r"backend='torch'.*'glossrank\[torch\]'"):
        choose(tiny_model, backend="torch")
    with pytest.raises(MissingExtraError, match=r"device='cuda'.*'glossrank\[torch\]'"):
        choose(tiny_model, device="cuda")
    assert choose(tiny_model).backend == "openvino"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "tensorrt"}, "'auto', 'openvino', 'onnx', 'torch', got 'tensorrt'"),
        ({"backend": "onnx", "file_name": "openvino_model.xml"}, "does not read"),
        ({"backend": "torch", "file_name": "model.onnx"}, "does not read"),
        ({"file_name": "model.bin"}, r"an \.xml or \.onnx file"),
        ({"backend": "openvino", "device": "cuda"}, "for backend='torch' alone"),
        ({"file_name": "model.onnx", "device": "mps"}, "for backend='torch' alone"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Wanted(**options)


def test_fp16_is_torchs_alone(full: Path) -> None:
    for options in ({}, {"backend": "onnx"}, {"backend": "openvino"}):
        with pytest.raises(ValueError, match="'bf16' or 'int8' where OpenVINO runs the model"):
            choose(full, precision="fp16", **options)
    assert choose(full, precision="fp16", backend="torch", device="cpu").engine.precision == "fp16"


def test_a_device_leads_to_torch_and_has_to_be_there(full: Path) -> None:
    with pytest.raises(ValueError, match=r"device must be 'cpu'.*got 'cuda:99'"):
        CrossEncoder(full, device="cuda:99")
    with pytest.raises(ValueError, match="got 'xpu:0'"):
        CrossEncoder(full, device=torch.device("xpu", 0))
    assert CrossEncoder(full, device=torch.device("cpu", 0)).backend == "openvino"
    model = CrossEncoder(full, backend="torch", device=torch.device("cpu"))
    assert model.device == "cpu"
    assert np.ndim(model.predict(PAIRS[0], device="cpu:0")) == 0
    with pytest.raises(ValueError, match="where the model is"):
        model.predict(PAIRS[0], device="cuda")


def test_the_fingerprint_is_of_the_file_that_runs(full: Path) -> None:
    models = [
        CrossEncoder(full),
        CrossEncoder(full, backend="onnx"),
        CrossEncoder(full, model_kwargs={"file_name": "openvino_model.xml"}),
    ]
    assert len({model.fingerprint for model in models}) == 3
    # The same weights, whatever multiplies them.
    torchs = CrossEncoder(full, backend="torch", device="cpu")
    assert torchs.fingerprint == models[0].fingerprint


def test_a_saved_folder_has_the_file_that_runs(full: Path, tmp_path: Path) -> None:
    for backend in ("openvino", "onnx"):
        folder = shutil.copytree(full, tmp_path / f"{backend}-only")
        (folder / "model.safetensors").unlink()
        model = CrossEncoder(folder, backend=backend, precision="fp32")
        model.save_pretrained(tmp_path / backend)
        again = CrossEncoder(tmp_path / backend, precision="fp32")
        assert again.backend == backend
        assert not (tmp_path / backend / "model.safetensors").exists()
        np.testing.assert_array_equal(again.predict(PAIRS), model.predict(PAIRS))


@pytest.mark.parametrize("backend", ["auto", "openvino", "onnx"])
def test_torch_and_transformers_are_imported_only_where_they_run(full: Path, backend: str) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from glossrank import CrossEncoder\n"
        "model = CrossEncoder(Path(sys.argv[1]), backend=sys.argv[2])\n"
        "model.predict(('our profit', 'net profit'))\n"
        "heavy = {'torch', 'transformers', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
        "sys.exit(f'{heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(full), backend],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
