from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from glossrank.errors import InputError
from glossrank.training.recipe import Recipe
from glossrank.training.run import training_arguments

CARD = Path(__file__).parent / "data" / "card-hyperparameters.txt"

# Hyperparameters of the card (transformers 4.52) that transformers 5.23 no longer has.
GONE = {
    "overwrite_output_dir", "per_gpu_train_batch_size", "per_gpu_eval_batch_size",
    "save_safetensors", "no_cuda", "use_mps_device", "jit_mode_eval", "use_ipex",
    "fp16_opt_level", "half_precision_backend", "tpu_num_cores", "tpu_metrics_debug",
    "past_index", "fsdp_min_num_params", "fsdp_transformer_layer_cls_to_wrap", "adafactor",
    "group_by_length", "use_legacy_prediction_loop", "include_inputs_for_metrics",
    "fp16_backend", "push_to_hub_model_id", "push_to_hub_organization", "mp_parameters",
    "torchdynamo", "ray_scope", "include_tokens_per_second",
}  # fmt: skip
# The same setting in transformers 5.23's words: the card's text, and what it is called now.
REWORDED = {
    "lr_scheduler_kwargs": ("{}", "None"),
    "warmup_ratio": ("0.0", "None"),
    "max_grad_norm": ("1", "1.0"),
    "num_train_epochs": ("5", "5"),
    "local_rank": ("0", "-1"),
    "fsdp": ("[]", "None"),
    "fsdp_config": (
        "{'min_num_params': 0, 'xla': False, 'xla_fsdp_v2': False, 'xla_fsdp_grad_ckpt': False}",
        "None",
    ),
    "include_num_input_tokens_seen": ("False", "no"),
}


def test_every_hyperparameter_of_the_card_is_honoured(tmp_path: Path) -> None:
    lines = CARD.read_text().splitlines()
    card = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert len(card) == 113
    used = training_arguments(Recipe(), tmp_path).to_dict()
    assert {name for name in card if name not in used} == GONE
    for name in card.keys() - GONE:
        expected = REWORDED[name] if name in REWORDED else (card[name], card[name])
        assert (card[name], str(used[name])) == expected, name


def test_settings_are_parsed_by_type() -> None:
    recipe = Recipe().with_settings(
        [
            "learning_rate=1e-4",
            "num_train_epochs=2.5",
            "bf16=True",
            "data_seed=7",
            "optim=sgd",
            "seed = 3",
        ]
    )
    assert recipe == dataclasses.replace(
        Recipe(),
        learning_rate=1e-4,
        num_train_epochs=2.5,
        bf16=True,
        data_seed=7,
        optim="sgd",
        seed=3,
    )
    assert recipe.with_settings(["data_seed=none"]).data_seed is None
    assert Recipe().with_settings([]) == Recipe()


@pytest.mark.parametrize(
    "setting",
    [
        "lr=1",
        "learning_rate",
        "learning_rate=fast",
        "learning_rate=nan",
        "bf16=1",
        "seed=1.5",
        "=3",
        "num_train_epochs=0",
        "num_train_epochs=1e300",
        "per_device_train_batch_size=0",
        "learning_rate=-1",
        "seed=-1",
    ],
)
def test_wrong_settings_are_refused(setting: str) -> None:
    with pytest.raises(InputError):
        Recipe().with_settings([setting])
