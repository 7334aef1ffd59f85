from __future__ import annotations

import numpy as np
import pytest
import torch

from glossrank import activations
from glossrank.errors import UnsupportedModelError

LOGITS = np.array([-1e30, -100.0, -3.5, -0.0, 0.0, 1e-3, 2.0, 100.0, 1e30], dtype=np.float32)


@pytest.mark.parametrize(
    "module",
    [torch.nn.Identity(), torch.nn.Sigmoid(), torch.nn.Tanh(), torch.nn.ReLU()],
    ids=lambda m: type(m).__name__,
)
def test_functions_equal_torch(module: torch.nn.Module) -> None:
    kind = type(module)
    function = activations.from_name(f"{kind.__module__}.{kind.__qualname__}")
    assert activations.from_callable(module) is function
    assert activations.from_name(activations.to_name(function)) is function
    result = function(LOGITS)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, module(torch.from_numpy(LOGITS)).numpy(), atol=1e-7)


def test_none_is_sigmoid_and_the_unknown_is_an_error() -> None:
    assert activations.from_name(None) is activations.sigmoid
    assert activations.from_name("torch.nn.Sigmoid") is activations.sigmoid
    with pytest.raises(UnsupportedModelError, match=r"os\.system"):
        activations.from_name("os.system")
    assert activations.to_name(np.exp) is None
