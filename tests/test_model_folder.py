from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from glossrank.errors import ModelError, ModelFolderError, ModelNotFoundError, UnsupportedModelError
from glossrank.model_folder import (
    PACKAGED_MODELS,
    find_folder,
    load_model_folder,
    packaged_names,
)


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
    change_config(folder, model_type="roberta", architectures=["RobertaForSequenceClassification"])


def bare_encoder(folder: Path) -> None:
    change_config(folder, architectures=["BertModel"])


def other_activation(folder: Path) -> None:
    change_config(folder, hidden_act="relu")


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
    (other_architecture, UnsupportedModelError, "roberta"),
    (bare_encoder, UnsupportedModelError, "BertModel"),
    (other_activation, UnsupportedModelError, "relu"),
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
def test_weights_of_every_float_type_become_fp32(
    make_model: Callable[..., Path], dtype: Any
) -> None:
    folder = make_model()
    exact = load_file(folder / "model.safetensors")
    save_file({k: v.astype(dtype) for k, v in exact.items()}, folder / "model.safetensors")
    weights = load_model_folder(folder).weights()
    for name, array in weights.items():
        assert array.dtype == np.float32
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


def test_packaged_names_folders_and_nothing_else_are_found(
    tiny_model: Path, tmp_path: Path
) -> None:
    assert "finance-terms" in packaged_names()
    assert find_folder("finance-terms") == PACKAGED_MODELS / "finance-terms"
    assert find_folder(tiny_model) == tiny_model
    assert find_folder(str(tiny_model)) == tiny_model
    for missing in ("finance-term", "/no/such/folder", "./a/b", tmp_path / "none"):
        with pytest.raises(ModelNotFoundError, match="which is none of them"):
            find_folder(missing)


def test_a_pickle_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(pickle.dumps(partial(os.mkdir, str(tmp_path / "ran"))))
    with pytest.raises(ModelFolderError, match="can run code"):
        find_folder(file)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ModelFolderError, match="found a file"):
        find_folder(tmp_path / "notes.txt")
    assert not (tmp_path / "ran").exists()


def test_a_hub_id_out_of_reach_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"out of reach.*Connect once.*finance-terms"):
        find_folder("cross-encoder/ms-marco-MiniLM-L6-v2", cache_folder=tmp_path)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Hub(BaseHTTPRequestHandler):
    """Just enough of the hub's HTTP interface to serve one model."""

    folder: Path
    tokens: list[str | None]

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.tokens.append(self.headers.get("Authorization"))
        parts = self.path.split("?")[0].strip("/").split("/")
        if (
            parts[:3] == ["api", "models", "team"]
            and "revision" in parts
            and parts[-1] in ("main", "v1", COMMIT)
        ):
            files = [{"rfilename": p.name} for p in sorted(self.folder.iterdir())]
            self._send(
                json.dumps({"id": "team/ranker", "sha": COMMIT, "siblings": files}).encode(),
                "application/json",
            )
        elif parts[:3] == ["api", "models", "team"] and "tree" in parts:
            entries = [
                {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0" * 40}
                for p in sorted(self.folder.iterdir())
            ]
            self._send(json.dumps(entries).encode(), "application/json")
        elif parts[:3] == ["team", "ranker", "resolve"] and (self.folder / parts[-1]).is_file():
            self._send((self.folder / parts[-1]).read_bytes(), "application/octet-stream")
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hash(body) & 0xFFFFFFFF:x}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[tuple[str, list[str | None]]]:
    tokens: list[str | None] = []
    handler = type("Hub", (_Hub,), {"folder": tiny_model, "tokens": tokens})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", tokens
    server.shutdown()
    thread.join()
    server.server_close()


def ask_hub(
    endpoint: str, cache: Path, hub_id: str, **options: object
) -> subprocess.CompletedProcess[str]:
    """Load by hub id in a process of its own: the hub client reads its settings at import."""
    program = (
        "import sys; from glossrank import CrossEncoder, GlossrankError\n"
        "try:\n"
        f"    model = CrossEncoder({hub_id!r}, cache_folder={str(cache)!r}, **{options!r})\n"
        "except GlossrankError as error:\n"
        "    sys.exit(f'{type(error).__name__}: {error}')\n"
        "print(model.predict(('our profit', 'net profit')))\n"
    )
    settings = {
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_hub_id_is_downloaded_then_read_from_the_cache(
    hub: tuple[str, list[str | None]], tmp_path: Path
) -> None:
    endpoint, tokens = hub
    first = ask_hub(endpoint, tmp_path, "team/ranker", revision="v1", token="hf_secret")
    assert first.returncode == 0, first.stderr
    assert "Bearer hf_secret" in tokens
    served = len(tokens)
    again = ask_hub(endpoint, tmp_path, "team/ranker", revision="v1", local_files_only=True)
    assert again.stdout == first.stdout
    assert len(tokens) == served
    unknown = ask_hub(endpoint, tmp_path, "team/other")
    assert unknown.returncode == 1
    assert "ModelNotFoundError" in unknown.stderr
    assert "token" in unknown.stderr
