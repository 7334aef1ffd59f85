from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from glossrank.errors import ModelFolderError, ModelNotFoundError
from glossrank.model_names import PACKAGED_MODELS, find_folder, packaged_names
from tests.tiny_foreign import bert_onnx, write_ir, write_onnx


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
            files = [{"rfilename": name} for name in self._names()]
            self._send(
                json.dumps({"id": "team/ranker", "sha": COMMIT, "siblings": files}).encode(),
                "application/json",
            )
        elif parts[:3] == ["api", "models", "team"] and "tree" in parts:
            entries = [
                {
                    "type": "file",
                    "path": n,
                    "size": (self.folder / n).stat().st_size,
                    "oid": "0" * 40,
                }
                for n in self._names()
            ]
            self._send(json.dumps(entries).encode(), "application/json")
        elif parts[:3] == ["team", "ranker", "resolve"] and "/".join(parts[4:]) in self._names():
            file = self.folder.joinpath(*parts[4:])
            self._send(file.read_bytes(), "application/octet-stream")
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _names(self) -> list[str]:
        found = (p.relative_to(self.folder) for p in self.folder.rglob("*") if p.is_file())
        return sorted(path.as_posix() for path in found)

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hash(body) & 0xFFFFFFFF:x}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[str | None]]]:
    tokens: list[str | None] = []
    handler = type("Hub", (_Hub,), {"folder": folder, "tokens": tokens})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", tokens
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[tuple[str, list[str | None]]]:
    with serving(tiny_model) as served:
        yield served


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


def test_of_a_hub_id_no_more_files_are_downloaded_than_run(
    make_model: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_model()
    network = bert_onnx(folder)
    for name in ("model.onnx", "model_O3.onnx"):
        write_onnx(network, folder / "onnx" / name)
    write_ir(network, folder / "openvino" / "openvino_model.xml")

    def downloaded(cache: str, **options: object) -> set[str]:
        done = ask_hub(endpoint, tmp_path / cache, "team/ranker", **options)
        assert done.returncode == 0, done.stderr
        large = (".safetensors", ".onnx", ".xml", ".bin")
        return {p.name for p in (tmp_path / cache).rglob("snapshots/**/*") if p.suffix in large}

    with serving(folder) as (endpoint, _):
        assert downloaded("own") == {"model.safetensors"}
        assert downloaded("onnx", backend="onnx") == {"model.onnx"}
        named = {"file_name": "onnx/model_O3.onnx"}
        assert downloaded("named", model_kwargs=named) == {"model_O3.onnx"}
        (folder / "model.safetensors").unlink()
        assert downloaded("auto") == {"openvino_model.xml", "openvino_model.bin"}
        # Again without a network.
        assert downloaded("auto", local_files_only=True)
