"""Which engine runs a model folder.

``"auto"`` takes the first that can: glossrank's own graph, an IR in ``openvino/``, a file in
``onnx/``, transformers' class with torch. Torch and transformers are imported only by the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, get_args

from glossrank.engines.engine import AnyPrecision, Engine
from glossrank.engines.model_files import KINDS, Kind, find_model_file, hub_files, kind_of
from glossrank.engines.openvino import Precision
from glossrank.engines.own import own_engine
from glossrank.errors import MissingExtraError, ModelError, ModelFolderError, UnsupportedModelError
from glossrank.folder_files import WEIGHTS_FILE
from glossrank.foreign_model import (
    SHARDS,
    ForeignModel,
    has_safetensors,
    load_foreign_model,
    weights_files,
)
from glossrank.model_folder import ModelFolder, open_model_folder

Backend = Literal["auto", "openvino", "onnx", "torch"]
Runtime = Literal["openvino", "onnx", "torch"]

_TORCH_MODULES = ("torch", "transformers")


class FindFolder(Protocol):
    """Where the model is; see :func:`glossrank.model_names.find_folder`."""

    def __call__(self, *, files: Sequence[str]) -> Path:
        """The model folder, with those of ``files`` that the model has."""


@dataclass(frozen=True)
class Wanted:
    """What a caller asked for.

    Attributes:
        backend: the runtime, or ``"auto"``.
        file_name: an ``.xml`` or ``.onnx`` file of the folder, or None.
        device: torch's name of a device, or None.
        precision: the arithmetic, or ``"auto"``.

    Raises:
        ValueError: an unknown backend, or options that exclude each other.
    """

    backend: Backend = "auto"
    file_name: str | None = None
    device: str | None = None
    precision: AnyPrecision = "auto"

    def __post_init__(self) -> None:
        if self.backend not in get_args(Backend):
            names = ", ".join(map(repr, get_args(Backend)))
            raise ValueError(f"backend must be one of {names}, got {self.backend!r}.")
        if self.file_name is not None and self.backend not in ("auto", kind_of(self.file_name)):
            raise ValueError(f"backend={self.backend!r} does not read {self.file_name!r}.")
        if not self.on_cpu and (self.backend in KINDS or self.file_name is not None):
            raise ValueError(
                f"device={self.device!r} is for backend='torch' alone; the others run on the CPU."
            )

    @property
    def on_cpu(self) -> bool:
        """Whether OpenVINO, which runs on the CPU, may be chosen."""
        return self.device in (None, "cpu", "cpu:0")

    @property
    def openvino_precision(self) -> Precision:
        """``precision`` where OpenVINO runs.

        Raises:
            ValueError: it does not compute in it.
        """
        if self.precision == "fp16":
            raise ValueError(
                "precision must be 'auto', 'fp32', 'bf16' or 'int8' where OpenVINO runs the model, got "
                "'fp16'; give backend='torch' too."
            )
        return self.precision


@dataclass(frozen=True)
class Chosen:
    """An engine and what it was made of.

    Attributes:
        backend: the runtime: ``"openvino"``, ``"onnx"`` or ``"torch"``.
        engine: ready to run.
        folder: tokenizer and configuration.
        files: the files that the network and its weights were read from.
    """

    backend: Runtime
    engine: Engine
    folder: ModelFolder | ForeignModel
    files: tuple[Path, ...]


def choose_engine(find: FindFolder, wanted: Wanted) -> Chosen:
    """Load the model with the engine that was asked for, or with the first that can run it.

    Raises:
        ModelError: the folder is broken, or nothing that is installed runs the model.
        MissingExtraError: torch is asked for and not installed.
        ValueError: the engine has no such device or precision.
    """
    if wanted.backend == "torch" or not wanted.on_cpu:
        return _with_torch(find, wanted)
    if wanted.backend == "onnx" or wanted.file_name is not None:
        return _named_file(find, wanted)
    path = find(files=[WEIGHTS_FILE])
    try:
        return _own_graph(path, wanted)
    except ModelError as error:
        if isinstance(error, UnsupportedModelError) or not (path / WEIGHTS_FILE).is_file():
            return _instead_of_graph(find, path, wanted, error)
        raise


def _own_graph(path: Path, wanted: Wanted) -> Chosen:
    precision = wanted.openvino_precision
    folder = open_model_folder(path)
    # OpenVINO compiles without Python's lock, so the tokenizer is read meanwhile.
    with ThreadPoolExecutor(max_workers=1) as pool:
        checked = pool.submit(folder.check)
        try:
            engine = own_engine(folder, precision=precision)
        finally:
            # Of two faults the tokenizer's is told: weights that do not fit are the lesser clue.
            checked.result()
    return Chosen("openvino", engine, folder, (path / WEIGHTS_FILE,))


def _instead_of_graph(find: FindFolder, path: Path, wanted: Wanted, reason: ModelError) -> Chosen:
    """The first other engine that runs the model; ``reason`` is why the graph does not."""
    # Two labels or a broken configuration are so for every engine.
    model = load_foreign_model(path)
    ways: list[Callable[[], Chosen | None]] = [partial(_from_file, find, wanted, "openvino", model)]
    if wanted.backend == "auto":
        ways.append(partial(_from_file, find, wanted, "onnx", model))
        if has_safetensors(path) and missing_module() is None:
            ways.append(partial(_with_torch, find, wanted, model))
    for way in ways:
        try:
            chosen = way()
        except UnsupportedModelError as error:
            reason = error
            continue
        if chosen is not None:
            return chosen
    raise _with_hint(reason, path, wanted)


def _with_hint(reason: ModelError, path: Path, wanted: Wanted) -> ModelError:
    """``reason`` with what would run the model instead, if anything would."""
    if wanted.backend != "auto" and find_model_file(path, "onnx") is not None:
        fix = "Give backend='auto' or backend='onnx'."
    elif not has_safetensors(path):
        return reason
    elif missing_module() is not None:
        fix = "Install what runs it: pip install 'glossrank[torch]'"
    elif wanted.backend != "auto":
        fix = "Give backend='auto' or backend='torch'."
    else:
        return reason
    return UnsupportedModelError(
        file=reason.file, expected=reason.expected, found=reason.found, fix=fix
    )


def _named_file(find: FindFolder, wanted: Wanted) -> Chosen:
    kind = "onnx" if wanted.file_name is None else kind_of(wanted.file_name)
    chosen = _from_file(find, wanted, kind)
    if chosen is None:
        path = find(files=[])
        raise ModelFolderError(
            file=path / KINDS[kind].folder / KINDS[kind].name,
            expected=f"a file for backend={kind!r}",
            found="none in this folder",
            fix="Name it with model_kwargs={'file_name': ...}, or give backend='auto'.",
        )
    return chosen


def _from_file(
    find: FindFolder, wanted: Wanted, kind: Kind, model: ForeignModel | None = None
) -> Chosen | None:
    """With the folder's IR or ONNX file, or None where it has none."""
    path = find(files=hub_files(kind, wanted.file_name))
    file = find_model_file(path, kind, wanted.file_name)
    if file is None:
        return None
    from glossrank.engines.openvino_files import OpenVINOFileEngine

    model = model or load_foreign_model(path)
    engine = OpenVINOFileEngine(file, model, precision=wanted.openvino_precision)
    weights = [part for part in KINDS[kind].weights_of(file) if part.is_file()]
    return Chosen(kind, engine, model, (file, *weights))


def _with_torch(find: FindFolder, wanted: Wanted, model: ForeignModel | None = None) -> Chosen:
    missing = missing_module()
    if missing is not None:
        what = "backend='torch'" if wanted.on_cpu else f"device={wanted.device!r}"
        raise MissingExtraError(feature=what, extra="torch", missing=missing)
    path = find(files=[WEIGHTS_FILE])
    if not (path / WEIGHTS_FILE).is_file():
        path = find(files=[SHARDS])
    model = model or load_foreign_model(path)
    # Torch takes a second to import.
    from glossrank.engines.torch import TorchEngine

    engine = TorchEngine(model, device=wanted.device, precision=wanted.precision)
    return Chosen("torch", engine, model, weights_files(path))


def missing_module() -> str | None:
    """The first module of the extra [torch] that is not installed; nothing is imported."""
    return next((name for name in _TORCH_MODULES if find_spec(name) is None), None)
