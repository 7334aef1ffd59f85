from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glossrank.architectures.bert import BertConfig

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from suite.flops import pair_flops  # noqa: E402

CONFIG = BertConfig(
    num_layers=2,
    hidden_size=4,
    num_heads=2,
    intermediate_size=8,
    vocab_size=10,
    max_positions=16,
    type_vocab_size=2,
    layer_norm_eps=1e-12,
    activation=None,
    hidden_act="gelu",
    takes_token_types=True,
    embedding_size=4,
    padding_index=None,
)


def product(rows: int, inner: int, columns: int) -> int:
    return 2 * rows * inner * columns


def by_hand(tokens: int) -> int:
    """Every matrix product of the two layers above, heads of two numbers each."""
    first = 4 * product(tokens, 4, 4)
    first += 2 * (product(tokens, 2, tokens) + product(tokens, tokens, 2))
    first += product(tokens, 4, 8) + product(tokens, 8, 4)
    last = 2 * product(tokens, 4, 4) + 2 * product(1, 4, 4)
    last += 2 * (product(1, 2, tokens) + product(1, tokens, 2))
    last += product(1, 4, 8) + product(1, 8, 4)
    return first + last + product(1, 4, 4) + product(1, 4, 1)


def test_the_formula_is_the_sum_of_all_products() -> None:
    assert by_hand(3) == 912 + 432 + 40
    assert pair_flops(CONFIG, [3, 1, 7]).tolist() == [by_hand(3), by_hand(1), by_hand(7)]


def test_the_number_of_heads_changes_nothing() -> None:
    heads = replace(CONFIG, num_heads=4)
    assert pair_flops(heads, 5) == pair_flops(CONFIG, 5)


def test_six_layers_of_minilm_are_mostly_linear_in_short_texts() -> None:
    config = replace(CONFIG, num_layers=6, hidden_size=384, intermediate_size=1536)
    short, double = pair_flops(config, np.array([32, 64]))
    assert double / short == pytest.approx(2, abs=0.05)
