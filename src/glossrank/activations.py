"""Activation functions, from logits to scores.

Models name them by torch's dotted names, as sentence-transformers saves them; here they run
in numpy, so that neither reading nor applying one needs torch. Torch modules that a caller
passes are accepted too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glossrank.errors import UnsupportedModelError

FloatArray = NDArray[np.float32]
ActivationFn = Callable[[FloatArray], FloatArray]


def identity(logits: FloatArray) -> FloatArray:
    """The logits themselves."""
    return logits


def sigmoid(logits: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)), computed without overflow for any finite x; fp32 in and out."""
    # exp of minus the absolute value never overflows; both branches share it.
    small = np.exp(-np.abs(logits))
    one = np.float32(1)
    return np.where(logits >= 0, one / (one + small), small / (one + small)).astype(np.float32)


def tanh(logits: FloatArray) -> FloatArray:
    """Hyperbolic tangent."""
    return np.tanh(logits)


def relu(logits: FloatArray) -> FloatArray:
    """max(x, 0)."""
    return np.maximum(logits, np.float32(0))


_TORCH_NAMES: dict[str, ActivationFn] = {
    "torch.nn.modules.linear.Identity": identity,
    "torch.nn.modules.activation.Sigmoid": sigmoid,
    "torch.nn.modules.activation.Tanh": tanh,
    "torch.nn.modules.activation.ReLU": relu,
}
# Other names under which the same classes can be imported, and saved by hand.
_ALIASES = {
    f"torch.nn.{name.rsplit('.', 1)[1]}": function for name, function in _TORCH_NAMES.items()
}
DEFAULT_NAME = "torch.nn.modules.activation.Sigmoid"
"""What sentence-transformers applies to a one-label model that saved no activation."""


def from_name(name: str | None) -> ActivationFn:
    """The function of a saved dotted torch name; None means the default, sigmoid.

    Raises:
        UnsupportedModelError: for a name that has no counterpart here.
    """
    wanted = DEFAULT_NAME if name is None else name
    function = _TORCH_NAMES.get(wanted) or _ALIASES.get(wanted)
    if function is None:
        raise UnsupportedModelError(
            expected=f"one of the activations {', '.join(sorted(_TORCH_NAMES))}",
            found=wanted,
            fix="Pass activation_fn=... when you load the model, to use a function of your own.",
        )
    return function


def to_name(function: ActivationFn) -> str | None:
    """The dotted torch name under which a function is saved, or None if it has none."""
    for name, known in _TORCH_NAMES.items():
        if known is function:
            return name
    return None


def from_callable(function: Callable[[Any], Any]) -> ActivationFn:
    """Accept a numpy function or a torch module, in sentence-transformers' manner.

    Torch's Identity, Sigmoid, Tanh and ReLU become the functions above; any other torch
    module is called with a tensor and its result turned back into fp32 numpy.
    """
    kind = type(function)
    known = _TORCH_NAMES.get(f"{kind.__module__}.{kind.__qualname__}")
    if known is not None:
        return known
    torch = sys.modules.get("torch")
    if torch is None or not _is_torchs(function, torch):
        return function

    def through_torch(logits: FloatArray) -> FloatArray:
        # One column, the shape that sentence-transformers passes.
        result = function(torch.from_numpy(logits)[:, None])
        scores: FloatArray = result.detach().float().squeeze(-1).numpy()
        return scores

    return through_torch


def _is_torchs(function: Callable[[Any], Any], torch: Any) -> bool:
    """Whether a callable wants tensors: a torch module, or a function of torch itself."""
    if isinstance(function, torch.nn.Module):
        return True
    name = getattr(function, "__name__", "")
    home = getattr(function, "__module__", None) or ""
    return home.split(".")[0] == "torch" or getattr(torch, name, None) is function
