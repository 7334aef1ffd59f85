"""What the listwise recipe trains: transformers' BERT in bf16 with fp32 master weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glossrank.encoding import plan_batches
from glossrank.training.masters import AdamSettings, MasterWeights
from glossrank.training.recipe import ListwiseRecipe
from glossrank.training.saving import write_half

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

_TOKENS_AT_ONCE = 1600


class Student:
    """A BERT cross-encoder in bf16 with fp32 master weights.

    The embeddings are not trained, only rounded to bf16.
    """

    def __init__(self, base: Path, recipe: ListwiseRecipe, steps: int) -> None:
        import torch
        from tokenizers import Tokenizer
        from transformers import BertForSequenceClassification

        torch.manual_seed(recipe.seed)
        self.base = base
        self.model = BertForSequenceClassification.from_pretrained(
            base,
            dtype=torch.float32,
            attn_implementation="eager",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.model.bert.embeddings.requires_grad_(False)
        most = min(recipe.max_length, self.model.config.max_position_embeddings)
        self.tokenizer = _tokenizer(Tokenizer, base, most)
        trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        masters = {n: p.detach().clone().requires_grad_(True) for n, p in trained.items()}
        self.average = {n: torch.zeros_like(p) for n, p in masters.items()}
        self.averaged = 0
        self.base_share = recipe.base_share
        self.origin = {n: p.detach().clone() for n, p in masters.items()} if self.base_share else {}
        self.model.bfloat16().train()
        live = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        warmup = max(1, round(steps * recipe.warmup_share))
        settings = AdamSettings(
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            max_grad_norm=recipe.max_grad_norm,
            factor=lambda step: min((step + 1) / warmup, (steps - step) / max(1, steps - warmup)),
        )
        self.weights = MasterWeights(masters, live, settings)

    def logits(self, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
        """fp32 ``[pairs]`` with gradients; pairs of like length share a batch."""
        import torch

        encoded = self.tokenizer.encode_batch(list(pairs))
        lengths = np.array([len(e.ids) for e in encoded])
        parts, rows = [], []
        for batch in plan_batches(lengths, token_budget=_TOKENS_AT_ONCE):
            shape = (len(batch), int(lengths[batch].max()))
            ids, kinds, mask = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
            for at, row in enumerate(batch.tolist()):
                length = int(lengths[row])
                ids[at, :length] = torch.tensor(encoded[row].ids)
                kinds[at, :length] = torch.tensor(encoded[row].type_ids)
                mask[at, :length] = 1
            output = self.model(input_ids=ids, token_type_ids=kinds, attention_mask=mask)
            parts.append(output.logits.float().squeeze(-1))
            rows.append(batch)
        inverse = np.argsort(np.concatenate(rows))
        return torch.cat(parts)[torch.from_numpy(inverse)]

    def add_to_average(self) -> None:
        """Take the present weights into the running mean that is saved in the end."""
        import torch

        self.averaged += 1
        with torch.no_grad():
            for name, mean in self.average.items():
                mean += (self.weights.masters[name] - mean) / self.averaged

    def save(self, folder: Path, *, averaged: bool) -> None:
        """Write an fp16 model folder: the averaged weights, with their share of the base's, or
        those of this moment.

        Raises:
            InputError: the weights grew beyond fp16.
        """
        state = {name: value.float() for name, value in self.model.state_dict().items()}
        use_mean = averaged and self.averaged > 0
        state.update(self.average if use_mean else self.weights.masters)
        if averaged:
            state.update({n: state[n].lerp(p, self.base_share) for n, p in self.origin.items()})
        write_half(self.base, folder, state)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, for a checkpoint."""
        return {**self.weights.state(), "average": self.average, "averaged": self.averaged}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.weights.load_state(state)
        self.average, self.averaged = state["average"], state["averaged"]


def _tokenizer(kind: type[Tokenizer], base: Path, max_length: int) -> Tokenizer:
    tokenizer = kind.from_file(str(base / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    return tokenizer
