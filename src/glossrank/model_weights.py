"""The tensors of ``model.safetensors``, checked against a configuration.

Only safetensors are read, never a pickle: a pickle can run code.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
from numpy.typing import NDArray

from glossrank.architectures import ModelConfig
from glossrank.errors import ModelFolderError

FloatArray = NDArray[np.float32]
WeightArray = NDArray[np.float32] | NDArray[np.float16]
"""Matrices stay fp16 where the file has them so: the graph's compiler converts them faster."""

# Names that TensorFlow's first checkpoints gave the parts of a layer norm.
_OLDER_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
# Of an fp16 number: all bits but the sign, and the exponent of what is not finite.
_NO_SIGN, _EXPONENT = np.uint16(0x7FFF), 0x7C00
_PART = 65_536


def read_weights(path: Path, config: ModelConfig) -> dict[str, WeightArray]:
    """Every tensor that the graph reads, by transformers' names; others are ignored.

    Matrices are fp16 or fp32, vectors fp32.

    Raises:
        ModelFolderError: the file is truncated, or a tensor is missing, there twice, of a
            wrong shape, of an unknown dtype, or not finite.
    """
    tensors = _map_tensors(path)
    wanted = config.tensors()
    names = _names_in_file(path, tensors, wanted, config.prefix)
    weights: dict[str, WeightArray] = {}
    for name, shape in wanted.items():
        if name not in names:
            raise _bad_tensor(path, f"a tensor {name!r}", "none of that name")
        array = _to_array(path, name, tensors[names[name]])
        if array.shape != shape:
            raise _bad_tensor(path, f"{name!r} of shape {shape}", f"{array.shape}")
        if not _all_finite(array):
            raise _bad_tensor(path, f"finite numbers in {name!r}", "NaN or infinity")
        weights[name] = array
    return weights


@dataclass(frozen=True)
class _Stored:
    """A tensor as it lies in the file: safetensors' name of its type, its shape, its bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: NDArray[np.uint8]


def _map_tensors(path: Path) -> dict[str, _Stored]:
    """Every tensor of a file, mapped into memory: what is not looked at is not read.

    The mapping ends with the last array that is a view of it.
    """
    try:
        # The library checks the header against the size of the file.
        with safetensors.safe_open(path, framework="np"):
            content = np.asarray(np.memmap(path, dtype=np.uint8, mode="c"))
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelFolderError(
            file=path,
            expected="a whole safetensors file",
            found=f"one that cannot be read ({error})",
            fix="Copy or download the file again; it may be cut short.",
        ) from error
    # The format: eight bytes that count those of the header, the header, the tensors.
    start = 8 + int(content[:8].view("<u8")[0])
    header = json.loads(content[8:start].tobytes())
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, end = (start + offset for offset in entry["data_offsets"])
            tensors[name] = _Stored(entry["dtype"], tuple(entry["shape"]), content[first:end])
    return tensors


def _all_finite(array: WeightArray) -> bool:
    if array.dtype != np.float16:
        return bool(np.isfinite(array).all())
    # numpy converts each fp16 number to look at it, which takes seven times as long as this: all
    # that are not finite have all five bits of the exponent set. In parts that stay in the cache.
    bits = array.reshape(-1).view(np.uint16)
    parts = (bits[at : at + _PART] for at in range(0, len(bits), _PART))
    return all(int((part & _NO_SIGN).max()) < _EXPONENT for part in parts)


def _names_in_file(
    path: Path, tensors: Collection[str], wanted: Collection[str], prefix: str
) -> dict[str, str]:
    """The file's name of each wanted tensor that it has."""
    names: dict[str, str] = {}
    for name in tensors:
        known = present_name(name, wanted, prefix)
        if known not in wanted:
            continue
        if known in names:
            raise _bad_tensor(path, f"one tensor {known!r}", f"{names[known]!r} and {name!r}")
        names[known] = name
    return names


def present_name(name: str, wanted: Collection[str], prefix: str) -> str:
    """Today's name of a tensor that an older file calls ``name``.

    The rules are those by which transformers 5 loads such files (``rename_source_key``):
    a layer norm's ``gamma`` and ``beta``, and a ``prefix`` too many or too few.
    """
    for older, newer in _OLDER_NAMES.items():
        name = name.replace(older, newer)
    if name.startswith(f"{prefix}.") and name.removeprefix(f"{prefix}.") in wanted:
        return name.removeprefix(f"{prefix}.")
    return f"{prefix}.{name}" if f"{prefix}.{name}" in wanted else name


def _to_array(path: Path, name: str, tensor: _Stored) -> WeightArray:
    dtype, data, shape = tensor.dtype, tensor.data, tensor.shape
    array: WeightArray
    if dtype == "F32":
        array = data.view(np.float32)
    elif dtype == "F16":
        array = data.view(np.float16)
        if len(shape) < 2:
            array = array.astype(np.float32)
    elif dtype == "BF16":
        # bfloat16 is the upper half of a float32.
        array = (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        raise _bad_tensor(path, f"{name!r} as F32, F16 or BF16", str(dtype))
    # A header of an odd length puts numbers where no processor likes them.
    return np.require(array.reshape(shape), requirements="A")


def _bad_tensor(path: Path, expected: str, found: str) -> ModelFolderError:
    return ModelFolderError(
        file=path,
        expected=expected,
        found=found,
        fix="The weights do not belong to this config.json, or training went wrong: save the model again.",
    )
