"""Train a model whose definitions are indexed, from a cross-encoder and its own logits.

    python scripts/score_groups.py finance-terms build/groups-three.jsonl build/own-groups.jsonl
    python scripts/train_indexed.py build/own-groups.jsonl --mixed build/groups-three.jsonl \\
        --join-layer 2 --output build/finance-terms-indexed

The network is that of ``glossrank.architectures.indexed_bert``, started from the weights of the
cross-encoder. It learns the order that the teacher gives each group of documents (KL divergence of
the softmax over the group, Hinton et al. 2015) and, weakly, the logits themselves, so that
probabilities fitted to the one fit the other. With ``--both-ways`` the definition reads the
question in the upper layers too, as in PreTTR: for comparison, there is no graph for it.

A run that was stopped goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from glossrank.architectures.indexed_bert import IndexedBertConfig
from glossrank.encoding import PairEncoder, plan_batches
from glossrank.engines.graphs.blocks import MASKED
from glossrank.folder_files import CONFIG_FILE
from glossrank.model_folder import load_model_folder
from glossrank.model_names import DEFAULT_MODEL, PACKAGED_MODELS
from glossrank.training.augment import case, typo
from glossrank.training.examples import TeacherGroup, read_teacher_groups
from glossrank.training.recipe import ListwiseRecipe
from glossrank.training.student import Student

CLS_LAYERS = 2
DOCUMENT_POSITION = 16
"""A definition starts here, a little after most questions end."""
TOKENS_AT_ONCE = 2400
MIXED_WEIGHT = 0.3
LOGIT_WEIGHT = 0.05
TYPO_SHARE, CASE_SHARE = 0.25, 0.15
CHECKPOINT_SECONDS = 180.0
LONGEST_QUESTION, LONGEST_DOCUMENT = 62, 127


class IndexedStudent(Student):
    """The network in torch, bf16 with fp32 master weights, embeddings not trained."""

    def __init__(
        self, base: Path, recipe: ListwiseRecipe, steps: int, *, join_layer: int, both_ways: bool
    ) -> None:
        super().__init__(base, recipe, steps)
        self.join_layer, self.both_ways = join_layer, both_ways
        tokenizer = load_model_folder(base).tokenizer
        self._encoder = PairEncoder(tokenizer, max_length=512)
        self._layers = self.model.bert.encoder.layer

    def logits(self, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
        """fp32 ``[pairs]`` with gradients; pairs of like length share a batch."""
        queries = list(dict.fromkeys(query for query, _ in pairs))
        documents = list(dict.fromkeys(document for _, document in pairs))
        ids = {
            text: self._encoder.query_part(found[:LONGEST_QUESTION])
            for text, found in zip(queries, self._encoder.tokenize(queries), strict=True)
        }
        document_ids = {
            text: self._encoder.document_part(found[:LONGEST_DOCUMENT])
            for text, found in zip(documents, self._encoder.tokenize(documents), strict=True)
        }
        lengths = np.array([len(ids[q]) + len(document_ids[d]) for q, d in pairs], dtype=np.int32)
        parts, rows = [], []
        for batch in plan_batches(lengths, token_budget=TOKENS_AT_ONCE):
            chosen = [pairs[row] for row in batch.tolist()]
            asked = {query: at for at, query in enumerate(dict.fromkeys(q for q, _ in chosen))}
            parts.append(
                self._batch(
                    [ids[query] for query in asked],
                    [document_ids[document] for _, document in chosen],
                    torch.tensor([asked[query] for query, _ in chosen]),
                )
            )
            rows.append(batch)
        return torch.cat(parts)[torch.from_numpy(np.argsort(np.concatenate(rows)))]

    def _batch(
        self,
        queries: Sequence[NDArray[np.int32]],
        documents: Sequence[NDArray[np.int32]],
        asked: torch.Tensor,
    ) -> torch.Tensor:
        query_ids, query_mask = _padded(queries, self.model.dtype)
        document_ids, mask = _padded(documents, self.model.dtype)
        query = self._embed(query_ids, kind=0, start=0)
        document = self._embed(document_ids, kind=1, start=DOCUMENT_POSITION)
        for index in range(self.join_layer):
            query = self._layer(index, query, query, query_mask)
            document = self._layer(index, document, document, mask)
        # From here on a query has as many rows as it has documents.
        query = query[asked]
        both = torch.cat([query_mask[asked], mask], -1)
        for index in range(self.join_layer, len(self._layers)):
            seen = torch.cat([query, document], 1)
            if self.both_ways and index < len(self._layers) - 1:
                query, document = self._layer(index, seen, seen, both).tensor_split(
                    [query.shape[1]], dim=1
                )
                continue
            narrow = self.both_ways or index >= len(self._layers) - CLS_LAYERS
            new = self._layer(index, query[:, :1] if narrow else query, seen, both)
            query = torch.cat([new, query[:, 1:]], 1) if narrow else new
            if index < len(self._layers) - 1:
                document = self._layer(index, document, document, mask)
        pooled = torch.tanh(self.model.bert.pooler.dense(query[:, 0]))
        found: torch.Tensor = self.model.classifier(pooled).float().squeeze(-1)
        return found

    def _embed(self, ids: torch.Tensor, *, kind: int, start: int) -> torch.Tensor:
        tables = self.model.bert.embeddings
        positions = tables.position_embeddings.weight[start : start + ids.shape[1]]
        total = tables.word_embeddings(ids) + tables.token_type_embeddings.weight[kind] + positions
        found: torch.Tensor = tables.LayerNorm(total)
        return found

    def _layer(
        self, index: int, rows: torch.Tensor, seen: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Layer ``index`` for ``rows``, which read ``seen``."""
        layer = self._layers[index]
        attention = layer.attention.self

        def heads(node: torch.Tensor) -> torch.Tensor:
            return node.view(*node.shape[:2], attention.num_attention_heads, -1).transpose(1, 2)

        query = heads(attention.query(rows))
        key, value = heads(attention.key(seen)), heads(attention.value(seen))
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + mask
        context = (scores.softmax(-1) @ value).transpose(1, 2).reshape(rows.shape)
        output = layer.attention.output
        attended = output.LayerNorm(output.dense(context) + rows)
        wide = functional.gelu(layer.intermediate.dense(attended))
        found: torch.Tensor = layer.output.LayerNorm(layer.output.dense(wide) + attended)
        return found

    def save_indexed(self, folder: Path) -> None:
        """The averaged weights, as a model folder of the family indexed-bert."""
        self.save(folder, averaged=True)
        file = folder / CONFIG_FILE
        config = json.loads(file.read_text(encoding="utf-8")) | {
            "model_type": IndexedBertConfig.family,
            "architectures": [IndexedBertConfig.architecture],
            "join_layer": self.join_layer,
            "cls_layers": CLS_LAYERS,
            "document_position": DOCUMENT_POSITION,
        }
        file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", type=Path, help="scored by the base itself")
    parser.add_argument("--mixed", type=Path, required=True, help="the same, scored by others")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--base", type=Path, default=PACKAGED_MODELS / DEFAULT_MODEL)
    parser.add_argument("--join-layer", type=int, default=2)
    parser.add_argument("--both-ways", action="store_true")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--groups-per-step", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--averaged-share", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=9)
    options = parser.parse_args()
    own, mixed = read_teacher_groups(options.groups), read_teacher_groups(options.mixed)
    if [(g.query, g.documents) for g in own] != [(g.query, g.documents) for g in mixed]:
        raise SystemExit(f"{options.groups} and {options.mixed} are not of the same groups")
    recipe = ListwiseRecipe(learning_rate=options.learning_rate, seed=options.seed)
    student = IndexedStudent(
        options.base,
        recipe,
        options.steps,
        join_layer=options.join_layer,
        both_ways=options.both_ways,
    )
    checkpoint = options.output.with_suffix(".checkpoint")
    first = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        student.load_state(saved["student"])
        first = saved["step"]
    losses: list[float] = []
    last_saved = time.perf_counter()
    for step in range(first, options.steps):
        rows = rows_of_step(len(own), step, count=options.groups_per_step, seed=options.seed)
        draw = random.Random(f"{options.seed} step {step}")
        loss = group_loss(student, [own[row] for row in rows], [mixed[row] for row in rows], draw)
        losses.append(float(loss.detach()))
        student.weights.step(loss)
        if step >= options.steps * (1 - options.averaged_share):
            student.add_to_average()
        if step % 50 == 49:
            print(f"step {step + 1}, loss {np.mean(losses[-50:]):.3f}", flush=True)
        if time.perf_counter() - last_saved > CHECKPOINT_SECONDS:
            torch.save({"student": student.state(), "step": step + 1}, checkpoint)
            last_saved = time.perf_counter()
    student.save_indexed(options.output)
    checkpoint.unlink(missing_ok=True)


def rows_of_step(groups: int, step: int, *, count: int, seed: int) -> list[int]:
    """Which groups a step sees: pass after pass over all of them, each in an order of its own."""
    orders: dict[int, list[int]] = {}
    rows = []
    for at in range(step * count, (step + 1) * count):
        number, place = divmod(at, groups)
        if number not in orders:
            orders[number] = list(range(groups))
            random.Random(f"{seed} pass {number}").shuffle(orders[number])
        rows.append(orders[number][place])
    return rows


def group_loss(
    student: IndexedStudent,
    own: Sequence[TeacherGroup],
    mixed: Sequence[TeacherGroup],
    draw: random.Random,
) -> torch.Tensor:
    """The mean over groups of the divergences from both teachers and of the logits' distance."""
    pairs: list[tuple[str, str]] = []
    for group in own:
        query = typo(group.query, draw) if draw.random() < TYPO_SHARE else group.query
        query = case(query, draw) if draw.random() < CASE_SHARE else query
        pairs += [(query, document) for document in group.documents]
    parts = torch.split(student.logits(pairs), [len(group.documents) for group in own])
    losses = []
    for logits, one, other in zip(parts, own, mixed, strict=True):
        wanted = torch.tensor(one.scores)
        loss = LOGIT_WEIGHT * ((logits - wanted) ** 2).mean()
        for scores, weight in ((one.scores, 1 - MIXED_WEIGHT), (other.scores, MIXED_WEIGHT)):
            loss = loss + weight * functional.kl_div(
                logits.log_softmax(0),
                torch.tensor(scores).log_softmax(0),
                log_target=True,
                reduction="sum",
            )
        losses.append(loss)
    return torch.stack(losses).mean()


def _padded(
    rows: Sequence[NDArray[np.int32]], dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids ``[n, length]`` and the mask ``[n, 1, 1, length]`` to add to attention logits."""
    width = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.full((len(rows), 1, 1, width), MASKED, dtype=dtype)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.from_numpy(row.astype(np.int64))
        mask[at, ..., : len(row)] = 0
    return ids, mask


if __name__ == "__main__":
    main()
