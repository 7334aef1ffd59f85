from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from glossrank.encoding import TOKEN_BUDGET, PairEncoder
from glossrank.engines.devices import Devices
from glossrank.engines.torch import GPU_TOKEN_BUDGET, TorchEngine, find_devices
from glossrank.errors import ModelError, ModelFolderError, UnsupportedModelError
from glossrank.foreign_model import load_foreign_model
from tests.test_model_folder import change_config, change_weights, truncated_weights
from tests.test_openvino import engine_logits, random_pairs
from tests.tiny_foreign import keep_only_shards, write_foreign_model

KINDS = ["deberta-v2", "deberta", "albert", "mpnet", "llama", "xlnet"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder of each kind; never write into them."""
    place = tmp_path_factory.mktemp("foreign")
    return {kind: write_foreign_model(place / kind, kind) for kind in KINDS}


def torch_engine_logits(
    folder: Path, pairs: list[tuple[str, str]], **options: Any
) -> tuple[np.ndarray, TorchEngine]:
    model = load_foreign_model(folder)
    engine = TorchEngine(model, **options)
    encoder = PairEncoder(model.tokenizer, max_length=model.max_length)
    logits = np.full(len(pairs), np.nan, dtype=np.float32)
    for batch in encoder.batches(pairs, token_budget=engine.token_budget):
        found = engine.logits(batch)
        assert found.dtype == np.float32
        assert found.shape == batch.rows.shape
        logits[batch.rows] = found
    return logits, engine


def alone_logits(folder: Path, pairs: list[tuple[str, str]], *, types: bool) -> np.ndarray:
    """transformers' own logits, one pair at a time, so without padding."""
    model = load_foreign_model(folder)
    network = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    encoder = PairEncoder(model.tokenizer, max_length=model.max_length)
    logits = np.full(len(pairs), np.nan, dtype=np.float32)
    with torch.inference_mode():
        for batch in encoder.batches(pairs, max_pairs=1):
            given = {"input_ids": torch.from_numpy(batch.input_ids.astype(np.int64))}
            if types:
                given["token_type_ids"] = torch.from_numpy(batch.token_type_ids.astype(np.int64))
            logits[batch.rows] = network.eval()(**given).logits[:, 0].numpy()
    return logits


@pytest.mark.parametrize("kind", KINDS)
def test_logits_equal_transformers(folders: dict[str, Path], kind: str) -> None:
    pairs = random_pairs(3, 60, count=20)
    ours, engine = torch_engine_logits(folders[kind], pairs, precision="fp32", device="cpu")
    assert (engine.device, engine.precision) == ("cpu", "fp32")
    types = kind not in ("mpnet", "llama")
    wanted = alone_logits(folders[kind], pairs, types=types)
    assert np.ptp(wanted) > 0.01
    np.testing.assert_allclose(ours, wanted, atol=1e-5, rtol=0)


def test_logits_equal_the_own_graph(tiny_model: Path) -> None:
    pairs = random_pairs(4, 200, count=20)
    ours, _ = torch_engine_logits(tiny_model, pairs, precision="fp32", device="cpu")
    np.testing.assert_allclose(ours, engine_logits(tiny_model, pairs), atol=1e-5, rtol=0)


def test_without_an_id_for_padding_pairs_run_alone(tmp_path: Path) -> None:
    folder = write_foreign_model(tmp_path / "llama", "llama", pad_token_id=None)
    pairs = random_pairs(5, 30)
    ours, _ = torch_engine_logits(folder, pairs, precision="fp32", device="cpu")
    wanted = alone_logits(folder, pairs, types=False)
    np.testing.assert_allclose(ours, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("kind", ["deberta-v2", "llama", "mpnet"])
def test_half_precision_is_near_and_its_logits_are_fp32(
    folders: dict[str, Path], kind: str, precision: str
) -> None:
    pairs = random_pairs(6, 30, count=60)
    exact, _ = torch_engine_logits(folders[kind], pairs, precision="fp32", device="cpu")
    coarse, engine = torch_engine_logits(folders[kind], pairs, precision=precision, device="cpu")
    assert engine.precision == precision
    np.testing.assert_allclose(coarse, exact, atol=0.3)
    rounded = torch.from_numpy(coarse).to(torch.bfloat16).float().numpy()
    assert (rounded != coarse).any()


def test_auto_is_fp32_where_a_network_refuses_half_precision(folders: dict[str, Path]) -> None:
    model = load_foreign_model(folders["deberta"])
    devices = Devices(cpu_bf16=True)
    assert TorchEngine(model, devices=devices).precision == "fp32"
    with pytest.raises(UnsupportedModelError, match=r"computes in bf16 on cpu.*precision='fp32'"):
        TorchEngine(model, precision="bf16", devices=devices)


def test_the_device_is_looked_for_and_the_precision_follows_it(folders: dict[str, Path]) -> None:
    model = load_foreign_model(folders["albert"])
    devices = find_devices()
    engine = TorchEngine(model)
    assert engine.device == devices.names()[0]
    assert engine.token_budget == (TOKEN_BUDGET if engine.device == "cpu" else GPU_TOKEN_BUDGET)
    for bf16, precision in ((True, "bf16"), (False, "fp32")):
        engine = TorchEngine(model, device="cpu", devices=Devices(cpu_bf16=bf16))
        assert engine.precision == precision
    with pytest.raises(ValueError, match="got 'cuda:99'"):
        TorchEngine(model, device="cuda:99")
    with pytest.raises(ValueError, match="int3"):
        TorchEngine(model, precision="int3")  # type: ignore[arg-type]


@pytest.mark.skipif(find_devices().names() == ["cpu"], reason="torch finds no GPU here")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_what_the_cpu_gives(folders: dict[str, Path], kind: str) -> None:
    pairs = random_pairs(9, 60, count=40)
    wanted, _ = torch_engine_logits(folders[kind], pairs, precision="fp32", device="cpu")
    exact, engine = torch_engine_logits(folders[kind], pairs, precision="fp32")
    assert engine.device != "cpu"
    assert engine.token_budget == GPU_TOKEN_BUDGET
    np.testing.assert_allclose(exact, wanted, atol=1e-3)
    coarse, _ = torch_engine_logits(folders[kind], pairs)
    np.testing.assert_allclose(coarse, wanted, atol=0.5)


def test_one_engine_serves_several_threads(folders: dict[str, Path]) -> None:
    model = load_foreign_model(folders["deberta-v2"])
    engine = TorchEngine(model, precision="fp32", device="cpu")
    encoder = PairEncoder(model.tokenizer, max_length=64)
    batches = [next(encoder.batches(random_pairs(seed, 20, count=4))) for seed in range(16)]
    expected = [engine.logits(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for found, wanted in zip(pool.map(engine.logits, batches), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_shards_are_read(tiny_model: Path, make_model: Callable[..., Path]) -> None:
    pairs = random_pairs(7, 20)
    folder = keep_only_shards(make_model())
    ours, _ = torch_engine_logits(folder, pairs, precision="fp32", device="cpu")
    np.testing.assert_allclose(ours, engine_logits(tiny_model, pairs), atol=1e-5, rtol=0)


def no_head(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.pop("classifier.weight"))
    keep_format(folder)


def other_sizes(folder: Path) -> None:
    change_config(folder, intermediate_size=48)


def unknown_family(folder: Path) -> None:
    change_config(folder, model_type="invented", architectures=["NewForSequenceClassification"])


def own_code(folder: Path) -> None:
    """Code that comes with the model, which must not run."""
    unknown_family(folder)
    change_config(folder, auto_map={"AutoConfig": "own.C", "AutoModelForSequenceClassification": "own.M"})  # fmt: skip
    (folder / "own.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")


def adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "team/other"}')


def quantised(folder: Path) -> None:
    change_config(
        folder, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}
    )


def pickle_in_the_index(folder: Path) -> None:
    keep_only_shards(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"classifier.weight": "pytorch_model.bin"}}))


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def keep_format(folder: Path) -> None:
    """transformers wants to know who wrote the weights."""
    weights = load_file(folder / "model.safetensors")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


FAULTS: list[tuple[Callable[[Path], None], type[ModelError], str]] = [
    (truncated_weights, ModelFolderError, "cannot load"),
    (no_head, ModelFolderError, r"found none for classifier\.weight"),
    (other_sizes, ModelFolderError, "cannot load"),
    (pickle_in_the_index, ModelFolderError, r"'pytorch_model\.bin'"),
    (pickle_only, ModelFolderError, "a pickle"),
    (unknown_family, UnsupportedModelError, "invented"),
    (own_code, UnsupportedModelError, "never run"),
    (adapter, UnsupportedModelError, "an adapter to another model"),
    (quantised, UnsupportedModelError, "a quantization_config"),
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
        TorchEngine(load_foreign_model(folder), precision="fp32", device="cpu")
    assert str(folder) in str(caught.value)
    assert not (folder / "ran").exists()


def test_attention_code_that_a_configuration_names_is_not_fetched(
    make_model: Callable[..., Path], tiny_model: Path
) -> None:
    folder = make_model()
    change_config(folder, attn_implementation="somebody/attention")
    pairs = random_pairs(7, 20)
    ours, _ = torch_engine_logits(folder, pairs, precision="fp32", device="cpu")
    np.testing.assert_allclose(ours, engine_logits(tiny_model, pairs), atol=1e-5, rtol=0)


def test_loading_prints_nothing_and_leaves_the_library_as_it_was(
    folders: dict[str, Path],
) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from glossrank import CrossEncoder\n"
        "model = CrossEncoder(Path(sys.argv[1]), backend='torch', device='cpu')\n"
        "model.predict(('our profit', 'net profit'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folders["deberta-v2"])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    level, bars = (
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
    )
    TorchEngine(load_foreign_model(folders["albert"]), device="cpu")
    assert transformers_logging.get_verbosity() == level
    assert transformers_logging.is_progress_bar_enabled() == bars
