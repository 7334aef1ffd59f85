"""What a model is on disk.

A model folder holds ``config.json``, ``tokenizer.json`` and ``model.safetensors`` (fp16,
bf16 or fp32), as transformers and sentence-transformers write them. Everything is checked
before anything is scored. Only safetensors are read, never a pickle: a pickle can run code.

This module does not know how a model is run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from tokenizers import Tokenizer

from glossrank.errors import ModelFolderError, UnsupportedModelError

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
WEIGHTS_FILE = "model.safetensors"
NEEDED_FILES = (CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE)
SENTENCE_TRANSFORMERS_FILE = "config_sentence_transformers.json"

PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
# Far above any model that is sensible here; a broken number must not fill the memory.
_LARGEST = {
    "num_hidden_layers": 200,
    "hidden_size": 20_000,
    "num_attention_heads": 1_000,
    "intermediate_size": 100_000,
    "vocab_size": 5_000_000,
    "max_position_embeddings": 1_000_000,
    "type_vocab_size": 1_000,
}
# A pair's special tokens and one token of each text.
_SHORTEST = 5
_ARCHITECTURE = "BertForSequenceClassification"


FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class ModelConfig:
    """The part of ``config.json`` that the graph needs; sizes in units of elements."""

    num_layers: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    vocab_size: int
    max_positions: int
    type_vocab_size: int
    layer_norm_eps: float
    activation: str | None
    """Dotted torch name of the saved activation function, or None where none is saved."""

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_heads


@dataclass(frozen=True)
class ModelFolder:
    """A folder whose files were read and agree with each other.

    Attributes:
        path: the folder.
        config: sizes and activation.
        max_length: tokens per pair that the tokenizer and the position table allow.
    """

    path: Path
    config: ModelConfig
    max_length: int

    def tokenizer(self) -> Tokenizer:
        """The folder's own tokenizer, freshly read: callers may change its settings."""
        return _read_tokenizer(self.path / TOKENIZER_FILE)

    def weights(self) -> dict[str, FloatArray]:
        """The checked weights as fp32 arrays, by transformers' names.

        Raises:
            ModelFolderError: the file is truncated, or a tensor is missing, of a wrong
                shape, of an unknown dtype, or not finite.
        """
        return _read_weights(self.path / WEIGHTS_FILE, self.config)


def load_model_folder(path: Path) -> ModelFolder:
    """Read and check everything but the weights, which ``ModelFolder.weights`` checks.

    Raises:
        ModelFolderError: a file is missing, unreadable, or contradicts another.
        UnsupportedModelError: not a BERT sequence classifier with one label.
    """
    for name in NEEDED_FILES:
        if not (path / name).is_file():
            raise _missing_file(path, name)
    raw = _read_json(path / CONFIG_FILE)
    config = _parse_config(path, raw)
    _check_tokenizer(path, config)
    return ModelFolder(path=path, config=config, max_length=_max_length(path, config))


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that the graph reads."""
    hidden, wide = config.hidden_size, config.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (config.vocab_size, hidden),
        "bert.embeddings.position_embeddings.weight": (config.max_positions, hidden),
        "bert.embeddings.token_type_embeddings.weight": (config.type_vocab_size, hidden),
    }

    def linear(name: str, inputs: int, outputs: int) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs)
        shapes[f"{name}.bias"] = (outputs,)

    def norm(name: str) -> None:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (hidden,)

    norm("bert.embeddings.LayerNorm")
    for index in range(config.num_layers):
        layer = f"bert.encoder.layer.{index}"
        for part in ("query", "key", "value"):
            linear(f"{layer}.attention.self.{part}", hidden, hidden)
        linear(f"{layer}.attention.output.dense", hidden, hidden)
        norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", hidden, wide)
        linear(f"{layer}.output.dense", wide, hidden)
        norm(f"{layer}.output.LayerNorm")
    linear("bert.pooler.dense", hidden, hidden)
    linear("classifier", hidden, 1)
    return shapes


def _missing_file(path: Path, name: str) -> ModelFolderError:
    pickles = sorted(p.name for p in path.iterdir() if p.suffix.lower() in PICKLE_ENDINGS)
    if name == WEIGHTS_FILE and pickles:
        return ModelFolderError(
            file=path / name,
            expected="the weights as safetensors",
            found=f"only {pickles[0]}, a pickle, which can run code when it is opened and is never read",
            fix="Save the model again with sentence-transformers (safe_serialization=True).",
        )
    return ModelFolderError(
        file=path / name,
        expected=f"a model folder with {', '.join(NEEDED_FILES)}",
        found=f"no {name}",
        fix="Give a folder that sentence-transformers' or glossrank's save_pretrained wrote.",
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _broken_file(path, "a JSON object in UTF-8", str(error)) from error
    if not isinstance(content, dict):
        raise _broken_file(path, "a JSON object", type(content).__name__)
    return content


def _parse_config(path: Path, raw: dict[str, Any]) -> ModelConfig:
    file = path / CONFIG_FILE
    _check_supported(file, raw)
    sizes: dict[str, int] = {}
    for key, most in _LARGEST.items():
        value = raw.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise _broken_file(file, f"a whole number from 1 to {most} under {key!r}", repr(value))
        sizes[key] = value
    if sizes["hidden_size"] % sizes["num_attention_heads"]:
        raise _broken_file(
            file,
            "a hidden_size that the number of attention heads divides",
            f"{sizes['hidden_size']} and {sizes['num_attention_heads']} heads",
        )
    epsilon = raw.get("layer_norm_eps", 1e-12)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise _broken_file(file, "a number between 0 and 1 under 'layer_norm_eps'", repr(epsilon))
    return ModelConfig(
        num_layers=sizes["num_hidden_layers"],
        hidden_size=sizes["hidden_size"],
        num_heads=sizes["num_attention_heads"],
        intermediate_size=sizes["intermediate_size"],
        vocab_size=sizes["vocab_size"],
        max_positions=sizes["max_position_embeddings"],
        type_vocab_size=sizes["type_vocab_size"],
        layer_norm_eps=epsilon,
        activation=_saved_activation(path, raw),
    )


def _check_supported(file: Path, raw: dict[str, Any]) -> None:
    found = None
    architectures = raw.get("architectures") or []
    id2label = raw.get("id2label", {})
    if not isinstance(architectures, list) or not isinstance(id2label, dict):
        raise _broken_file(
            file,
            "a list under 'architectures' and an object under 'id2label'",
            f"{architectures!r} and {id2label!r}",
        )
    if raw.get("model_type") != "bert" or (architectures and architectures[0] != _ARCHITECTURE):
        found = f"{raw.get('model_type')!r} with {', '.join(map(str, architectures)) or 'no architecture named'}"
    elif raw.get("hidden_act", "gelu") != "gelu":
        found = f"hidden_act {raw['hidden_act']!r}"
    elif raw.get("position_embedding_type", "absolute") != "absolute":
        found = f"position_embedding_type {raw['position_embedding_type']!r}"
    if found is not None:
        raise UnsupportedModelError(
            file=file,
            expected=f"model_type 'bert', {_ARCHITECTURE}, gelu, absolute positions",
            found=found,
            fix="glossrank runs BERT cross-encoders (MiniLM, TinyBERT, BERT); choose one of those.",
        )
    # transformers counts two labels where neither key says otherwise.
    labels = raw.get("num_labels", len(id2label) if "id2label" in raw else 2)
    if labels != 1:
        raise UnsupportedModelError(
            file=file,
            expected="one output label, a relevance score",
            found=f"{labels} labels",
            fix="Choose a cross-encoder that was trained for ranking (num_labels=1).",
        )


def _saved_activation(path: Path, raw: dict[str, Any]) -> str | None:
    """The saved activation's dotted name, in sentence-transformers' order of places."""
    places: list[Any] = [raw.get("sentence_transformers"), None]
    if (path / SENTENCE_TRANSFORMERS_FILE).is_file():
        places[1] = _read_json(path / SENTENCE_TRANSFORMERS_FILE)
        if places[1].get("default_prompt_name"):
            raise UnsupportedModelError(
                file=path / SENTENCE_TRANSFORMERS_FILE,
                expected="a model without a default prompt",
                found=f"default_prompt_name {places[1]['default_prompt_name']!r}",
                fix="Write the prompt into your questions and remove default_prompt_name.",
            )
    for place in reversed(places):
        if isinstance(place, dict) and place.get("activation_fn"):
            return str(place["activation_fn"])
    legacy = raw.get("sbert_ce_default_activation_function")
    return None if legacy is None else str(legacy)


def _broken_file(file: Path, expected: str, found: str) -> ModelFolderError:
    return ModelFolderError(
        file=file,
        expected=expected,
        found=found,
        fix="Copy the file again from where the model came from.",
    )


def _check_tokenizer(path: Path, config: ModelConfig) -> None:
    """Refuse a tokenizer that these weights were not made for."""
    file = path / TOKENIZER_FILE
    tokenizer = _read_tokenizer(file)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    probe = tokenizer.encode("a", "b")
    # A special token belongs to no sequence.
    owners = probe.sequence_ids
    largest = max([0, *tokenizer.get_vocab(with_added_tokens=True).values(), *probe.ids])
    lowers = getattr(tokenizer.normalizer, "lowercase", None)
    wanted = _tokenizer_config(path).get("do_lower_case")
    expected = found = None
    if largest >= config.vocab_size:
        expected = (
            f"ids of at most {config.vocab_size - 1} tokens, the model's vocabulary (config.json)"
        )
        found = f"the id {largest}"
    elif 0 not in owners or 1 not in owners or owners[0] is not None or owners[-1] is not None:
        expected = "a template that puts special tokens around a pair of texts"
        found = f"{' '.join(probe.tokens) or 'nothing'} for the texts 'a' and 'b'"
    elif max(probe.type_ids) >= config.type_vocab_size:
        expected = f"token types below {config.type_vocab_size} (config.json)"
        found = str(max(probe.type_ids))
    elif isinstance(wanted, bool) and lowers is not None and wanted != lowers:
        expected = f"do_lower_case {wanted}, as in {TOKENIZER_CONFIG_FILE}"
        found = str(lowers)
    if expected is not None:
        raise ModelFolderError(
            file=file,
            expected=expected,
            found=str(found),
            fix="Put the tokenizer files that belong to these weights into the folder.",
        )


def _tokenizer_config(path: Path) -> dict[str, Any]:
    file = path / TOKENIZER_CONFIG_FILE
    return _read_json(file) if file.is_file() else {}


def _max_length(path: Path, config: ModelConfig) -> int:
    limit = config.max_positions
    saved = _tokenizer_config(path).get("model_max_length")
    # transformers writes 1e30 for "no limit".
    if isinstance(saved, int | float) and saved < limit:
        limit = int(saved)
    if limit < _SHORTEST:
        raise ModelFolderError(
            file=path / TOKENIZER_CONFIG_FILE,
            expected=f"room for at least {_SHORTEST} tokens under 'model_max_length'",
            found=str(saved),
            fix="Correct the number; MiniLM models have 512.",
        )
    return limit


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise _broken_file(
            path, "a tokenizer as Hugging Face tokenizers saves it", str(error)
        ) from error


def _read_weights(path: Path, config: ModelConfig) -> dict[str, FloatArray]:
    try:
        tensors = dict(safetensors.deserialize(path.read_bytes()))  # type: ignore[no-untyped-call]
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelFolderError(
            file=path,
            expected="a whole safetensors file",
            found=f"one that cannot be read ({error})",
            fix="Copy or download the file again; it may be cut short.",
        ) from error
    weights: dict[str, FloatArray] = {}
    for name, shape in expected_shapes(config).items():
        if name not in tensors:
            raise _bad_tensor(path, f"a tensor {name!r}", "none of that name")
        array = _to_float32(path, name, tensors[name])
        if array.shape != shape:
            raise _bad_tensor(path, f"{name!r} of shape {shape}", f"{array.shape}")
        if not np.isfinite(array).all():
            raise _bad_tensor(path, f"finite numbers in {name!r}", "NaN or infinity")
        weights[name] = array
    return weights


def _to_float32(path: Path, name: str, tensor: Any) -> FloatArray:
    dtype, data = tensor["dtype"], tensor["data"]
    if dtype == "F32":
        array = np.frombuffer(data, dtype=np.float32)
    elif dtype == "F16":
        array = np.frombuffer(data, dtype=np.float16).astype(np.float32)
    elif dtype == "BF16":
        # bfloat16 is the upper half of a float32.
        array = (np.frombuffer(data, dtype=np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        raise _bad_tensor(path, f"{name!r} as F32, F16 or BF16", str(dtype))
    return array.reshape(tensor["shape"])


def _bad_tensor(path: Path, expected: str, found: str) -> ModelFolderError:
    return ModelFolderError(
        file=path,
        expected=expected,
        found=found,
        fix="The weights do not belong to this config.json, or training went wrong: save the model again.",
    )
