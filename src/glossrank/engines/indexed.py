"""Runs models whose definitions are computed ahead, see ``architectures/indexed_bert.py``."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glossrank.architectures.indexed_bert import IndexedBertConfig
from glossrank.encoding import TOKEN_BUDGET, Batch, IntArray, plan_batches
from glossrank.engines.graphs.indexed_bert import (
    DOCUMENT,
    document_graph,
    join_graph,
    question_graph,
)
from glossrank.engines.openvino import CompiledGraph, Precision, padding_mask, resolve_precision
from glossrank.model_folder import ModelFolder

FloatArray = NDArray[np.float32]
States = NDArray[np.float16]


class IndexedEngine:
    """Three compiled graphs. Safe to call from several threads at once.

    Args:
        folder: a validated folder of an :class:`IndexedBertConfig`.
        precision: as for :class:`glossrank.engines.openvino.OpenVINOEngine`.
    """

    device = "cpu"
    token_budget = TOKEN_BUDGET

    def __init__(self, folder: ModelFolder, *, precision: Precision = "auto") -> None:
        if not isinstance(folder.config, IndexedBertConfig):
            raise TypeError(f"{folder.path} is of the family {folder.config.family!r}.")
        self.precision = resolve_precision(precision)
        self.config = folder.config
        self._folder = folder
        weights = folder.weights()
        self._question = CompiledGraph(question_graph(self.config, weights), self.precision)
        self._join = CompiledGraph(join_graph(self.config, weights), self.precision)

    @cached_property
    def _document(self) -> CompiledGraph:
        # With a saved index it is never needed.
        graph = document_graph(self.config, self._folder.weights())
        return CompiledGraph(graph, self.precision)

    def logits(self, batch: Batch) -> FloatArray:
        """fp32 ``[n]``, one logit per pair of the batch, in the batch's order."""
        second = (batch.token_type_ids == DOCUMENT).sum(axis=1, dtype=np.int32)
        first = batch.lengths - second
        questions, question_mask = _cut(batch.input_ids, np.zeros_like(first), first)
        documents, mask = _cut(batch.input_ids, first, second)
        question = self._question(questions, question_mask)
        return self._join(question, question_mask, self._document(documents, mask), mask)[:, 0]

    def question(self, ids: IntArray) -> FloatArray:
        """One question after the lower layers, fp32 ``[1, length, hidden]``.

        Args:
            ids: int32 ``[length]``, special tokens included.
        """
        return self._question(ids[None, :], np.zeros((1, 1, 1, len(ids)), dtype=np.float32))

    def states(self, documents: list[IntArray]) -> list[States]:
        """fp16 ``[length, state_size]`` of each definition.

        Args:
            documents: int32 ``[length]`` each, with the closing special token.
        """
        lengths = np.array([len(ids) for ids in documents], dtype=np.int32)
        found: dict[int, States] = {}
        for rows in plan_batches(lengths, token_budget=self.token_budget):
            padded = np.zeros((len(rows), int(lengths[rows].max())), dtype=np.int32)
            for line, row in enumerate(rows.tolist()):
                padded[line, : lengths[row]] = documents[row]
            states = self._document(padded, padding_mask(lengths[rows], padded.shape[1]))
            for line, row in enumerate(rows.tolist()):
                found[row] = states[line, : lengths[row]].copy()
        return [found[row] for row in range(len(documents))]

    def join(self, question: FloatArray, states: States, mask: FloatArray) -> FloatArray:
        """fp32 ``[n]``: logits of one question with n definitions.

        Args:
            question: as :meth:`question` gives it.
            states: fp16 ``[n, length, state_size]``, padded on the right.
            mask: fp32 ``[n, 1, 1, length]``, as :func:`padding_mask` gives it.
        """
        no_padding = np.zeros((1, 1, 1, question.shape[1]), dtype=np.float32)
        return self._join(question, no_padding, states, mask)[:, 0]


def _cut(ids: IntArray, starts: IntArray, lengths: IntArray) -> tuple[IntArray, FloatArray]:
    """The tokens ``starts`` to ``starts + lengths`` of each row, moved to the left, and their mask."""
    width = int(lengths.max())
    columns = np.minimum(starts[:, None] + np.arange(width, dtype=np.int32), ids.shape[1] - 1)
    return np.take_along_axis(ids, columns, axis=1), padding_mask(lengths, width)
