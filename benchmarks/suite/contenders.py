"""Who is measured. A new contender is one entry here, and a runner in ``benchmarks/peers``."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any, Literal

from suite.artifacts import FLASHRANK_NAME

Precision = Literal["fp32", "bf16", "int8"]
OURS = "glossrank"
SENTENCE_TRANSFORMERS = "sentence-transformers"
_OV_FP32 = {"INFERENCE_PRECISION_HINT": "f32"}


@dataclass(frozen=True)
class Contender:
    """One way of scoring.

    Attributes:
        key: its name on the command line and in result files.
        name: its name in reports.
        family: the library; ratios are to the best of sentence-transformers' family.
        environment: where its runner runs, see :mod:`suite.environments`.
        runner: a module of ``benchmarks/peers``.
        model: an artifact of :mod:`suite.artifacts`; "model" is the model folder itself.
        options: what the runner's ``load`` gets.
        precision: of most of its products; which measured rate it is a share of.
        exact: it claims fp32's logits, so that a difference is a fault and no choice.
        streams: it also scores the whole file of 100,000 pairs.
    """

    key: str
    name: str
    family: str
    environment: str
    runner: str
    model: str
    precision: Precision
    exact: bool
    options: dict[str, Any] = field(default_factory=dict)
    streams: bool = False


def _st(key: str, name: str, precision: Precision, exact: bool, **options: Any) -> Contender:
    return Contender(
        key=f"st-{key}",
        name=f"{SENTENCE_TRANSFORMERS}, {name}",
        family=SENTENCE_TRANSFORMERS,
        environment=SENTENCE_TRANSFORMERS,
        runner="run_sentence_transformers",
        model="model",
        precision=precision,
        exact=exact,
        options=options,
    )


def _st_exported(
    key: str, name: str, precision: Precision, exact: bool, *, backend: str, **options: Any
) -> Contender:
    return Contender(
        key=f"st-{key}",
        name=f"{SENTENCE_TRANSFORMERS}{name}",
        family=SENTENCE_TRANSFORMERS,
        environment=f"{SENTENCE_TRANSFORMERS}-{backend}",
        runner="run_sentence_transformers",
        model=f"st-{backend}",
        precision=precision,
        exact=exact,
        options={"backend": backend, **options},
    )


def _onnx(
    library: str, precision: Precision, model: str, name: str = "", **options: Any
) -> Contender:
    return Contender(
        key=f"{library}-{precision}",
        name=f"{name or library} {precision}",
        family=library,
        environment=library,
        runner=f"run_{library}",
        model=model,
        precision=precision,
        exact=precision == "fp32",
        options=options,
    )


def _ours(precision: Precision, *, streams: bool = False) -> Contender:
    return Contender(
        key=f"{OURS}-{precision}",
        name=f"{OURS} {precision}",
        family=OURS,
        environment=OURS,
        runner="run_glossrank",
        model="model",
        precision=precision,
        exact=precision == "fp32",
        options={"precision": precision},
        streams=streams,
    )


REFERENCE = _st("fp32", "torch fp32 (its default)", "fp32", True)
"""Whose logits are right, and whose speed is 1."""

CONTENDERS: tuple[Contender, ...] = (
    REFERENCE,
    _st("fp32-sorted", "torch fp32, sorted by tokens", "fp32", True, token_sorted=True),
    _st("bf16", "torch bf16", "bf16", False, dtype="bfloat16"),
    _st_exported(
        "openvino", ", OpenVINO (its default)", "bf16", False,
        backend="openvino", file_name="openvino/openvino_model.xml",
    ),
    _st_exported(
        "openvino-fp32", ", OpenVINO fp32", "fp32", True,
        backend="openvino", file_name="openvino/openvino_model.xml", ov_config=_OV_FP32,
    ),
    _st_exported(
        "openvino-int8", ", OpenVINO qint8", "int8", False,
        backend="openvino", file_name="openvino/openvino_model_qint8_quantized.xml",
    ),
    _st_exported(
        "onnx-fp32", " 5.7, ONNX", "fp32", True, backend="onnx", file_name="onnx/model.onnx"
    ),
    _st_exported(
        "onnx-int8", " 5.7, ONNX qint8", "int8", False,
        backend="onnx", file_name="onnx/model_qint8.onnx",
    ),
    Contender(
        key="rerankers-fp32",
        name="rerankers fp32",
        family="rerankers",
        environment=SENTENCE_TRANSFORMERS,
        runner="run_rerankers",
        model="model",
        precision="fp32",
        exact=True,
    ),
    _onnx("fastembed", "fp32", "onnx"),
    _onnx("flashrank", "fp32", "flashrank", "FlashRank", model_name=FLASHRANK_NAME),
    _onnx("flashrank", "int8", "flashrank-int8", "FlashRank", model_name=FLASHRANK_NAME),
    _onnx("onnxruntime", "fp32", "onnx", "ONNX Runtime"),
    _onnx("onnxruntime", "int8", "onnx-int8", "ONNX Runtime"),
    _ours("fp32"),
    _ours("bf16", streams=True),
    _ours("int8"),
)  # fmt: skip


def select(patterns: list[str]) -> tuple[Contender, ...]:
    """Those whose key or family one of the patterns names; all for no pattern.

    Raises:
        ValueError: a pattern names none.
    """
    for pattern in patterns:
        if not any(_named(contender, pattern) for contender in CONTENDERS):
            keys = ", ".join(contender.key for contender in CONTENDERS)
            raise ValueError(f"no contender is called {pattern!r}; there are {keys}.")
    return tuple(c for c in CONTENDERS if not patterns or any(_named(c, p) for p in patterns))


def _named(contender: Contender, pattern: str) -> bool:
    return fnmatch(contender.key, pattern) or contender.family == pattern
