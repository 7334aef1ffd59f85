"""The hyperparameters of a training run. The defaults are the model card's, once and here."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass

from glossrank.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Arguments of sentence-transformers' ``CrossEncoderTrainingArguments``, by its names.

    Every hyperparameter of the model card that the installed transformers still has is
    either here or a default there; ``tests/test_recipe.py`` compares the whole list. The
    loss is ``BinaryCrossEntropyLoss`` with Identity and no ``pos_weight``, as in the card.
    """

    per_device_train_batch_size: int = 16
    per_device_eval_batch_size: int = 16
    gradient_accumulation_steps: int = 1
    learning_rate: float = 5e-5
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    num_train_epochs: float = 5
    max_steps: int = -1
    lr_scheduler_type: str = "linear"
    warmup_steps: float = 0
    optim: str = "adamw_torch"
    seed: int = 42
    data_seed: int | None = None
    bf16: bool = False
    fp16: bool = False
    full_determinism: bool = False
    label_smoothing_factor: float = 0.0
    dataloader_drop_last: bool = False
    dataloader_num_workers: int = 0
    dataloader_pin_memory: bool = True
    average_tokens_across_devices: bool = False
    batch_sampler: str = "batch_sampler"
    multi_dataset_batch_sampler: str = "proportional"
    use_cpu: bool = False
    disable_tqdm: bool = True

    def __post_init__(self) -> None:
        """Refuse values that no run can use.

        Raises:
            InputError: the first of them.
        """
        at_least_one = (
            "per_device_train_batch_size",
            "per_device_eval_batch_size",
            "gradient_accumulation_steps",
        )
        limits: dict[str, tuple[float, float]] = dict.fromkeys(at_least_one, (1, _MOST))
        not_negative = (
            "learning_rate",
            "weight_decay",
            "max_grad_norm",
            "warmup_steps",
            "dataloader_num_workers",
        )
        limits |= dict.fromkeys(not_negative, (0, _MOST))
        limits |= {
            "adam_beta1": (0, 1),
            "adam_beta2": (0, 1),
            "adam_epsilon": (0, 1),
            "label_smoothing_factor": (0, 1),
        }
        limits |= {
            "seed": (0, 2**32 - 1),
            "num_train_epochs": (1e-6, 10_000),
            "max_steps": (-1, _MOST),
        }
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise InputError(
                    expected=f"{name} from {least:g} to {most:g}",
                    found=str(value),
                    fix="Correct the value.",
                )

    def with_settings(self, settings: Sequence[str]) -> Recipe:
        """This recipe with ``key=value`` texts applied, as ``--set`` takes them.

        Raises:
            InputError: no such key, or a value that does not fit its type.
        """
        kinds = typing.get_type_hints(Recipe)
        changes: dict[str, object] = {}
        for setting in settings:
            key, equals, text = setting.partition("=")
            key = key.strip()
            if not equals or key not in kinds:
                raise InputError(
                    expected="key=value with a key of the recipe",
                    found=repr(setting),
                    fix=f"Keys: {', '.join(kinds)}.",
                )
            changes[key] = _parse(key, text.strip(), kinds[key])
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


_MOST = 1e9


def _parse(key: str, text: str, kind: object) -> object:
    if isinstance(kind, types.UnionType):
        if text.lower() == "none":
            return None
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind is int:
            return int(text)
        if kind is float:
            value = float(text)
            if not math.isfinite(value):
                raise ValueError
            return value
    except (KeyError, ValueError):
        name = getattr(kind, "__name__", str(kind))
        raise InputError(
            expected=f"a value of type {name} for {key}", found=repr(text), fix="Correct the value."
        ) from None
    return text
