"""BERT's forward pass in torch over pairs that lie end to end, for training.

Only attention depends on where a pair ends. All else runs on the real tokens of a batch,
``[tokens, hidden]``, and a few of padding, whatever their lengths; queries, keys and values are
spread into padded heads and gathered again. Attention is plain (softmax of a matrix of
scores), because the backward pass of torch's fused one is slow on a CPU (benchmarks/LOG.md).
As in ``engines/openvino.py`` the last layer computes the [CLS] rows only.

The architecture is BERT (Devlin et al. 2019) as transformers' ``BertForSequenceClassification``
runs it; tests compare logits and gradients with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from glossrank.architectures import ModelConfig
from glossrank.encoding import Batch
from glossrank.model_weights import WeightArray

# Added to the attention scores of padding. Finite, because -inf minus -inf is NaN.
_MASKED = -1e9
# oneDNN prepares every shape that it has not seen, which takes a tenth of a step: numbers of tokens
# are multiples of the first, lengths of the second (benchmarks/LOG.md).
_TOKENS = 32
_LENGTHS = 8
_PARTS = ("query", "key", "value")
_EMBEDDINGS = "bert.embeddings."

Drop = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a batch lie, in the batch and in padded heads.

    Attributes:
        ids, types, positions: int64 ``[tokens]``; a position counts from its pair's start.
        first: int64 ``[pairs]``, the row of each pair's [CLS].
        length: tokens of the longest pair, or a few more.
        places: int64 ``[tokens, heads]``, the row of a head's part of a token among
            ``[pairs * heads * length]``.
        mask: fp32 ``[pairs * heads, 1, length]``, added to attention scores.
    """

    ids: torch.Tensor
    types: torch.Tensor
    positions: torch.Tensor
    first: torch.Tensor
    length: int
    places: NDArray[np.int64]
    mask: torch.Tensor

    def places_of(self, kinds: int) -> torch.Tensor:
        """int64 ``[tokens * kinds * heads]``: the same for ``kinds`` blocks of heads in a row."""
        blocks = np.arange(kinds, dtype=np.int64)[None, :, None] * self.size
        return torch.from_numpy((blocks + self.places[:, None, :]).ravel())

    @property
    def size(self) -> int:
        """Rows of all padded heads."""
        return len(self.mask) * self.length


def lay_out(batch: Batch, heads: int) -> Layout:
    """The layout of an encoded batch for a model with this many attention heads.

    Some tokens of padding are laid out too, so that few numbers of tokens and lengths occur.
    """
    longest = batch.input_ids.shape[1]
    length = -(-longest // _LENGTHS) * _LENGTHS
    column = np.arange(length)
    real = column < batch.lengths[:, None]
    laid = real.copy()
    laid.flat[np.flatnonzero(~real)[: -int(real.sum()) % _TOKENS]] = True
    pair, position = (part.astype(np.int64) for part in np.nonzero(laid))
    # Beyond the longest pair there is no id and perhaps no position: any will do.
    at = np.minimum(position, longest - 1)
    head = np.arange(heads, dtype=np.int64)
    mask = np.where(real, np.float32(0), np.float32(_MASKED))
    return Layout(
        ids=torch.from_numpy(batch.input_ids[pair, at].astype(np.int64)),
        types=torch.from_numpy(batch.token_type_ids[pair, at].astype(np.int64)),
        positions=torch.from_numpy(at),
        first=torch.from_numpy(np.flatnonzero(position == 0)),
        length=length,
        places=(pair[:, None] * heads + head) * length + position[:, None],
        mask=torch.from_numpy(mask.repeat(heads, axis=0))[:, None, :],
    )


class _Spread(torch.autograd.Function):
    """``[n, d]`` rows to the given places among ``size`` rows, zeros elsewhere."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, places: torch.Tensor, size: int) -> torch.Tensor:
        ctx.save_for_backward(places)
        return rows.new_zeros(size, rows.shape[1]).index_copy_(0, places, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return gradients[0].index_select(0, places), None, None


class _Gather(torch.autograd.Function):
    """The rows at the given places, no place twice: torch's own backward adds, and is slow."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(places)
        ctx.size = len(rows)
        return rows.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (places,) = ctx.saved_tensors
        gradient = gradients[0]
        zeros = gradient.new_zeros(ctx.size, gradient.shape[1])
        return zeros.index_copy_(0, places, gradient), None


class PackedBert:
    """A BERT with one label whose embeddings are frozen, and lower layers if that is asked for.

    Args:
        weights: checked arrays by transformers' names.
        dtype: what it computes in; logits are fp32 all the same.
        frozen_layers: how many of the lowest layers are not trained; the last one always is.

    Attributes:
        masters: the trained tensors in fp32, by transformers' names, but with the three
            projections of attention as one, "...attention.self.qkv".
        live: their copies in ``dtype``, which the logits are computed from; the masters
            themselves where that is fp32.
    """

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, WeightArray],
        dtype: torch.dtype,
        *,
        frozen_layers: int = 0,
    ) -> None:
        self.config = config
        self._dtype = dtype
        self._frozen_layers = min(frozen_layers, config.num_layers - 1)
        tensors = {
            name: torch.from_numpy(array.astype(np.float32)) for name, array in weights.items()
        }
        self._embeddings = {
            name: value for name, value in tensors.items() if name.startswith(_EMBEDDINGS)
        }
        layers = {}
        for name, value in tensors.items():
            joined, part = _joined_name(name)
            if name in self._embeddings or part not in (None, _PARTS[0]):
                continue
            if part is not None:
                value = torch.cat([tensors[name.replace(_PARTS[0], other)] for other in _PARTS])
            layers[joined] = value
        self._fixed = {name: value for name, value in layers.items() if self._is_frozen(name)}
        self.masters = {
            name: value.requires_grad_(True)
            for name, value in layers.items()
            if name not in self._fixed
        }
        self.live = {
            name: master if dtype == torch.float32 else master.detach().to(dtype).requires_grad_()
            for name, master in self.masters.items()
        }
        self._used = {**self.live, **{name: value.to(dtype) for name, value in self._fixed.items()}}

    def _is_frozen(self, name: str) -> bool:
        parts = name.split(".")
        return parts[:3] == ["bert", "encoder", "layer"] and int(parts[3]) < self._frozen_layers

    def state(self) -> dict[str, torch.Tensor]:
        """All fp32 tensors, frozen ones included, by transformers' names."""
        state = dict(self._embeddings)
        for name, master in (*self.masters.items(), *self._fixed.items()):
            if ".qkv." in name:
                for part, value in zip(_PARTS, master.detach().chunk(3), strict=True):
                    state[name.replace("qkv", part)] = value
            else:
                state[name] = master.detach()
        return state

    def logits(self, layout: Layout, drop: Drop) -> torch.Tensor:
        """fp32 ``[pairs]`` with gradients, in the batch's order.

        Args:
            drop: applied where BERT has dropout, from the first trained layer's input on.
        """
        hidden = self._embed(layout)
        mask = layout.mask.to(self._dtype)
        last = self.config.num_layers - 1
        three, one = layout.places_of(3), layout.places_of(1)
        with torch.no_grad():
            for index in range(self._frozen_layers):
                name = f"bert.encoder.layer.{index}"
                context = self._attend(hidden, layout, mask, name, three, one, _keep)
                hidden = self._rest_of_layer(context, hidden, name, _keep)
        hidden = drop(hidden)
        for index in range(self._frozen_layers, last):
            name = f"bert.encoder.layer.{index}"
            context = self._attend(hidden, layout, mask, name, three, one, drop)
            hidden = self._rest_of_layer(context, hidden, name, drop)
        name = f"bert.encoder.layer.{last}"
        context = self._attend_first(hidden, layout, mask, name, drop)
        rows = self._rest_of_layer(context, hidden.index_select(0, layout.first), name, drop)
        pooled = drop(torch.tanh(self._linear(rows, "bert.pooler.dense")))
        return self._linear(pooled, "classifier").float().squeeze(-1)

    def _embed(self, layout: Layout) -> torch.Tensor:
        def rows(kind: str, at: torch.Tensor) -> torch.Tensor:
            return self._embeddings[f"{_EMBEDDINGS}{kind}_embeddings.weight"].index_select(0, at)

        total = rows("word", layout.ids) + rows("token_type", layout.types)
        total = total + rows("position", layout.positions)
        name = f"{_EMBEDDINGS}LayerNorm"
        gain, bias = self._embeddings[f"{name}.weight"], self._embeddings[f"{name}.bias"]
        return functional.layer_norm(total, gain.shape, gain, bias, self.config.layer_norm_eps).to(
            self._dtype
        )

    def _attend(
        self,
        hidden: torch.Tensor,
        layout: Layout,
        mask: torch.Tensor,
        name: str,
        three: torch.Tensor,
        one: torch.Tensor,
        drop: Drop,
    ) -> torch.Tensor:
        """``[tokens, hidden]``: the context of every token."""
        heads = self._heads(self._linear(hidden, f"{name}.attention.self.qkv"), three, 3, layout)
        context = self._weighted(heads[0], heads[1], heads[2], mask, drop)
        rows = _apply(_Gather, context.reshape(-1, self.config.head_size), one)
        return rows.view(hidden.shape)

    def _attend_first(
        self, hidden: torch.Tensor, layout: Layout, mask: torch.Tensor, name: str, drop: Drop
    ) -> torch.Tensor:
        """``[pairs, hidden]``: the context of each pair's [CLS]."""
        size, qkv = self.config.hidden_size, f"{name}.attention.self.qkv"
        weight, bias = self._used[f"{qkv}.weight"], self._used[f"{qkv}.bias"]
        first = hidden.index_select(0, layout.first)
        query = functional.linear(first, weight[:size], bias[:size])
        others = functional.linear(hidden, weight[size:], bias[size:])
        heads = self._heads(others, layout.places_of(2), 2, layout)
        query = query.view(-1, 1, self.config.head_size)
        return self._weighted(query, heads[0], heads[1], mask, drop).reshape(-1, size)

    def _heads(
        self, rows: torch.Tensor, places: torch.Tensor, kinds: int, layout: Layout
    ) -> torch.Tensor:
        """``[tokens, kinds * hidden]`` to ``[kinds, pairs * heads, length, head size]``."""
        width = self.config.head_size
        spread = _apply(_Spread, rows.view(-1, width), places, kinds * layout.size)
        return spread.view(kinds, -1, layout.length, width)

    def _weighted(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor,
        drop: Drop,
    ) -> torch.Tensor:
        """Scaled dot-product attention over ``[pairs * heads, rows, head size]``."""
        scale = self.config.head_size**-0.5
        scores = torch.baddbmm(mask, query, key.transpose(1, 2), alpha=scale)
        return torch.bmm(drop(scores.softmax(-1)), value)

    def _rest_of_layer(
        self, context: torch.Tensor, hidden: torch.Tensor, name: str, drop: Drop
    ) -> torch.Tensor:
        attended = drop(self._linear(context, f"{name}.attention.output.dense")) + hidden
        attended = self._norm(attended, f"{name}.attention.output.LayerNorm")
        wide = functional.gelu(self._linear(attended, f"{name}.intermediate.dense"))
        output = drop(self._linear(wide, f"{name}.output.dense")) + attended
        return self._norm(output, f"{name}.output.LayerNorm")

    def _linear(self, rows: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(rows, self._used[f"{name}.weight"], self._used[f"{name}.bias"])

    def _norm(self, rows: torch.Tensor, name: str) -> torch.Tensor:
        gain, bias = self._used[f"{name}.weight"], self._used[f"{name}.bias"]
        return functional.layer_norm(rows, gain.shape, gain, bias, self.config.layer_norm_eps)


def _keep(values: torch.Tensor) -> torch.Tensor:
    return values


def _joined_name(name: str) -> tuple[str, str | None]:
    """The name under which a tensor is trained, and which part of the joined one it is."""
    for part in _PARTS:
        if f".attention.self.{part}." in name:
            return name.replace(f".{part}.", ".qkv."), part
    return name, None


def _apply(function: type[torch.autograd.Function], *arguments: object) -> torch.Tensor:
    result: torch.Tensor = function.apply(*arguments)  # type: ignore[no-untyped-call]
    return result
