"""Which file of a model folder an IR or ONNX engine reads.

Names and places are those of sentence-transformers' ``backend="openvino"`` and ``"onnx"``
(``sentence_transformers/backend``), which optimum writes: ``openvino/openvino_model.xml``,
``onnx/model.onnx``, and quantised ones beside them under longer names.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from glossrank.errors import ModelFolderError

Kind = Literal["openvino", "onnx"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileKind:
    """Where files of one kind are.

    Attributes:
        folder: the folder within the model folder.
        name: the file that is meant when none is named.
        pattern: what the others are called.
        weights: files beside it that can hold the weights; ``{name}`` and ``{stem}`` stand
            for its own name with and without the ending.
    """

    folder: str
    name: str
    pattern: str
    weights: tuple[str, ...]

    def weights_of(self, file: Path) -> list[Path]:
        """Where the weights of ``file`` can be, besides in itself."""
        return [
            file.with_name(name.format(name=file.name, stem=file.stem)) for name in self.weights
        ]


KINDS: dict[Kind, FileKind] = {
    "openvino": FileKind(
        folder="openvino",
        name="openvino_model.xml",
        pattern="openvino_model*.xml",
        weights=("{stem}.bin",),
    ),
    "onnx": FileKind(
        folder="onnx",
        name="model.onnx",
        pattern="*.onnx",
        # Of models beyond 2 GB: optimum's and onnxruntime's spelling.
        weights=("{name}_data", "{name}.data"),
    ),
}
_ENDINGS: dict[str, Kind] = {".xml": "openvino", ".onnx": "onnx"}


def kind_of(file_name: str) -> Kind:
    """``"openvino"`` or ``"onnx"``, by the ending.

    Raises:
        ValueError: another ending, or a path that leads out of the model folder.
    """
    path = PurePosixPath(Path(file_name).as_posix())
    if path.is_absolute() or ".." in path.parts or path.suffix not in _ENDINGS:
        raise ValueError(
            f"file_name must be an .xml or .onnx file within the model folder, got {file_name!r}."
        )
    return _ENDINGS[path.suffix]


def hub_files(backend: Kind, file_name: str | None = None) -> list[str]:
    """Names to ask the hub for, so that :func:`find_model_file` finds what is there."""
    kind = KINDS[backend]
    file = Path(file_name or kind.name)
    names = [path.as_posix() for path in (file, *kind.weights_of(file))]
    return names + [f"{kind.folder}/{name}" for name in names]


def find_model_file(folder: Path, backend: Kind, file_name: str | None = None) -> Path | None:
    """The file to read, or None where the folder has none of that kind.

    A name is looked for in the model folder, then in ``openvino/`` or ``onnx/``, as
    sentence-transformers does. Where none is named and the usual one is missing, the first
    of the others in the order of their names (a quantised one, as a rule) is taken.

    Raises:
        ModelFolderError: the named file is not there.
    """
    kind = KINDS[backend]
    name = file_name or kind.name
    for file in (folder / name, folder / kind.folder / name):
        if file.is_file():
            return file
    others = sorted((folder / kind.folder).glob(kind.pattern))
    if file_name is not None:
        there = [f"{kind.folder}/{file.name}" for file in others]
        raise ModelFolderError(
            file=folder / name,
            expected=f"a file of that name, in the folder or in {kind.folder}/",
            found=", ".join(there) or f"no file of that kind in {kind.folder}/",
            fix="Give one that is there as model_kwargs={'file_name': ...}.",
        )
    if len(others) > 1:
        logger.warning(
            "%s has several files and no %s; %s is taken. Choose with model_kwargs={'file_name': ...}.",
            folder / kind.folder, kind.name, others[0].name,
        )  # fmt: skip
    return others[0] if others else None
