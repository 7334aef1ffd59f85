"""The fast recipe: the model card's hyperparameters in a loop of glossrank's own.

What it has in common with the card's run: the pairs, batches drawn at random, one pass an
epoch, binary cross-entropy, AdamW, the learning rate's linear way to 0, clipped gradients,
dropout in the same places. What is left out or done otherwise, for speed on a CPU:

- bf16 arithmetic with fp32 master weights, where the CPU has bf16; fp32 elsewhere;
- the embeddings stay as they are in the base, and lower layers if that is asked for;
- no padding outside attention, and plain attention (``packed.py``);
- masks of dropout from numbers that are drawn once (``dropout.py``).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from glossrank.encoding import PairEncoder
from glossrank.judgments import LabelledPair
from glossrank.model_folder import load_model_folder
from glossrank.training.dropout import Dropout
from glossrank.training.loop import (
    Outcome,
    finite_loss,
    read_checkpoint,
    run_steps,
    write_checkpoint,
)
from glossrank.training.masters import AdamSettings, MasterWeights
from glossrank.training.packed import PackedBert, lay_out
from glossrank.training.recipe import FastRecipe, steps_of_epoch, steps_of_run
from glossrank.training.saving import write_half
from glossrank.training.work import Progress

_TYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
# Long pairs of a batch are computed apart, so that attention's scores stay small.
_TOKENS_AT_ONCE = 2048


class FastStudent:
    """A BERT cross-encoder and the pairs it learns.

    Args:
        base: a checked model folder.
        precision: "bf16" or "fp32".
    """

    def __init__(
        self, base: Path, pairs: Sequence[LabelledPair], recipe: FastRecipe, precision: str
    ) -> None:
        self.base = base
        self._recipe = recipe
        folder = load_model_folder(base)
        self._encoder = PairEncoder(folder.tokenizer, max_length=folder.max_length)
        questions = self._encoder.tokenize([pair.question for pair in pairs])
        documents = self._encoder.tokenize([pair.document for pair in pairs])
        self._encoded = list(zip(questions, documents, strict=True))
        self._labels = torch.tensor([pair.label for pair in pairs], dtype=torch.float32)
        dtype = _TYPES[precision]
        self._model = PackedBert(
            folder.config, folder.weights(), dtype, frozen_layers=recipe.frozen_layers
        )
        self._drop = Dropout(recipe.dropout, seed=recipe.seed, dtype=dtype)
        settings = AdamSettings(
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            max_grad_norm=recipe.max_grad_norm,
            factor=linear_factor(recipe, steps_of_run(recipe, len(pairs))),
            beta1=recipe.adam_beta1,
            beta2=recipe.adam_beta2,
            epsilon=recipe.adam_epsilon,
        )
        self._weights = MasterWeights(self._model.masters, self._model.live, settings)

    def take_step(self, step: int) -> float:
        """Learn the batch of a step; returns its mean loss.

        Raises:
            InputError: the loss is not finite.
        """
        loss = self.loss(batch_of_step(self._recipe, len(self._encoded), step), step)
        value = finite_loss(loss, step)
        self._weights.step(loss)
        return value

    def loss(self, rows: Sequence[int], step: int) -> torch.Tensor:
        """Mean binary cross-entropy of these pairs, with the dropout of this step."""
        self._drop.start(step)
        heads = self._model.config.num_heads
        logits, labels = [], []
        for batch in self._encoder.batches_of_ids(
            [self._encoded[row] for row in rows], token_budget=_TOKENS_AT_ONCE
        ):
            logits.append(self._model.logits(lay_out(batch, heads), self._drop))
            labels.append(self._labels[[rows[at] for at in batch.rows.tolist()]])
        return functional.binary_cross_entropy_with_logits(torch.cat(logits), torch.cat(labels))

    def save(self, folder: Path) -> None:
        """Write an fp16 model folder.

        Raises:
            InputError: the weights grew beyond fp16.
        """
        write_half(self.base, folder, self._model.state())

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, for a checkpoint."""
        return self._weights.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self._weights.load_state(state)


def linear_factor(recipe: FastRecipe, steps: int) -> Callable[[int], float]:
    """transformers' schedule "linear": up over the warm-up, then down to 0 at the end.

    As there, ``warmup_steps`` below 1 are a share of all steps.
    """
    warmup = recipe.warmup_steps
    first = int(warmup) if warmup >= 1 else math.ceil(steps * warmup)

    def factor(step: int) -> float:
        if step < first:
            return step / first
        return max(0.0, (steps - step) / max(1, steps - first))

    return factor


def batch_of_step(recipe: FastRecipe, pairs: int, step: int) -> list[int]:
    """Rows of the pairs of a step: each epoch sees every pair once, in an order of its own."""
    epoch, place = divmod(step, steps_of_epoch(recipe, pairs))
    order = list(range(pairs))
    random.Random(f"{recipe.seed} epoch {epoch}").shuffle(order)
    size = recipe.per_device_train_batch_size
    return order[place * size : (place + 1) * size]


def run_fast(
    pairs: Sequence[LabelledPair],
    *,
    base: Path,
    work: Path,
    recipe: FastRecipe,
    precision: str,
    on_progress: Callable[[Progress], None] | None,
    stop: Callable[[], bool],
) -> Outcome[FastStudent]:
    """Train, with checkpoints in ``work``; one that is there already is gone on from.

    The final loss is the mean over the last epoch.
    """
    student = FastStudent(base, pairs, recipe, precision)
    losses: list[float] = []
    first = 0
    saved = read_checkpoint(work)
    if saved is not None:
        student.load_state(saved["student"])
        first, losses = saved["step"], saved["losses"]

    def save(step: int) -> None:
        write_checkpoint(work, {"student": student.state(), "step": step, "losses": losses})

    end = run_steps(
        student.take_step,
        first=first,
        steps=steps_of_run(recipe, len(pairs)),
        losses=losses,
        save=save,
        on_progress=on_progress,
        stop=stop,
    )
    final_loss = float(np.mean(losses[-steps_of_epoch(recipe, len(pairs)) :]))
    return Outcome(student, end.steps, final_loss, end.seconds, stopped=end.stopped)
