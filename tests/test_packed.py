from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification

from glossrank.encoding import Batch, PairEncoder
from glossrank.model_folder import load_model_folder
from glossrank.training.dropout import Dropout
from glossrank.training.packed import PackedBert, lay_out

PAIRS = (
    ("how quick are we getting paid by customers", "tax"),
    ("what is our profit", "the amount of money owed to suppliers for goods and services"),
    ("tax", "net"),
    ("", "cash flow"),
)
PARTS = ("query", "key", "value")


def nothing(values: torch.Tensor) -> torch.Tensor:
    return values


def encoded(folder: Path, pairs: Sequence[tuple[str, str]] = PAIRS) -> Batch:
    loaded = load_model_folder(folder)
    encoder = PairEncoder(loaded.tokenizer, max_length=loaded.max_length)
    return next(encoder.batches(pairs, token_budget=10_000))


def packed(
    folder: Path, dtype: torch.dtype = torch.float32, *, frozen_layers: int = 0
) -> PackedBert:
    loaded = load_model_folder(folder)
    return PackedBert(loaded.config, loaded.weights(), dtype, frozen_layers=frozen_layers)


def reference(folder: Path) -> BertForSequenceClassification:
    return BertForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager",
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip


def their_logits(model: BertForSequenceClassification, batch: Batch) -> torch.Tensor:
    mask = np.arange(batch.input_ids.shape[1]) < batch.lengths[:, None]
    output = model(
        input_ids=torch.from_numpy(batch.input_ids).long(),
        token_type_ids=torch.from_numpy(batch.token_type_ids).long(),
        attention_mask=torch.from_numpy(mask).long(),
    )
    logits: torch.Tensor = output.logits[:, 0]
    return logits


@pytest.mark.parametrize(("layers", "frozen"), [(1, 0), (3, 0), (3, 2), (1, 1)])
def test_logits_and_gradients_are_those_of_transformers(
    make_model: Callable[..., Path], layers: int, frozen: int
) -> None:
    folder = make_model(layers=layers)
    batch = encoded(folder)
    ours, theirs = packed(folder, frozen_layers=frozen), reference(folder)
    logits = ours.logits(lay_out(batch, ours.config.num_heads), nothing)
    expected = their_logits(theirs, batch)
    assert np.ptp(expected.detach().numpy()) > 0.1
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
    weights = torch.linspace(-1, 2, len(logits))
    (logits * weights).sum().backward()  # type: ignore[no-untyped-call]
    (expected * weights).sum().backward()  # type: ignore[no-untyped-call]
    found = dict(theirs.named_parameters())
    seen = set()
    for name, tensor in ours.live.items():
        names = [name.replace("qkv", part) for part in PARTS] if ".qkv." in name else [name]
        seen.update(names)
        gradient = torch.cat([found[n].grad for n in names])
        torch.testing.assert_close(tensor.grad, gradient, atol=1e-5, rtol=1e-4)
    # The last layer is always trained.
    stay = ("embeddings", *(f"layer.{number}." for number in range(min(frozen, layers - 1))))
    assert seen == {name for name in found if not any(part in name for part in stay)}
    assert ours.state().keys() == found.keys()


def test_a_pair_does_not_depend_on_its_neighbours(tiny_model: Path) -> None:
    model = packed(tiny_model)
    batch = encoded(tiny_model)
    together = model.logits(lay_out(batch, model.config.num_heads), nothing)
    for at, row in enumerate(batch.rows.tolist()):
        alone = encoded(tiny_model, [PAIRS[row]])
        logit = model.logits(lay_out(alone, model.config.num_heads), nothing)
        torch.testing.assert_close(logit[0], together[at], atol=1e-5, rtol=0)


def test_the_layout_holds_the_real_tokens_in_order(tiny_model: Path) -> None:
    batch = encoded(tiny_model)
    layout = lay_out(batch, 4)
    ends = [*layout.first.tolist()[1:], len(layout.ids)]
    for row, length, start, end in zip(
        batch.input_ids, batch.lengths.tolist(), layout.first.tolist(), ends, strict=True
    ):
        assert layout.ids[start : start + length].tolist() == row[:length].tolist()
        assert layout.positions[start : start + length].tolist() == list(range(length))
        # What else is laid out is padding, and nothing attends to it.
        assert end - start <= layout.length
    seen = layout.mask[::4, 0] == 0
    assert seen.sum(1).tolist() == batch.lengths.tolist()
    for kinds in (1, 3):
        places = layout.places_of(kinds).tolist()
        assert len(set(places)) == len(places) == 4 * kinds * len(layout.ids)
        assert max(places) < kinds * layout.size


@pytest.mark.parametrize("count", range(1, 8))
def test_few_numbers_of_tokens_and_lengths_are_laid_out(tiny_model: Path, count: int) -> None:
    batch = encoded(tiny_model, (PAIRS * 8)[:count])
    layout = lay_out(batch, 4)
    assert layout.length % 8 == 0
    assert 0 <= layout.length - batch.input_ids.shape[1] < 8
    slots, real = count * layout.length, int(batch.lengths.sum())
    assert len(layout.ids) == min(slots, -(-real // 32) * 32)
    assert int(layout.positions.max()) < batch.input_ids.shape[1]


def test_the_state_is_the_folders_weights(tiny_model: Path) -> None:
    expected = load_model_folder(tiny_model).weights()
    for dtype in (torch.float32, torch.bfloat16):
        state = packed(tiny_model, dtype).state()
        assert state.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(state[name].numpy(), array)


def test_bf16_is_near_fp32(tiny_model: Path) -> None:
    batch = encoded(tiny_model)
    logits = [
        model.logits(lay_out(batch, model.config.num_heads), nothing)
        for model in (packed(tiny_model), packed(tiny_model, torch.bfloat16))
    ]
    assert {tensor.dtype for tensor in logits} == {torch.float32}
    assert (logits[0] - logits[1]).abs().max() < 0.1 * (logits[0].max() - logits[0].min()) + 0.05


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    drop = Dropout(0.1, seed=1, dtype=torch.float32)
    values = torch.ones(300, 400, requires_grad=True)
    dropped = drop(values)
    assert dropped.shape == values.shape
    assert sorted(set(dropped.detach().flatten().tolist())) == pytest.approx([0, 1 / 0.9])
    assert float((dropped == 0).float().mean()) == pytest.approx(0.1, abs=0.01)
    dropped.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(values.grad, dropped.detach())  # type: ignore[arg-type]


def test_dropout_depends_on_seed_and_step_only() -> None:
    values = torch.ones(50, 60)
    drop = Dropout(0.5, seed=1, dtype=torch.float32)
    drop.start(7)
    first, second = drop(values), drop(values)
    assert not torch.equal(first, second)
    again = Dropout(0.5, seed=1, dtype=torch.float32)
    again(values)
    again.start(7)
    assert torch.equal(again(values), first)
    assert torch.equal(again(values), second)
    again.start(8)
    assert not torch.equal(again(values), first)
    other = Dropout(0.5, seed=2, dtype=torch.float32)
    other.start(7)
    assert not torch.equal(other(values), first)


def test_tensors_larger_than_the_pool_are_dropped_too() -> None:
    drop = Dropout(0.25, seed=1, dtype=torch.bfloat16)
    values = torch.ones(2**21 + 1, dtype=torch.bfloat16)
    drop.start(3)
    first = drop(values)
    assert first.dtype == torch.bfloat16
    assert float((first == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    drop.start(3)
    assert torch.equal(drop(values), first)


def test_no_dropout_changes_nothing() -> None:
    values = torch.ones(3)
    assert Dropout(0.0, seed=1, dtype=torch.float32)(values) is values
