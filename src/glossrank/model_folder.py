"""What a model is on disk.

A model folder holds ``config.json``, ``tokenizer.json`` and ``model.safetensors`` (fp16,
bf16 or fp32), as transformers and sentence-transformers write them. Everything is checked
before anything is scored.

This module does not know how a model is run; what each architecture keeps on disk is in
``glossrank.architectures``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer

from glossrank.architectures import ModelConfig, parse_config
from glossrank.architectures.fields import broken_file
from glossrank.errors import ModelFolderError, UnsupportedModelError
from glossrank.model_weights import WeightArray, read_weights

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
WEIGHTS_FILE = "model.safetensors"
NEEDED_FILES = (CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE)
SENTENCE_TRANSFORMERS_FILE = "config_sentence_transformers.json"

PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")


@dataclass(frozen=True)
class ModelFolder:
    """A folder whose files were read and agree with each other.

    Attributes:
        path: the folder.
        config: family, sizes and activations.
        max_length: tokens per pair that the tokenizer and the model's positions allow.
    """

    path: Path
    config: ModelConfig
    max_length: int

    def tokenizer(self) -> Tokenizer:
        """The folder's own tokenizer, freshly read: callers may change its settings."""
        return _read_tokenizer(self.path / TOKENIZER_FILE)

    def weights(self) -> dict[str, WeightArray]:
        """The checked weights by transformers' names: matrices fp16 or fp32, vectors fp32.

        Raises:
            ModelFolderError: see :func:`glossrank.model_weights.read_weights`.
        """
        return read_weights(self.path / WEIGHTS_FILE, self.config)


def load_model_folder(path: Path) -> ModelFolder:
    """Read and check everything but the weights, which ``ModelFolder.weights`` checks.

    Raises:
        ModelFolderError: a file is missing, unreadable, or contradicts another.
        UnsupportedModelError: not a sequence classifier with one label of an architecture
            in ``glossrank.architectures``, or one with an option that has no graph.
    """
    for name in NEEDED_FILES:
        if not (path / name).is_file():
            raise _missing_file(path, name)
    raw = _read_json(path / CONFIG_FILE)
    config = parse_config(
        path / CONFIG_FILE,
        raw,
        input_names=_input_names(path),
        activation=_saved_activation(path, raw),
    )
    probe = _check_tokenizer(path, config)
    return ModelFolder(path=path, config=config, max_length=_max_length(path, config, probe))


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
        raise broken_file(path, "a JSON object in UTF-8", str(error)) from error
    if not isinstance(content, dict):
        raise broken_file(path, "a JSON object", type(content).__name__)
    return content


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


def _check_tokenizer(path: Path, config: ModelConfig) -> Encoding:
    """Refuse a tokenizer that these weights were not made for; the pair of "a" and "b"."""
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
    elif config.takes_token_types and max(probe.type_ids) >= config.type_vocab_size:
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
    return probe


def _tokenizer_config(path: Path) -> dict[str, Any]:
    file = path / TOKENIZER_CONFIG_FILE
    return _read_json(file) if file.is_file() else {}


def _input_names(path: Path) -> Sequence[str] | None:
    names = _tokenizer_config(path).get("model_input_names")
    if names is None or (isinstance(names, list) and all(isinstance(n, str) for n in names)):
        return names
    raise broken_file(
        path / TOKENIZER_CONFIG_FILE, "a list of names under 'model_input_names'", repr(names)
    )


def _max_length(path: Path, config: ModelConfig, probe: Encoding) -> int:
    limit = config.max_positions
    saved = _tokenizer_config(path).get("model_max_length")
    # transformers writes 1e30 for "no limit".
    if isinstance(saved, int | float) and saved < limit:
        limit = int(saved)
    # A pair's special tokens and one token of each text.
    shortest = probe.sequence_ids.count(None) + 2
    if limit < shortest:
        raise ModelFolderError(
            file=path / TOKENIZER_CONFIG_FILE,
            expected=f"room for at least {shortest} tokens under 'model_max_length'",
            found=str(saved),
            fix="Correct the number; MiniLM models have 512.",
        )
    return limit


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise broken_file(
            path, "a tokenizer as Hugging Face tokenizers saves it", str(error)
        ) from error
