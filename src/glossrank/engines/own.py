"""The engine of a model folder that has a graph of glossrank's own."""

from __future__ import annotations

from typing import TypeAlias

from glossrank.architectures.indexed_bert import IndexedBertConfig
from glossrank.engines.indexed import IndexedEngine
from glossrank.engines.openvino import OpenVINOEngine, Precision
from glossrank.model_folder import ModelFolder

OwnEngine: TypeAlias = OpenVINOEngine | IndexedEngine


def own_engine(folder: ModelFolder, *, precision: Precision = "auto") -> OwnEngine:
    """Three graphs for a model whose definitions are indexed, one for any other."""
    if isinstance(folder.config, IndexedBertConfig):
        return IndexedEngine(folder, precision=precision)
    return OpenVINOEngine(folder, precision=precision)
