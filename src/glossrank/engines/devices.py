"""Which device and which arithmetic the torch engine uses, given what a machine has.

Nothing here imports torch: ``engines/torch.py`` looks for devices, these functions choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from glossrank.engines.engine import AnyPrecision

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Devices:
    """What a machine computes on.

    Attributes:
        cuda_bf16: one entry per CUDA device: whether it multiplies bf16 numbers itself.
        mps: whether there is an Apple GPU that torch can use.
        cpu_bf16: whether the processor multiplies bf16 numbers itself.
    """

    cuda_bf16: tuple[bool, ...] = ()
    mps: bool = False
    cpu_bf16: bool = False

    def names(self) -> list[str]:
        """Torch's names, the preferred device first."""
        return [f"cuda:{i}" for i in range(len(self.cuda_bf16))] + ["mps"] * self.mps + ["cpu"]


def choose_device(wanted: str | None, devices: Devices) -> str:
    """``wanted``, or the first of CUDA, MPS and CPU that is there.

    Args:
        wanted: ``"cpu"``, ``"cuda"`` (the first one), ``"cuda:1"``, ``"mps"``, or None.

    Raises:
        ValueError: torch finds no such device on this machine.
    """
    names = devices.names()
    if wanted is None:
        return names[0]
    # torch.device("cpu", 0) and torch.device("mps", 0) call themselves cpu:0 and mps:0.
    name = {"cuda": "cuda:0", "cpu:0": "cpu", "mps:0": "mps"}.get(wanted, wanted)
    if name not in names:
        there = " or ".join(repr(device) for device in reversed(names))
        raise ValueError(f"device must be {there}, which torch finds here, got {wanted!r}.")
    return name


def choose_precision(precision: AnyPrecision, device: str, devices: Devices) -> Precision:
    """``auto``: on CUDA bf16 where the device has it, else fp16; on MPS fp16; on the CPU bf16
    where it has it, else fp32.

    Args:
        device: a name out of ``devices.names()``.

    Raises:
        ValueError: for any other name.
    """
    if precision in ("fp32", "bf16", "fp16"):
        return precision
    if precision != "auto":
        raise ValueError(f"precision must be 'auto', 'fp32', 'bf16' or 'fp16', got {precision!r}.")
    if device == "mps":
        return "fp16"
    if device == "cpu":
        return "bf16" if devices.cpu_bf16 else "fp32"
    return "bf16" if devices.cuda_bf16[int(device.removeprefix("cuda:"))] else "fp16"
