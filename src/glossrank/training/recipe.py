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
        limits |= {
            **_OPTIMIZER_LIMITS,
            "dataloader_num_workers": (0, _MOST),
            "label_smoothing_factor": (0, 1),
            "max_steps": (-1, _MOST),
        }
        _check_limits(self, limits)

    def with_settings(self, settings: Sequence[str]) -> Recipe:
        """This recipe with ``key=value`` texts applied, as ``--set`` takes them.

        Raises:
            InputError: no such key, or a value that does not fit its type.
        """
        return dataclasses.replace(self, **_changes(Recipe, settings))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class FastRecipe:
    """The recipe ``--recipe fast``: the card's hyperparameters in a loop of glossrank's own.

    Names and defaults are those of :class:`Recipe`. What differs is in ``fast.py``: bf16
    arithmetic, frozen embeddings, and where the random numbers of dropout come from.

    Attributes:
        dropout: share that is dropped in all the places where BERT drops. The card has no such
            hyperparameter: its run takes the shares from the base's ``config.json``, 0.1.
        frozen_layers: the lowest layers that stay as they are in the base, all but the last one
            at most. Two of six take a quarter of the time away, and 0.02 of nDCG@10
            (benchmarks/LOG.md).
    """

    per_device_train_batch_size: int = Recipe.per_device_train_batch_size
    learning_rate: float = Recipe.learning_rate
    weight_decay: float = Recipe.weight_decay
    adam_beta1: float = Recipe.adam_beta1
    adam_beta2: float = Recipe.adam_beta2
    adam_epsilon: float = Recipe.adam_epsilon
    max_grad_norm: float = Recipe.max_grad_norm
    num_train_epochs: float = Recipe.num_train_epochs
    warmup_steps: float = Recipe.warmup_steps
    dropout: float = 0.1
    frozen_layers: int = 0
    seed: int = Recipe.seed

    def __post_init__(self) -> None:
        """Refuse values that no run can use.

        Raises:
            InputError: the first of them.
        """
        # torch takes no beta of 1, with which nothing would be learned.
        limits = {
            **_OPTIMIZER_LIMITS,
            "per_device_train_batch_size": (1, 10_000),
            "adam_beta1": (0, 0.9999),
            "adam_beta2": (0, 0.99999),
            "dropout": (0, 0.9),
            "frozen_layers": (0, 200),
        }
        _check_limits(self, limits)

    def with_settings(self, settings: Sequence[str]) -> FastRecipe:
        """This recipe with ``key=value`` texts applied, as ``--set`` takes them.

        Raises:
            InputError: no such key, or a value that does not fit its type.
        """
        return dataclasses.replace(self, **_changes(FastRecipe, settings))  # type: ignore[arg-type]


def steps_of_epoch(recipe: FastRecipe, pairs: int) -> int:
    """Optimizer steps of one pass over the pairs; the last batch may be smaller."""
    return math.ceil(pairs / recipe.per_device_train_batch_size)


def steps_of_run(recipe: FastRecipe, pairs: int) -> int:
    """Optimizer steps of a run over this many pairs, at least one."""
    return math.ceil(recipe.num_train_epochs * steps_of_epoch(recipe, pairs))


@dataclass(frozen=True, kw_only=True)
class ListwiseRecipe:
    """The listwise recipe, ``--recipe finance-terms``; its loss is in ``listwise.py``.

    Attributes:
        questions_per_step, negatives: one step sees this many questions, each with its right
            answers and this many wrong ones.
        random_share: part of the wrong ones that is drawn from all candidates, not mined.
        pool_size: wrong candidates of a question that the current model is asked about.
        mine_after_epochs: when it is asked; before, all of the pool are drawn alike.
        mining_temperature: logits are divided by it to weigh the draws.
        false_negative_margin: a wrong candidate that beats the right one by more logits than
            this is left out as probably right.
        typo_share, case_share: part of the questions that get a slip, or another case.
        binary_weight: weight of the binary cross-entropy beside the listwise loss.
        teacher_share, teacher_groups, teacher_weight: part of the steps that also see teacher
            groups, how many, and the weight of their loss.
        averaged_share: the weights of this last part of the steps are averaged.
        base_share: part of the base's weights in what is saved, which keeps more of what it knew
            (Wortsman and others 2022, "Robust fine-tuning of zero-shot models").
        max_length: tokens of a pair in training.
    """

    epochs: int = 2
    questions_per_step: int = 16
    negatives: int = 5
    random_share: float = 0.3
    pool_size: int = 10
    mine_after_epochs: int = 1
    mining_temperature: float = 2.0
    false_negative_margin: float = 4.0
    typo_share: float = 0.35
    case_share: float = 0.15
    binary_weight: float = 1.0
    teacher_share: float = 0.25
    teacher_groups: int = 4
    teacher_weight: float = 0.5
    learning_rate: float = 1.2e-4
    weight_decay: float = 0.01
    warmup_share: float = 0.06
    max_grad_norm: float = 1.0
    averaged_share: float = 0.2
    base_share: float = 0.0
    max_length: int = 128
    seed: int = 42

    def __post_init__(self) -> None:
        """Refuse values that no run can use.

        Raises:
            InputError: the first of them.
        """
        shares = (
            "random_share",
            "typo_share",
            "case_share",
            "teacher_share",
            "averaged_share",
            "base_share",
        )
        limits: dict[str, tuple[float, float]] = dict.fromkeys((*shares, "warmup_share"), (0, 1))
        limits |= {
            "epochs": (1, 10_000),
            "questions_per_step": (1, 10_000),
            "negatives": (1, 1_000),
            "pool_size": (1, 10_000),
            "mine_after_epochs": (0, 10_000),
            "mining_temperature": (1e-3, _MOST),
            "false_negative_margin": (0, _MOST),
            "teacher_groups": (1, 1_000),
            "max_length": (8, 512),
            "seed": (0, 2**32 - 1),
        }
        positive = ("learning_rate", "max_grad_norm", "weight_decay", "binary_weight")
        limits |= dict.fromkeys((*positive, "teacher_weight"), (0, _MOST))
        _check_limits(self, limits)

    def with_settings(self, settings: Sequence[str]) -> ListwiseRecipe:
        """This recipe with ``key=value`` texts applied, as ``--set`` takes them.

        Raises:
            InputError: no such key, or a value that does not fit its type.
        """
        return dataclasses.replace(self, **_changes(ListwiseRecipe, settings))  # type: ignore[arg-type]


_MOST = 1e9
# Of the hyperparameters that the card's recipe and the fast one share.
_OPTIMIZER_LIMITS: dict[str, tuple[float, float]] = {
    "learning_rate": (0, _MOST),
    "weight_decay": (0, _MOST),
    "max_grad_norm": (0, _MOST),
    "warmup_steps": (0, _MOST),
    "adam_beta1": (0, 1),
    "adam_beta2": (0, 1),
    "adam_epsilon": (0, 1),
    "seed": (0, 2**32 - 1),
    "num_train_epochs": (1e-6, 10_000),
}


def _check_limits(recipe: object, limits: dict[str, tuple[float, float]]) -> None:
    for name, (least, most) in limits.items():
        value = getattr(recipe, name)
        if not least <= value <= most:
            raise InputError(
                expected=f"{name} from {least:g} to {most:g}",
                found=str(value),
                fix="Correct the value.",
            )


def _changes(recipe: type, settings: Sequence[str]) -> dict[str, object]:
    """``key=value`` texts as values of the recipe's types."""
    kinds = typing.get_type_hints(recipe)
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
    return changes


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
