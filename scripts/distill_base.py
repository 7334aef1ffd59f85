"""Distil the 12-layer teacher into the six-layer base, ``models/minilm-l6-base``.

    python scripts/distill_base.py build/teacher build/scored.jsonl build/minilm-l6-base

The student starts as the teacher's layers 1, 3, 5, 7, 9 and 11 with its embeddings and head
(the embeddings stay as they are) and learns the teacher's logits: squared error over all
pairs plus the KL divergence between the two softmaxes over each group of documents.
Dropout is off. One pass; a checkpoint every few minutes, from which the same command goes
on. Held-out groups say at the end how far the student's order agrees with the teacher's.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn
from transformers import AutoTokenizer, BertForSequenceClassification

SEED = 42
KEPT_LAYERS = (1, 3, 5, 7, 9, 11)
GROUPS_PER_STEP = 8
LEARNING_RATE = 1e-4
WARMUP_SHARE = 0.05
WEIGHT_DECAY = 0.01
MAX_LENGTH = 128
HELD_OUT_GROUPS = 500
CHECKPOINT_EVERY = 200

Group = dict[str, Any]


def student_of(teacher: Path) -> BertForSequenceClassification:
    """The teacher with every second layer left out, dropout off."""
    model = BertForSequenceClassification.from_pretrained(
        teacher, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, dtype=torch.float32
    )
    layers = model.bert.encoder.layer
    model.bert.encoder.layer = nn.ModuleList([layers[i] for i in KEPT_LAYERS])
    model.config.num_hidden_layers = len(KEPT_LAYERS)
    for parameter in model.bert.embeddings.parameters():
        parameter.requires_grad_(False)
    return model


def loss_of(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Squared error plus KL(teacher || student) over each row; both ``[groups, documents]``."""
    error = nn.functional.mse_loss(student, teacher)
    divergence = nn.functional.kl_div(
        student.log_softmax(-1), teacher.log_softmax(-1), log_target=True, reduction="batchmean"
    )
    return error + divergence


def forward(model: nn.Module, tokenizer: Any, groups: list[Group]) -> torch.Tensor:
    """fp32 logits ``[groups, documents]``; pairs are run in two halves by length."""
    queries = [g["query"] for g in groups for _ in g["documents"]]
    documents = [d for g in groups for d in g["documents"]]
    lengths = [len(q) + len(d) for q, d in zip(queries, documents, strict=True)]
    order = np.argsort(lengths, kind="stable")
    parts, rows = [], []
    for half in np.array_split(order, 2):
        batch = tokenizer(
            [queries[i] for i in half], [documents[i] for i in half],
            padding=True, truncation="longest_first", max_length=MAX_LENGTH, return_tensors="pt",
        )  # fmt: skip
        with torch.autocast("cpu", dtype=torch.bfloat16):
            parts.append(model(**batch).logits.float().squeeze(-1))
        rows.append(half)
    inverse = torch.from_numpy(np.argsort(np.concatenate(rows)))
    return torch.cat(parts)[inverse].reshape(len(groups), -1)


def agreement(model: nn.Module, tokenizer: Any, groups: list[Group]) -> dict[str, float]:
    """Spearman over all held-out pairs, and nDCG of the student's order by the teacher's.

    The gain of a document is its teacher rank in the group counted from the bottom, so a
    student that orders as the teacher does gets 1.
    """
    model.eval()
    predicted: list[np.ndarray] = []
    with torch.inference_mode():
        for start in range(0, len(groups), GROUPS_PER_STEP):
            predicted.append(
                forward(model, tokenizer, groups[start : start + GROUPS_PER_STEP]).numpy()
            )
    model.train()
    student = np.concatenate(predicted)
    teacher = np.array([g["scores"] for g in groups])
    gains = teacher.argsort(axis=1).argsort(axis=1).astype(float)
    discount = 1 / np.log2(np.arange(2, gains.shape[1] + 2))
    ranked = np.take_along_axis(gains, (-student).argsort(axis=1, kind="stable"), axis=1)
    ideal = -np.sort(-gains, axis=1)
    return {
        "spearman": float(spearmanr(student.ravel(), teacher.ravel()).statistic),
        "ndcg@10_by_teacher_order": float(((ranked @ discount) / (ideal @ discount)).mean()),
        "same_top_1": float((student.argmax(1) == teacher.argmax(1)).mean()),
        "mean_absolute_error": float(np.abs(student - teacher).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teacher", type=Path)
    parser.add_argument("scored", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, help="optimizer steps; by default one whole pass")
    options = parser.parse_args()
    torch.manual_seed(SEED)
    with options.scored.open(encoding="utf-8") as lines:
        groups = [json.loads(line) for line in lines]
    held_out, training = groups[:HELD_OUT_GROUPS], groups[HELD_OUT_GROUPS:]
    random.Random(SEED).shuffle(training)
    tokenizer = AutoTokenizer.from_pretrained(options.teacher)
    model = student_of(options.teacher)
    model.train()
    steps = min(len(training) // GROUPS_PER_STEP, options.steps or len(training))
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad],
        lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True,
    )  # fmt: skip
    warmup = max(1, round(steps * WARMUP_SHARE))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / warmup, max(0.0, (steps - s) / (steps - warmup)))
    )
    options.output.mkdir(parents=True, exist_ok=True)
    # Beside the folder: a model folder holds no pickle.
    checkpoint = options.output.with_name(f"{options.output.name}.checkpoint.pt")
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["step"]
    else:
        print("start", json.dumps(agreement(model, tokenizer, held_out)), flush=True)
    smooth, began = None, time.perf_counter()
    for step in range(first, steps):
        batch = training[step * GROUPS_PER_STEP : (step + 1) * GROUPS_PER_STEP]
        target = torch.tensor([g["scores"] for g in batch])
        loss = loss_of(forward(model, tokenizer, batch), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        if (step + 1) % 50 == 0:
            pairs = (step + 1 - first) * GROUPS_PER_STEP * target.shape[1]
            rate = pairs / (time.perf_counter() - began)
            left = (steps - step - 1) * GROUPS_PER_STEP * target.shape[1] / rate / 60
            print(
                f"step {step + 1}/{steps} loss {smooth:.3f} {rate:.0f} pairs/s {left:.1f} min left",
                flush=True,
            )
        if (step + 1) % CHECKPOINT_EVERY == 0:
            partial = checkpoint.with_suffix(".partial")
            torch.save(
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "step": step + 1,
                },
                partial,
            )
            partial.replace(checkpoint)
    print("end", json.dumps(agreement(model, tokenizer, held_out)), flush=True)
    # Written as trained with: fine-tuning gets BERT's usual dropout back from the config.
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    model.half().save_pretrained(options.output)
    # fp16 weights to be run in fp32, as everywhere in glossrank.
    config = json.loads((options.output / "config.json").read_text())
    config["dtype"] = "float32"
    (options.output / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copyfile(options.teacher / name, options.output / name)


if __name__ == "__main__":
    main()
