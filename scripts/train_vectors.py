"""Train the static vectors with which long glossaries are shortlisted.

A text's vector is the normalised sum of its tokens' vectors, so that a definition costs a few
look-ups. The tokens start from all-MiniLM-L6-v2 run on each token alone, reduced to their main
components (as model2vec does), and learn two things at once:

- a training question is nearer to the definitions of its terms than to those of all other terms
  (a softmax over all training terms, one wording each, drawn anew every step);
- texts are as near to each other as all-MiniLM-L6-v2 finds them (the rows of its similarity
  matrix, as distributions), for words that no question has.

    python scripts/train_vectors.py --bi-encoder FOLDER --general pedia-cc0.jsonl.gz -o OUT.safetensors

Definitions of terms of the splits dev and test take no part. About 8 minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch.nn import functional

from glossrank.model_names import DEFAULT_BASE, PACKAGED_MODELS

LARGE = Path(__file__).parent.parent / "datasets" / "finance-terms-large"
WORDINGS = ("glossary", "glossary-standard", "glossary-textbook", "glossary-short")
AUXILIARY = ("auxiliary-long", "auxiliary-short", "auxiliary-2-long", "auxiliary-2-short")
DIMENSIONS = 256
TEMPERATURE = 0.05
LONGEST = 64
"""Tokens of a text that are read in training."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bi-encoder", type=Path, required=True)
    parser.add_argument("--general", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--general-texts", type=int, default=60_000)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    draw = random.Random(options.seed)
    tokenizer = Tokenizer.from_file(str(PACKAGED_MODELS / DEFAULT_BASE / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    teacher = SentenceTransformer(str(options.bi_encoder), device="cpu")

    terms = _training_terms()
    names = list(terms)
    column = {name: at for at, name in enumerate(names)}
    questions = [
        (_encode(tokenizer, question), [column[i] for i in relevant if i in column])
        for question, relevant in _questions()
        if any(i in column for i in relevant)
    ]
    documents = [[_encode(tokenizer, text) for text in terms[name]] for name in names]
    texts = _general_texts(options.general, draw, options.general_texts)
    texts += [question for question, _ in _questions()][::4]
    texts += [text for name in names for text in terms[name]][::2]
    print(f"{len(questions)} questions, {len(names)} terms, {len(texts)} texts", flush=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wanted = teacher.encode(texts, normalize_embeddings=True, convert_to_tensor=True).float()
    encoded = [_encode(tokenizer, text) for text in texts]

    table = torch.nn.EmbeddingBag.from_pretrained(
        torch.tensor(_start(teacher, options.dimensions)), freeze=False, mode="sum"
    )
    optimizer = torch.optim.Adam(table.parameters(), lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 100) * (1 - step / options.steps)
    )
    seen = [0.0, 0.0]
    for step in range(options.steps):
        batch = draw.sample(questions, 512)
        wording = _vectors(table, [draw.choice(some) for some in documents])
        scores = _vectors(table, [question for question, _ in batch]) @ wording.T / TEMPERATURE
        right = torch.zeros_like(scores, dtype=torch.bool)
        for row, (_, columns) in enumerate(batch):
            right[row, columns] = True
        found = scores.masked_fill(~right, -1e9).logsumexp(1) - scores.logsumexp(1)
        rows = draw.sample(range(len(texts)), 768)
        mine = _vectors(table, [encoded[row] for row in rows])
        theirs = wanted[rows]
        apart = torch.eye(len(rows), dtype=torch.bool)
        student = (mine @ mine.T / TEMPERATURE).masked_fill(apart, -1e9).log_softmax(1)
        target = (theirs @ theirs.T / TEMPERATURE).masked_fill(apart, -1e9).softmax(1)
        alike = functional.kl_div(student, target, reduction="batchmean")
        loss = -found.mean() + alike
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        now = (-found.detach().mean().item(), alike.item())
        seen = [0.98 * old + 0.02 * new for old, new in zip(seen, now, strict=True)]
        if step % 100 == 99:
            print(step + 1, *(round(value, 3) for value in seen), flush=True)
    _save(table.weight.detach().numpy(), options.output)


def _training_terms() -> dict[str, list[str]]:
    """Id to the wordings of its document; terms held out for judging are left out."""
    terms: dict[str, list[str]] = defaultdict(list)
    for name in (*WORDINGS, *AUXILIARY):
        with (LARGE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("split", "train") not in ("dev", "test"):
                    terms[row["id"]].append(f"{row['term']} can be defined as {row['definition']}")
    return terms


def _questions() -> list[tuple[str, list[str]]]:
    found = []
    for name in ("train", "train-2"):
        for line in (LARGE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found.append((row["question"], row["relevant"]))
    return found


def _general_texts(path: Path, draw: random.Random, count: int) -> list[str]:
    """Sentences, definitions and names of the encyclopedia's pages."""
    texts = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            page = json.loads(line)
            texts += [page["term"], f"{page['term']} can be defined as {page['definition'][:300]}"]
            for heading, text in page["sections"]:
                texts.append(heading)
                texts += [s for s in re.split(r"(?<=[.?!])\s+", text) if 20 < len(s) < 250]
    return draw.sample(texts, min(count, len(texts)))


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids or [0]


def _vectors(table: torch.nn.EmbeddingBag, texts: list[list[int]]) -> torch.Tensor:
    flat = torch.tensor([token for text in texts for token in text])
    starts = torch.tensor([0, *np.cumsum([len(text) for text in texts])[:-1].tolist()])
    return functional.normalize(table(flat, starts), dim=1)


def _start(
    teacher: SentenceTransformer, dimensions: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """``[vocabulary, dimensions]`` fp32: each token alone through the bi-encoder, common ones small."""
    network, tokenizer = teacher[0].auto_model, teacher.tokenizer
    size = tokenizer.vocab_size
    parts = []
    with torch.no_grad():
        for ids in torch.split(torch.arange(size), 512):
            ends = [
                torch.full_like(ids, i) for i in (tokenizer.cls_token_id, tokenizer.sep_token_id)
            ]
            tokens = torch.stack([ends[0], ids, ends[1]], dim=1)
            hidden = network(input_ids=tokens, attention_mask=torch.ones_like(tokens))
            parts.append(hidden.last_hidden_state.mean(1))
    found = torch.cat(parts).numpy()
    found -= found.mean(axis=0)
    _, _, components = np.linalg.svd(found, full_matrices=False)
    # The vocabulary is listed by use, so Zipf's law gives each token's share; weights as in
    # Arora et al. 2017 ("smooth inverse frequency").
    share = 1 / np.arange(1, size + 1)
    weight = 1e-4 / (1e-4 + share / share.sum())
    return np.asarray((found @ components[:dimensions].T) * weight[:, None], dtype=np.float32)


def _save(table: np.ndarray[tuple[int, int], np.dtype[np.float32]], output: Path) -> None:
    """int8 with one fp32 scale a token."""
    scale = np.abs(table).max(axis=1) / 127
    scale[scale == 0] = 1
    codes = np.rint(table / scale[:, None]).astype(np.int8)
    output.parent.mkdir(parents=True, exist_ok=True)
    save_file({"codes": codes, "scale": scale.astype(np.float32)}, output)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
