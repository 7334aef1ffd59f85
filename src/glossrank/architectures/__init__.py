"""What each architecture keeps in ``config.json`` and in ``model.safetensors``.

One module for each family of models: which keys it reads, which options it refuses, and the
names and shapes of its tensors. How they are computed is in ``glossrank.engines.graphs``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glossrank.architectures.base import ModelConfig
from glossrank.architectures.bert import BertConfig
from glossrank.architectures.distilbert import DistilBertConfig
from glossrank.architectures.electra import ElectraConfig
from glossrank.architectures.fields import ConfigFields, broken_file
from glossrank.architectures.indexed_bert import IndexedBertConfig
from glossrank.architectures.modernbert import ModernBertConfig
from glossrank.architectures.roberta import RobertaConfig, XLMRobertaConfig
from glossrank.errors import UnsupportedModelError

__all__ = ["ARCHITECTURES", "ModelConfig", "parse_config"]

ARCHITECTURES: tuple[type[ModelConfig], ...] = (
    BertConfig,
    RobertaConfig,
    XLMRobertaConfig,
    ElectraConfig,
    DistilBertConfig,
    ModernBertConfig,
    IndexedBertConfig,
)

# What a tokenizer's ``model_input_names`` call the token types.
_TOKEN_TYPES_INPUT = "token_type_ids"


def parse_config(
    file: Path,
    raw: Mapping[str, Any],
    *,
    input_names: Sequence[str] | None,
    activation: str | None,
) -> ModelConfig:
    """The configuration of a sequence classifier with one label.

    Args:
        file: where ``raw`` is from, for messages.
        raw: the content of ``config.json``.
        input_names: ``model_input_names`` of the tokenizer's configuration, if it says.
        activation: dotted torch name of the saved activation, if any.

    Raises:
        ModelFolderError: a value is missing or cannot be.
        UnsupportedModelError: an architecture or an option that has no graph, or another
            number of labels.
    """
    kind = _architecture(file, raw)
    _check_labels(file, raw)
    takes = kind.token_types is not None and (
        kind.token_types if input_names is None else _TOKEN_TYPES_INPUT in input_names
    )
    return kind.read(ConfigFields(file, raw), takes_token_types=takes, activation=activation)


def _architecture(file: Path, raw: Mapping[str, Any]) -> type[ModelConfig]:
    named = raw.get("architectures") or []
    if not isinstance(named, list):
        raise broken_file(file, "a list under 'architectures'", repr(named))
    for kind in ARCHITECTURES:
        if raw.get("model_type") == kind.family and (not named or named[0] == kind.architecture):
            return kind
    raise UnsupportedModelError(
        file=file,
        expected=f"one of {', '.join(kind.architecture for kind in ARCHITECTURES)}",
        found=f"{raw.get('model_type')!r} with {', '.join(map(str, named)) or 'no architecture named'}",
        fix="Choose a cross-encoder of one of these architectures, such as a MiniLM or a bge-reranker.",
    )


def _check_labels(file: Path, raw: Mapping[str, Any]) -> None:
    id2label = raw.get("id2label", {})
    if not isinstance(id2label, dict):
        raise broken_file(file, "an object under 'id2label'", repr(id2label))
    # transformers counts two labels where neither key says otherwise.
    labels = len(id2label) if "id2label" in raw else raw.get("num_labels", 2)
    if labels != 1:
        raise UnsupportedModelError(
            file=file,
            expected="one output label, a relevance score",
            found=f"{labels} labels",
            fix="Choose a cross-encoder that was trained for ranking (num_labels=1).",
        )
