"""The tensors of ``model.safetensors``, checked against a configuration.

Only safetensors are read, never a pickle: a pickle can run code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

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


def read_weights(path: Path, config: ModelConfig) -> dict[str, WeightArray]:
    """Every tensor that the graph reads, by transformers' names; others are ignored.

    Matrices are fp16 or fp32, vectors fp32.

    Raises:
        ModelFolderError: the file is truncated, or a tensor is missing, there twice, of a
            wrong shape, of an unknown dtype, or not finite.
    """
    try:
        tensors = dict(safetensors.deserialize(path.read_bytes()))  # type: ignore[no-untyped-call]
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelFolderError(
            file=path,
            expected="a whole safetensors file",
            found=f"one that cannot be read ({error})",
            fix="Copy or download the file again; it may be cut short.",
        ) from error
    wanted = config.tensors()
    names = _names_in_file(path, tensors, wanted, config.prefix)
    weights: dict[str, WeightArray] = {}
    for name, shape in wanted.items():
        if name not in names:
            raise _bad_tensor(path, f"a tensor {name!r}", "none of that name")
        array = _to_array(path, name, tensors[names[name]])
        if array.shape != shape:
            raise _bad_tensor(path, f"{name!r} of shape {shape}", f"{array.shape}")
        if not np.isfinite(array).all():
            raise _bad_tensor(path, f"finite numbers in {name!r}", "NaN or infinity")
        weights[name] = array
    return weights


def _names_in_file(
    path: Path, tensors: Mapping[str, Any], wanted: Collection[str], prefix: str
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


def _to_array(path: Path, name: str, tensor: Any) -> WeightArray:
    dtype, data, shape = tensor["dtype"], tensor["data"], tensor["shape"]
    array: WeightArray
    if dtype == "F32":
        array = np.frombuffer(data, dtype=np.float32)
    elif dtype == "F16":
        array = np.frombuffer(data, dtype=np.float16)
        if len(shape) < 2:
            array = array.astype(np.float32)
    elif dtype == "BF16":
        # bfloat16 is the upper half of a float32.
        array = (np.frombuffer(data, dtype=np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        raise _bad_tensor(path, f"{name!r} as F32, F16 or BF16", str(dtype))
    return array.reshape(shape)


def _bad_tensor(path: Path, expected: str, found: str) -> ModelFolderError:
    return ModelFolderError(
        file=path,
        expected=expected,
        found=found,
        fix="The weights do not belong to this config.json, or training went wrong: save the model again.",
    )
