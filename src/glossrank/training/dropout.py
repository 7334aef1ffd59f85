"""Dropout whose random numbers are drawn once for a whole run.

torch draws a random number for every element, on one core, which takes much of a training step
on a CPU. Here a pool of them is drawn at the start, and each use takes the part of it that
begins at a random place. An element is still dropped with the same probability, and other
elements each time; but two uses can overlap, shifted.
"""

from __future__ import annotations

import random

import torch

_POOL = 2**22
# A use of more elements than this draws its own numbers: parts of the pool would be alike.
_LARGEST_PART = _POOL // 2


class Dropout:
    """Drops elements and divides the others by the share that is kept (Srivastava et al. 2014).

    Args:
        share: of the elements that are dropped, below 1; 0 drops nothing.
        dtype: of the tensors that it will be used on.
    """

    def __init__(self, share: float, *, seed: int, dtype: torch.dtype) -> None:
        self._share = share
        self._seed = seed
        self._dtype = dtype
        self._pool = self._draw(_POOL if share else 0, seed)
        self.start(0)

    def start(self, step: int) -> None:
        """Let what is dropped from here on depend on the seed and this step only."""
        self._random = random.Random(f"{self._seed} dropout {step}")

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """``values`` with some elements 0, of the same shape, with gradients."""
        if not self._share:
            return values
        size = values.numel()
        if size > _LARGEST_PART:
            part = self._draw(size, self._random.getrandbits(63))
        else:
            at = self._random.randrange(_POOL - size)
            part = self._pool[at : at + size]
        return values * part.view(values.shape)

    def _draw(self, size: int, seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        kept = torch.rand(size, generator=generator) >= self._share
        return kept.to(self._dtype) / (1 - self._share)
