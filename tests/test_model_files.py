from __future__ import annotations

import logging
from pathlib import Path

import pytest

from glossrank.engines.model_files import find_model_file, hub_files, kind_of
from glossrank.errors import ModelFolderError


def folder_with(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    return path


def test_the_usual_names_come_first(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path,
        "openvino/openvino_model.xml", "openvino/openvino_model_qint8_quantized.xml",
        "openvino/openvino_tokenizer.xml",
        "onnx/model.onnx", "onnx/model_O3.onnx", "onnx/model_quantized.onnx",
    )  # fmt: skip
    assert find_model_file(folder, "openvino") == folder / "openvino" / "openvino_model.xml"
    assert find_model_file(folder, "onnx") == folder / "onnx" / "model.onnx"


def test_a_file_in_the_folder_itself_is_found(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "model.onnx", "onnx/model.onnx", "openvino_model.xml")
    assert find_model_file(folder, "onnx") == folder / "model.onnx"
    assert find_model_file(folder, "openvino") == folder / "openvino_model.xml"


@pytest.mark.parametrize("name", ["openvino_model_qint8_quantized.xml", "openvino_model_b.xml"])
def test_a_named_file_is_found_with_and_without_its_folder(tmp_path: Path, name: str) -> None:
    folder = folder_with(
        tmp_path, "openvino/openvino_model.xml",
        "openvino/openvino_model_qint8_quantized.xml", "openvino/openvino_model_b.xml",
    )  # fmt: skip
    for given in (name, f"openvino/{name}"):
        assert find_model_file(folder, "openvino", given) == folder / "openvino" / name


def test_the_only_other_file_is_taken_and_of_several_the_first_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = folder_with(
        tmp_path, "onnx/model_qint8_avx512.onnx", "openvino/openvino_tokenizer.xml"
    )
    with caplog.at_level(logging.WARNING):
        assert find_model_file(folder, "onnx") == folder / "onnx" / "model_qint8_avx512.onnx"
        assert caplog.text == ""
        folder_with(tmp_path, "onnx/model_qint8_arm64.onnx")
        assert find_model_file(folder, "onnx") == folder / "onnx" / "model_qint8_arm64.onnx"
    assert "model_qint8_arm64.onnx is taken" in caplog.text
    assert find_model_file(folder, "openvino") is None


def test_a_named_file_that_is_not_there_is_an_error_with_those_that_are(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "onnx/model.onnx", "onnx/model_O3.onnx")
    with pytest.raises(ModelFolderError, match=r"found onnx/model\.onnx, onnx/model_O3\.onnx"):
        find_model_file(folder, "onnx", "model_O4.onnx")
    with pytest.raises(ModelFolderError, match="no file of that kind in openvino/"):
        find_model_file(folder, "openvino", "openvino_model.xml")


def test_the_ending_says_which_kind_and_no_path_leads_out_of_the_folder() -> None:
    assert kind_of("openvino/openvino_model.xml") == "openvino"
    assert kind_of("model.onnx") == "onnx"
    for wrong in ("model.safetensors", "pytorch_model.bin", "../model.onnx", "/a/model.onnx", ""):
        with pytest.raises(ValueError, match="within the model folder"):
            kind_of(wrong)


def test_the_hub_is_asked_for_the_file_and_its_weights() -> None:
    assert hub_files("openvino") == [
        "openvino_model.xml", "openvino_model.bin",
        "openvino/openvino_model.xml", "openvino/openvino_model.bin",
    ]  # fmt: skip
    names = hub_files("onnx", "onnx/model_O3.onnx")
    assert {"onnx/model_O3.onnx", "onnx/model_O3.onnx_data"} <= set(names)
    assert "onnx/model_O3.onnx" in hub_files("onnx", "model_O3.onnx")
