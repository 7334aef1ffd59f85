from __future__ import annotations

import pytest

from glossrank.engines.devices import Devices, choose_device, choose_precision
from glossrank.engines.engine import AnyPrecision

BARE = Devices()
TWO_CARDS = Devices(cuda_bf16=(True, False), cpu_bf16=True)
APPLE = Devices(mps=True)


@pytest.mark.parametrize(
    ("wanted", "devices", "found"),
    [
        (None, BARE, "cpu"),
        (None, TWO_CARDS, "cuda:0"),
        (None, APPLE, "mps"),
        ("cpu", TWO_CARDS, "cpu"),
        ("cpu:0", TWO_CARDS, "cpu"),
        ("cuda", TWO_CARDS, "cuda:0"),
        ("cuda:1", TWO_CARDS, "cuda:1"),
        ("mps", APPLE, "mps"),
        ("mps:0", APPLE, "mps"),
    ],
)
def test_the_device_is_the_one_asked_for_or_the_fastest(
    wanted: str | None, devices: Devices, found: str
) -> None:
    assert choose_device(wanted, devices) == found


@pytest.mark.parametrize(
    ("wanted", "devices", "message"),
    [
        ("cuda", BARE, "device must be 'cpu', which torch finds here, got 'cuda'"),
        ("mps", TWO_CARDS, "must be 'cpu' or 'cuda:1' or 'cuda:0'"),
        ("cuda:2", TWO_CARDS, "got 'cuda:2'"),
        ("cuda", APPLE, "must be 'cpu' or 'mps'"),
        ("gpu", BARE, "got 'gpu'"),
    ],
)
def test_a_device_that_is_not_here_is_an_error_that_names_those_that_are(
    wanted: str, devices: Devices, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        choose_device(wanted, devices)


@pytest.mark.parametrize(
    ("device", "devices", "found"),
    [
        ("cpu", BARE, "fp32"),
        ("cpu", TWO_CARDS, "bf16"),
        ("cuda:0", TWO_CARDS, "bf16"),
        ("cuda:1", TWO_CARDS, "fp16"),
        ("mps", APPLE, "fp16"),
    ],
)
def test_auto_is_half_precision_where_the_device_has_it(
    device: str, devices: Devices, found: str
) -> None:
    assert choose_precision("auto", device, devices) == found
    precisions: tuple[AnyPrecision, ...] = ("fp32", "bf16", "fp16")
    for precision in precisions:
        assert choose_precision(precision, device, devices) == precision


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(ValueError, match="int3"):
        choose_precision("int3", "cpu", BARE)  # type: ignore[arg-type]
