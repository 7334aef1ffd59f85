"""The listwise recipe: every question with its right answer and several wrong ones at once.

The loss is the cross-entropy of the softmax over a question's candidates (ListNet's top-one
loss, Cao et al. 2007), plus binary cross-entropy over the same logits, which gives the logit
a meaning that does not depend on the question (calibration, none of these), plus the KL
divergence from a teacher on general text (Hinton et al. 2015), which keeps what the base
knew. Wrong answers are mined with the current model.

Written without a trainer library for speed: bf16 arithmetic with fp32 master weights, pairs
packed by length, and plain attention, whose backward pass is twice as fast on a CPU as that
of torch's fused one (benchmarks/LOG.md). Every step depends on its number and the seed only,
so an interrupted run goes on exactly.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glossrank.encoding import plan_batches
from glossrank.errors import InputError, OutputError
from glossrank.fusion import FITTED_FILES
from glossrank.model_folder import CONFIG_FILE
from glossrank.training.augment import case, typo
from glossrank.training.examples import Example, TeacherGroup, TrainingSet
from glossrank.training.mining import Pool, draw, mine, shortlists
from glossrank.training.recipe import ListwiseRecipe
from glossrank.training.run import Progress

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

CHECKPOINT_FILE = "checkpoint.pt"
_CHECKPOINT_SECONDS = 120.0
_TOKENS_AT_ONCE = 1600


@dataclass(frozen=True)
class Outcome:
    """What a loop ends with: the student, mean loss of the last tenth, time in seconds."""

    student: Student
    steps: int
    final_loss: float
    seconds: float
    stopped: bool


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
        self.master = {n: p.detach().clone().requires_grad_(True) for n, p in trained.items()}
        self.average = {n: torch.zeros_like(p) for n, p in self.master.items()}
        self.averaged = 0
        self.model.bfloat16().train()
        self.live = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        decayed = [p for n, p in self.master.items() if p.dim() > 1]
        plain = [p for n, p in self.master.items() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": recipe.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
            fused=True,
        )
        warmup = max(1, round(steps * recipe.warmup_share))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda step: min((step + 1) / warmup, (steps - step) / max(1, steps - warmup)),
        )

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

    def step(self, loss: torch.Tensor, *, max_grad_norm: float) -> None:
        """One optimizer step on the master weights, copied back to bf16."""
        import torch

        for parameter in self.live.values():
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        for name, master in self.master.items():
            gradient = self.live[name].grad
            master.grad = None if gradient is None else gradient.float()
        torch.nn.utils.clip_grad_norm_(self.master.values(), max_grad_norm)
        self.optimizer.step()
        self.schedule.step()
        with torch.no_grad():
            for name, master in self.master.items():
                self.live[name].copy_(master)

    def add_to_average(self) -> None:
        """Take the present weights into the running mean that is saved in the end."""
        import torch

        self.averaged += 1
        with torch.no_grad():
            for name, mean in self.average.items():
                mean += (self.master[name] - mean) / self.averaged

    def save(self, folder: Path, *, averaged: bool) -> None:
        """Write an fp16 model folder: the averaged weights, or those of this moment.

        Raises:
            InputError: the weights grew beyond fp16.
        """
        import torch
        from safetensors.torch import save_file

        state = {name: value.float() for name, value in self.model.state_dict().items()}
        use_mean = averaged and self.averaged > 0
        state.update(self.average if use_mean else self.master)
        half = {
            name: value.detach().to(torch.float16).contiguous() for name, value in state.items()
        }
        if not all(bool(value.isfinite().all()) for value in half.values()):
            raise InputError(
                expected="weights that fit into fp16",
                found="an overflow",
                fix="Lower the learning rate with --set learning_rate=..., and train again.",
            )
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(self.base.iterdir()):
            if file.suffix in (".json", ".txt") and file.name not in FITTED_FILES:
                shutil.copyfile(file, folder / file.name)
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        # fp16 weights that are run in fp32, as everywhere in glossrank.
        text = json.dumps({**config, "dtype": "float32"}, indent=2)
        (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
        save_file(half, folder / "model.safetensors", metadata={"format": "pt"})

    def state(self) -> dict[str, Any]:
        return {
            "master": self.master,
            "average": self.average,
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        import torch

        with torch.no_grad():
            for name, value in state["master"].items():
                self.master[name].copy_(value)
                self.live[name].copy_(value)
        self.average, self.averaged = state["average"], state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])


def steps_of(recipe: ListwiseRecipe, examples: int) -> int:
    """Optimizer steps of a run: whole steps of each epoch, at least one."""
    return max(1, examples // recipe.questions_per_step) * recipe.epochs


def run_loop(
    data: TrainingSet,
    teacher: Sequence[TeacherGroup],
    *,
    base: Path,
    work: Path,
    recipe: ListwiseRecipe,
    on_progress: Callable[[Progress], None] | None,
    stop: Callable[[], bool],
) -> Outcome:
    """Train, with checkpoints in ``work``; one that is there already is gone on from."""

    steps = steps_of(recipe, len(data.examples))
    student = Student(base, recipe, steps)
    pools = shortlists(data, size=recipe.pool_size, seed=recipe.seed)
    losses: list[float] = []
    first = 0
    checkpoint = work / CHECKPOINT_FILE
    if checkpoint.exists():
        saved = _read_checkpoint(checkpoint)
        student.load_state(saved["student"])
        first, losses = saved["step"], saved["losses"]
        pools = [Pool(*map(tuple, parts)) for parts in saved["pools"]]
    began = last_saved = time.perf_counter()
    per_epoch = steps // recipe.epochs
    for step in range(first, steps):
        if step == recipe.mine_after_epochs * per_epoch:
            pools = _mined(data, pools, student, work, recipe)
        loss = _loss(student, data, pools, teacher, step, per_epoch, recipe)
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise InputError(
                expected="a finite loss",
                found=f"{losses[-1]} at step {step + 1}",
                fix="Lower the learning rate with --set learning_rate=..., and try another base.",
            )
        student.step(loss, max_grad_norm=recipe.max_grad_norm)
        if step >= steps * (1 - recipe.averaged_share):
            student.add_to_average()
        now = time.perf_counter()
        if on_progress is not None:
            left = (now - began) / (step + 1 - first) * (steps - step - 1)
            on_progress(Progress(step + 1, steps, float(np.mean(losses[-50:])), left))
        stopped = stop() and step + 1 < steps
        if stopped or now - last_saved > _CHECKPOINT_SECONDS:
            _save_checkpoint(checkpoint, student, step + 1, losses, pools)
            last_saved = now
        if stopped:
            return Outcome(student, step + 1, losses[-1], now - began, stopped=True)
    # What comes after the loop (ranking test questions) may fail: then --resume ends here.
    _save_checkpoint(checkpoint, student, steps, losses, pools)
    tail = losses[-max(1, steps // 10) :]
    return Outcome(student, steps, float(np.mean(tail)), time.perf_counter() - began, stopped=False)


def _loss(
    student: Student,
    data: TrainingSet,
    pools: Sequence[Pool],
    teacher: Sequence[TeacherGroup],
    step: int,
    per_epoch: int,
    recipe: ListwiseRecipe,
) -> torch.Tensor:
    """The loss of one step: its questions' terms, and now and then the teacher's."""
    import torch
    from torch.nn import functional

    epoch, place = divmod(step, per_epoch)
    order = list(range(len(data.examples)))
    random.Random(f"{recipe.seed} epoch {epoch}").shuffle(order)
    rng = random.Random(f"{recipe.seed} step {step}")
    chosen = order[place * recipe.questions_per_step : (place + 1) * recipe.questions_per_step]
    pairs: list[tuple[str, str]] = []
    sizes, rights = [], []
    for at in chosen:
        example = data.examples[at]
        question = _augmented(example, recipe, rng)
        wrong = draw(
            example,
            pools[at],
            count=recipe.negatives,
            random_share=recipe.random_share,
            candidates=len(data.candidates),
            rng=rng,
        )
        rows = [*example.right, *wrong]
        pairs += [(question, data.candidates[row].document(rng)) for row in rows]
        sizes.append(len(rows))
        rights.append(len(example.right))
    with_teacher = bool(teacher) and rng.random() < recipe.teacher_share
    groups = groups_of_step(teacher, step, recipe) if with_teacher else []
    for group in groups:
        # The teacher read the query as it was; its logits hold for the misspelt one too.
        query = _augmented(Example(group.query, ()), recipe, rng)
        pairs += [(query, document) for document in group.documents]
        sizes.append(len(group.documents))
    parts = torch.split(student.logits(pairs), sizes)
    listwise, labels = [], []
    for logits, right in zip(parts, rights, strict=False):
        target = torch.zeros_like(logits)
        target[:right] = 1.0
        labels.append(target)
        if right:
            listwise.append(-(target / right * logits.log_softmax(0)).sum())
    answers = torch.cat(parts[: len(rights)])
    loss = recipe.binary_weight * functional.binary_cross_entropy_with_logits(
        answers, torch.cat(labels)
    )
    if listwise:
        loss = loss + torch.stack(listwise).mean()
    if groups:
        divergences = [
            functional.kl_div(
                logits.log_softmax(0),
                torch.tensor(group.scores, dtype=torch.float32).log_softmax(0),
                log_target=True,
                reduction="sum",
            )
            for logits, group in zip(parts[len(rights) :], groups, strict=True)
        ]
        loss = loss + recipe.teacher_weight * torch.stack(divergences).mean()
    return loss


def groups_of_step(
    teacher: Sequence[TeacherGroup], step: int, recipe: ListwiseRecipe
) -> list[TeacherGroup]:
    """The teacher groups of a step: pass after pass over all of them, each shuffled anew.

    A step that sees no teacher leaves its groups out of the pass.
    """
    count = min(len(teacher), recipe.teacher_groups)
    orders: dict[int, list[int]] = {}
    chosen = []
    for at in range(step * count, (step + 1) * count):
        number, place = divmod(at, len(teacher))
        if number not in orders:
            orders[number] = list(range(len(teacher)))
            random.Random(f"{recipe.seed} teacher pass {number}").shuffle(orders[number])
        chosen.append(teacher[orders[number][place]])
    return chosen


def _augmented(example: Example, recipe: ListwiseRecipe, rng: random.Random) -> str:
    question = example.question
    if not example.typo and rng.random() < recipe.typo_share:
        question = typo(question, rng)
    if rng.random() < recipe.case_share:
        question = case(question, rng)
    return question


def _mined(
    data: TrainingSet,
    pools: Sequence[Pool],
    student: Student,
    work: Path,
    recipe: ListwiseRecipe,
) -> list[Pool]:
    """The pools weighted by the present model, scored through glossrank's own engine."""
    from glossrank.cross_encoder import CrossEncoder

    folder = work / "mining"
    student.save(folder, averaged=False)
    scorer = CrossEncoder(folder, precision="bf16").logits
    mined = mine(
        data,
        pools,
        scorer,
        margin=recipe.false_negative_margin,
        temperature=recipe.mining_temperature,
    )
    shutil.rmtree(folder, ignore_errors=True)
    return mined


def _read_checkpoint(file: Path) -> dict[str, Any]:
    """What ``_save_checkpoint`` wrote.

    Raises:
        OutputError: the file is broken.
    """
    import torch

    try:
        content: dict[str, Any] = torch.load(file, weights_only=True)
    except Exception as error:  # torch raises whatever its reader stumbles over
        raise OutputError(
            file=file,
            expected="a whole checkpoint",
            found=str(error).splitlines()[0],
            fix="Remove the folder that it is in to start anew.",
        ) from error
    return content


def _save_checkpoint(
    file: Path, student: Student, step: int, losses: list[float], pools: Sequence[Pool]
) -> None:
    import torch

    partial = file.with_suffix(".partial")
    torch.save(
        {
            "student": student.state(),
            "step": step,
            "losses": losses,
            "pools": [(list(pool.rows), list(pool.weights), list(pool.excluded)) for pool in pools],
        },
        partial,
    )
    partial.replace(file)


def _tokenizer(kind: type[Tokenizer], base: Path, max_length: int) -> Tokenizer:
    tokenizer = kind.from_file(str(base / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    return tokenizer
