"""Runs an OpenVINO IR or an ONNX file that somebody exported, with OpenVINO's own reader.

Both formats are read by ``openvino.Core.read_model``; ONNX needs neither onnx nor onnxruntime.
The files are as optimum writes them for sequence classification, for sentence-transformers'
``backend="openvino"`` and ``backend="onnx"`` too: ``input_ids``, ``attention_mask`` and
``token_type_ids`` in, all or some of them, whole numbers ``[pairs, tokens]``; ``logits``
``[pairs, 1]`` out.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from glossrank.encoding import TOKEN_BUDGET, Batch
from glossrank.engines.engine import FloatArray, model_inputs
from glossrank.engines.model_files import KINDS, kind_of
from glossrank.engines.openvino import (
    Precision,
    ResolvedPrecision,
    compile_graph,
    resolve_precision,
)
from glossrank.engines.quiet import without_telemetry
from glossrank.errors import ModelFolderError, UnsupportedModelError
from glossrank.foreign_model import ForeignModel

with without_telemetry():
    import openvino as ov

_IDS = "input_ids"
_INPUTS = (_IDS, "attention_mask", "token_type_ids")
_OUTPUT = "logits"
_WHOLE_NUMBERS = {ov.Type.i64: np.int64, ov.Type.i32: np.int32}
_NO_CONVERSION = "OpConversionFailure"
_EXPORT_AGAIN = (
    "Export it again with sentence-transformers' backend='openvino', from a model with one "
    "label; or run the model with backend='torch'."
)


class OpenVINOFileEngine:
    """One compiled file. Safe to call from several threads at once.

    Args:
        file: an ``.xml`` with its ``.bin`` beside it, or an ``.onnx``.
        model: the model folder that the file is from.
        precision: see :func:`glossrank.engines.openvino.resolve_precision`. What a quantised
            file computes in int8 stays so; this is the arithmetic of the rest.

    Raises:
        ModelFolderError: the file, or the one with its weights, is missing or cut short.
        UnsupportedModelError: other inputs or outputs, fixed sizes, another number of labels,
            or an operation that OpenVINO does not have.
    """

    device = "cpu"
    token_budget = TOKEN_BUDGET

    def __init__(self, file: Path, model: ForeignModel, *, precision: Precision = "auto") -> None:
        self.precision = resolve_precision(precision)
        self._file = file
        self._pad_token_id = model.config.pad_token_id
        self._token_types = model.token_types
        network = _read(file)
        self._inputs = _check_inputs(file, network)
        _check_output(file, network)
        self._compiled = _compile(file, network, self.precision)
        self._per_thread = threading.local()
        for batch in model.sample_batches():
            self.logits(batch)

    def logits(self, batch: Batch) -> FloatArray:
        """fp32 ``[n]``, one logit per pair of the batch, in the batch's order.

        Raises:
            UnsupportedModelError: the network refuses the batch.
        """
        inputs = model_inputs(batch, pad_token_id=self._pad_token_id, token_types=self._token_types)
        request = getattr(self._per_thread, "request", None)
        if request is None:
            request = self._per_thread.request = self._compiled.create_infer_request()
        given = {name: inputs[name].astype(kind) for name, kind in self._inputs.items()}
        try:
            result = request.infer(given, share_inputs=True)[_OUTPUT]
        except RuntimeError as error:
            raise _unsupported(
                self._file, "a network for any number of pairs and tokens", _reason(error)
            ) from error
        wanted = (len(batch.lengths), 1)
        if result.shape != wanted:
            raise _unsupported(
                self._file, f"one label, {_OUTPUT!r} of shape {wanted}", str(result.shape)
            )
        # Copied, because the request's output buffer is written again by the next call.
        return np.array(result, dtype=np.float32)[:, 0]


def _read(file: Path) -> ov.Model:
    kind = KINDS[kind_of(file.name)]
    if file.suffix == ".xml" and not any(part.is_file() for part in kind.weights_of(file)):
        raise ModelFolderError(
            file=kind.weights_of(file)[0],
            expected=f"the weights of {file.name}",
            found="no such file",
            fix="Copy both files from where the model came from.",
        )
    try:
        return ov.Core().read_model(file)
    except RuntimeError as error:
        if _NO_CONVERSION in str(error):
            raise _unsupported(file, "operations that OpenVINO has", _reason(error)) from error
        raise ModelFolderError(
            file=file,
            expected="a whole file that OpenVINO reads",
            found=f"one that it does not ({_reason(error)})",
            fix="Copy or download it again, it may be cut short; or export it again.",
        ) from error


def _check_inputs(file: Path, model: ov.Model) -> dict[str, Any]:
    """The inputs to feed, and the numpy type of each."""
    inputs: dict[str, Any] = {}
    for node in model.inputs:
        name = next((name for name in _INPUTS if name in node.names), None)
        kind = _WHOLE_NUMBERS.get(node.element_type)
        shape = node.partial_shape
        if name is None or kind is None or shape.rank.is_dynamic or len(shape) != 2:
            raise _unsupported(
                file,
                f"inputs out of {', '.join(_INPUTS)}, whole numbers [pairs, tokens]",
                _described(node),
            )
        if any(size.is_static for size in shape):
            raise _unsupported(
                file, f"an input {name!r} of any number of pairs and tokens", _described(node)
            )
        inputs[name] = kind
    if _IDS not in inputs:
        raise _unsupported(file, f"an input {_IDS!r}", ", ".join(inputs) or "no input")
    return inputs


def _check_output(file: Path, model: ov.Model) -> None:
    node = next((node for node in model.outputs if _OUTPUT in node.names), None)
    if node is None:
        found = "; ".join(_described(node) for node in model.outputs)
        raise _unsupported(file, f"an output {_OUTPUT!r}", found or "no output")
    shape = node.partial_shape
    known = shape.rank.is_static
    if known and (len(shape) != 2 or shape[0].is_static or shape[1] not in (1, -1)):
        raise _unsupported(
            file,
            f"one label, an output {_OUTPUT!r} of shape [pairs, 1] for any number of pairs",
            _described(node),
        )


def _compile(file: Path, model: ov.Model, precision: ResolvedPrecision) -> Any:
    try:
        return compile_graph(model, precision)
    except RuntimeError as error:
        raise _unsupported(file, "a network that OpenVINO compiles", _reason(error)) from error


def _described(node: Any) -> str:
    names = " or ".join(sorted(node.names)) or "without a name"
    return f"{names}: {node.element_type.get_type_name()} {node.partial_shape}"


def _reason(error: Exception) -> str:
    """The last line that says something: OpenVINO puts places in its sources before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _unsupported(file: Path, expected: str, found: str) -> UnsupportedModelError:
    return UnsupportedModelError(file=file, expected=expected, found=found, fix=_EXPORT_AGAIN)
