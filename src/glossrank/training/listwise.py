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

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glossrank.training.augment import case, typo
from glossrank.training.examples import Example, TeacherGroup, TrainingSet
from glossrank.training.loop import (
    Outcome,
    finite_loss,
    read_checkpoint,
    run_steps,
    write_checkpoint,
)
from glossrank.training.mining import Pool, draw, mine, shortlists
from glossrank.training.recipe import ListwiseRecipe
from glossrank.training.student import Student
from glossrank.training.work import Progress

if TYPE_CHECKING:
    import torch


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
) -> Outcome[Student]:
    """Train, with checkpoints in ``work``; one that is there already is gone on from."""
    steps = steps_of(recipe, len(data.examples))
    student = Student(base, recipe, steps)
    pools = shortlists(data, size=recipe.pool_size, seed=recipe.seed)
    losses: list[float] = []
    first = 0
    saved = read_checkpoint(work)
    if saved is not None:
        student.load_state(saved["student"])
        first, losses = saved["step"], saved["losses"]
        pools = [Pool(*map(tuple, parts)) for parts in saved["pools"]]
    per_epoch = steps // recipe.epochs

    def take_step(step: int) -> float:
        nonlocal pools
        if step == recipe.mine_after_epochs * per_epoch:
            pools = _mined(data, pools, student, work, recipe)
        loss = _loss(student, data, pools, teacher, step, per_epoch, recipe)
        value = finite_loss(loss, step)
        student.weights.step(loss)
        if step >= steps * (1 - recipe.averaged_share):
            student.add_to_average()
        return value

    def save(step: int) -> None:
        plain = [(list(pool.rows), list(pool.weights), list(pool.excluded)) for pool in pools]
        content = {"student": student.state(), "step": step, "losses": losses, "pools": plain}
        write_checkpoint(work, content)

    end = run_steps(
        take_step,
        first=first,
        steps=steps,
        losses=losses,
        save=save,
        on_progress=on_progress,
        stop=stop,
    )
    final_loss = float(np.mean(losses[-max(1, steps // 10) :]))
    return Outcome(student, end.steps, final_loss, end.seconds, stopped=end.stopped)


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
