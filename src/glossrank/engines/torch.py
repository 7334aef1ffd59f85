"""Runs any of transformers' sequence classifiers with torch, on CUDA, MPS or the CPU.

For models that glossrank has no graph of, and for GPUs. Only safetensors are read, and no
code that comes with a model is run. This module imports torch and transformers, so it is
itself imported only where this engine is chosen (``engines/choose.py``).
"""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from glossrank.encoding import TOKEN_BUDGET, Batch
from glossrank.engines.devices import Devices, choose_device, choose_precision
from glossrank.engines.engine import AnyPrecision, FloatArray, LongArray, model_inputs
from glossrank.engines.openvino import cpu_has_bf16
from glossrank.errors import ModelFolderError, UnsupportedModelError
from glossrank.folder_files import CONFIG_FILE
from glossrank.foreign_model import ForeignModel, weights_files

GPU_TOKEN_BUDGET = 16_384
"""Padded tokens per batch: a GPU is idle on the small batches that suit a CPU's cache."""

_ADAPTER_FILE = "adapter_config.json"
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# These read the last position, which is padding where pairs of several lengths meet.
_READS_LAST_POSITION = {"xlnet"}


def find_devices() -> Devices:
    """What torch can compute on here."""
    cuda = []
    for index in range(torch.cuda.device_count()):
        with torch.cuda.device(index):
            # Emulated bf16 is slower than fp16.
            cuda.append(torch.cuda.is_bf16_supported(including_emulation=False))
    return Devices(
        cuda_bf16=tuple(cuda),
        mps=torch.backends.mps.is_available(),
        cpu_bf16=cpu_has_bf16(),
    )


class TorchEngine:
    """One loaded model. Safe to call from several threads at once, which take turns.

    Args:
        model: the folder, whose weights are ``model.safetensors`` or its shards.
        device: see :func:`glossrank.engines.devices.choose_device`.
        precision: see :func:`glossrank.engines.devices.choose_precision`. The last layer, from
            hidden state to logit, is always fp32: half-precision logits are often equal.
        devices: what there is to choose from; by default what torch finds.

    Raises:
        ModelFolderError: the weights are missing, cut short, or of another network.
        UnsupportedModelError: transformers has no such class, or only with code, an adapter
            or a quantisation that come with the model.
        ValueError: no such device here, or no such precision.
    """

    def __init__(
        self,
        model: ForeignModel,
        *,
        device: str | None = None,
        precision: AnyPrecision = "auto",
        devices: Devices | None = None,
    ) -> None:
        found = find_devices() if devices is None else devices
        self.device = choose_device(device, found)
        self.precision = choose_precision(precision, self.device, found)
        self.token_budget = TOKEN_BUDGET if self.device == "cpu" else GPU_TOKEN_BUDGET
        self._token_types = model.token_types
        # Some networks keep tables of positions that they enlarge while they run.
        self._lock = threading.Lock()
        try:
            self._start(model)
        except UnsupportedModelError:
            if precision != "auto" or self.precision == "fp32":
                raise
            # Some networks mix half precision with fp32 and so refuse it.
            self.precision = "fp32"
            self._start(model)

    def _start(self, model: ForeignModel) -> None:
        """Load the network and try it."""
        network = _load(model.path, _DTYPES[self.precision])
        _keep_head_in_fp32(network)
        self._takes = set(inspect.signature(network.forward).parameters)
        self._pad_token_id = _padding(network.config, model)
        self._one_by_one = (
            self._pad_token_id is None or network.config.model_type in _READS_LAST_POSITION
        )
        try:
            self._network = network.eval().to(self.device)
            for batch in model.sample_batches():
                self.logits(batch)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # networks that refuse an input raise what they like
            raise UnsupportedModelError(
                file=model.path,
                expected=f"a network that computes in {self.precision} on {self.device}",
                found=_first_line(error),
                fix="Give precision='fp32', or choose another model.",
            ) from error

    def logits(self, batch: Batch) -> FloatArray:
        """fp32 ``[n]``, one logit per pair of the batch, in the batch's order."""
        inputs = model_inputs(batch, pad_token_id=self._pad_token_id, token_types=self._token_types)
        given = {name: array for name, array in inputs.items() if name in self._takes}
        if not self._one_by_one:
            return self._run(given)
        rows = [
            {name: array[row : row + 1, :length] for name, array in given.items()}
            for row, length in enumerate(batch.lengths)
        ]
        return np.concatenate([self._run(row) for row in rows])

    def _run(self, inputs: dict[str, LongArray]) -> FloatArray:
        with self._lock, torch.inference_mode():
            tensors = {name: torch.from_numpy(a).to(self.device) for name, a in inputs.items()}
            logits = self._network(**tensors).logits
            found: FloatArray = logits.float().cpu().numpy()
        return found[:, 0]


def _load(folder: Path, dtype: torch.dtype) -> Any:
    _refuse_additions(folder)
    weights_files(folder)
    try:
        with _quiet():
            config = transformers.AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            # A configuration can name attention code of the hub; transformers chooses instead.
            config._attn_implementation = None
            network, report = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ModelFolderError(
            file=folder,
            expected="whole safetensors of this config.json's network",
            found=f"weights that transformers cannot load ({_first_line(error)})",
            fix="Copy or download the files again; they may be cut short.",
        ) from error
    except Exception as error:  # what transformers raises for a model it has not is its affair
        raise UnsupportedModelError(
            file=folder / CONFIG_FILE,
            expected="a sequence classifier of the installed transformers",
            found=_first_line(error),
            fix="Upgrade transformers, or choose another model; code that comes with a model is never run.",
        ) from error
    _refuse_missing(folder, report)
    # Keys and values of earlier tokens are for writing texts.
    config.use_cache = False
    return network


def _refuse_additions(folder: Path) -> None:
    """What transformers would fetch or convert besides the safetensors of this folder."""
    raw = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    found = None
    if (folder / _ADAPTER_FILE).is_file():
        found = f"an adapter to another model ({_ADAPTER_FILE})"
    elif raw.get("quantization_config"):
        found = f"a quantization_config ({CONFIG_FILE})"
    if found is not None:
        raise UnsupportedModelError(
            file=folder,
            expected="all weights of the model, in fp32, fp16 or bf16",
            found=found,
            fix="Merge the adapter, or undo the quantisation, and save the model again.",
        )


def _refuse_missing(folder: Path, report: dict[str, Any]) -> None:
    """transformers fills what the weights lack with random numbers."""
    missing = sorted(report["missing_keys"]) + sorted(str(m) for m in report["mismatched_keys"])
    if missing:
        raise ModelFolderError(
            file=folder,
            expected=f"all weights of the network that {CONFIG_FILE} names",
            found=f"none for {', '.join(missing[:3])}{' and more' if len(missing) > 3 else ''}",
            fix="Choose a model that was trained as a cross-encoder, or save it again.",
        )


def _keep_head_in_fp32(network: Any) -> None:
    """The head's linear layer with one output computes in fp32, whatever the rest does."""
    body = set(network.base_model.modules())
    for module in set(network.modules()) - body:
        if isinstance(module, torch.nn.Linear) and module.out_features == 1:
            module.float()
            module.register_forward_pre_hook(
                lambda _, inputs: tuple(value.float() for value in inputs)
            )


def _padding(config: Any, model: ForeignModel) -> int | None:
    """The id by which the network knows padding, if it is one."""
    found = getattr(config, "pad_token_id", None)
    found = model.config.pad_token_id if found is None else found
    return found if isinstance(found, int) and found >= 0 else None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' bars and hints off the terminal; what matters becomes an error."""
    bars = transformers_logging.is_progress_bar_enabled()
    level = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
