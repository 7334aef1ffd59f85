from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForSequenceClassification

from glossrank import CrossEncoder
from glossrank.encoding import Batch, PairEncoder
from glossrank.engines.openvino import (
    OpenVINOEngine,
    Precision,
    cpu_has_bf16,
    resolve_precision,
)
from glossrank.model_folder import load_model_folder
from tests.conftest import WORDS


def random_pairs(seed: int, most: int, count: int = 12) -> list[tuple[str, str]]:
    """Pairs of 0 to ``most`` words a side, an empty and a longest one among them."""
    random = np.random.default_rng(seed)

    def text(length: int) -> str:
        return " ".join(random.choice(WORDS, length))

    pairs = [
        (text(int(random.integers(0, most))), text(int(random.integers(0, most))))
        for _ in range(count)
    ]
    return [("", ""), (text(most), text(most)), *pairs]


def engine_logits(folder: Path, pairs: list[tuple[str, str]], *, budget: int = 1000) -> np.ndarray:
    model = load_model_folder(folder)
    engine = OpenVINOEngine(model, precision="fp32")
    encoder = PairEncoder(model.tokenizer, max_length=model.max_length)
    logits = np.full(len(pairs), np.nan, dtype=np.float32)
    for batch in encoder.batches(pairs, token_budget=budget):
        logits[batch.rows] = engine.logits(batch)
    return logits


def torch_logits(folder: Path, pairs: list[tuple[str, str]]) -> np.ndarray:
    """transformers' own logits, one pair at a time, so without padding."""
    model = load_model_folder(folder)
    reference = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32
    ).eval()
    encoder = PairEncoder(model.tokenizer, max_length=model.max_length)
    logits = np.full(len(pairs), np.nan, dtype=np.float32)
    with torch.inference_mode():
        for batch in encoder.batches(pairs, max_pairs=1):
            ids = torch.from_numpy(batch.input_ids.astype(np.int64))
            types = torch.from_numpy(batch.token_type_ids.astype(np.int64))
            logits[batch.rows] = reference(input_ids=ids, token_type_ids=types).logits[:, 0].numpy()
    return logits


@pytest.mark.parametrize(
    ("layers", "hidden", "heads", "most_words"),
    [(1, 16, 1, 8), (2, 32, 4, 300), (3, 48, 3, 21), (6, 24, 2, 60)],
)
def test_logits_equal_transformers(
    make_model: Callable[..., Path], layers: int, hidden: int, heads: int, most_words: int
) -> None:
    folder = make_model(layers=layers, hidden=hidden, heads=heads, seed=layers)
    pairs = random_pairs(layers, most_words)
    ours, theirs = engine_logits(folder, pairs), torch_logits(folder, pairs)
    assert np.ptp(theirs) > 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


def test_scores_do_not_depend_on_the_batch(tiny_model: Path) -> None:
    pairs = random_pairs(5, 40, count=30)
    alone = engine_logits(tiny_model, pairs, budget=1)
    together = engine_logits(tiny_model, pairs, budget=100_000)
    np.testing.assert_allclose(alone, together, atol=1e-5, rtol=0)


def test_one_engine_serves_several_threads(tiny_model: Path) -> None:
    model = load_model_folder(tiny_model)
    engine = OpenVINOEngine(model, precision="fp32")
    encoder = PairEncoder(model.tokenizer, max_length=64)
    batches = [next(iter(encoder.batches(random_pairs(seed, 20, count=4)))) for seed in range(24)]
    expected = [engine.logits(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for found, wanted in zip(pool.map(engine.logits, batches), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_a_result_is_not_overwritten_by_the_next(tiny_model: Path) -> None:
    model = load_model_folder(tiny_model)
    engine = OpenVINOEngine(model, precision="fp32")

    def batch(token: int) -> Batch:
        ids = np.full((1, 4), token, dtype=np.int32)
        return Batch(np.array([0]), ids, np.zeros_like(ids), np.array([4], dtype=np.int32))

    first = engine.logits(batch(6))
    kept = first.copy()
    assert engine.logits(batch(9)) != kept
    assert first == kept


def test_precision_follows_the_cpu(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    on_x86 = platform.machine() in ("x86_64", "AMD64")
    for flags in ("avx512_bf16", "amx_bf16 amx_tile"):
        cpuinfo.write_text(f"flags\t\t: fpu {flags}\n")
        assert cpu_has_bf16(cpuinfo) is on_x86
    cpuinfo.write_text("flags\t\t: fpu avx512f avx512_vnni amx_tile\n")
    assert not cpu_has_bf16(cpuinfo)
    assert not cpu_has_bf16(tmp_path / "none")
    assert resolve_precision("auto") == ("bf16" if cpu_has_bf16() else "fp32")
    assert resolve_precision("bf16") == "bf16"
    with pytest.raises(ValueError, match="int3"):
        resolve_precision("int3")  # type: ignore[arg-type]


def test_a_search_opens_no_connection_and_leaves_nothing_at_home(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "seen = []\n"
        "def hook(event, args):\n"
        "    if event.startswith(('socket.connect', 'socket.getaddrinfo', 'urllib.')):\n"
        "        seen.append(event)\n"
        "sys.addaudithook(hook)\n"
        "from glossrank import Glossary\n"
        "Glossary.load().search('who owes us money?', 1)\n"
        "import time\n"
        "time.sleep(0.5)\n"
        "sys.exit(f'{seen}' if seen or 'openvino_telemetry' in sys.modules else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_converter_that_is_not_imported_is_there_when_asked_for() -> None:
    program = (
        "import sys; from glossrank import CrossEncoder; import openvino\n"
        "assert 'openvino.tools.ovc' not in sys.modules\n"
        "from openvino import convert_model; import openvino.tools.ovc as real\n"
        "assert convert_model is real.convert_model is openvino.convert_model\n"
        "assert not hasattr(openvino, 'nothing')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("stored", [np.float16, np.float32])
def test_a_loaded_model_does_not_need_its_file(
    make_model: Callable[..., Path], stored: type, precision: Precision
) -> None:
    folder = make_model(hidden=64)
    file = folder / "model.safetensors"
    save_file({k: v.astype(stored) for k, v in load_file(file).items()}, file)
    model = CrossEncoder(folder, precision=precision)
    expected = model.logits([("who owes us", "cash")])
    gc.collect()
    assert str(file) not in Path("/proc/self/maps").read_text()
    file.write_bytes(b"")
    np.testing.assert_array_equal(model.logits([("who owes us", "cash")]), expected)


@pytest.mark.parametrize("isa", ["AVX2", "AVX512_CORE", "AVX512_CORE_VNNI"])
def test_switched_off_instructions_leave_the_answers_right(isa: str) -> None:
    program = (
        "import sys, json; from glossrank import CrossEncoder\n"
        "pairs = [('who owes us money?', d) for d in ('Sums customers owe.', 'Import duties.')]\n"
        "kinds = ('fp32', 'auto', 'int8')\n"
        "json.dump([CrossEncoder('finance-terms', precision=kind).logits(pairs).tolist()"
        " for kind in kinds], sys.stdout)"
    )
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": isa}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    pairs = [("who owes us money?", d) for d in ("Sums customers owe.", "Import duties.")]
    wanted = CrossEncoder("finance-terms", precision="fp32").logits(pairs)
    exact, default, whole = json.loads(done.stdout)
    assert exact == pytest.approx(wanted, abs=1e-4)
    # bf16 is switched off too.
    assert default == exact
    assert whole == pytest.approx(wanted, abs=0.2)
