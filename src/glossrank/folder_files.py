"""The small files of a model folder, each read and checked: what every engine needs of them.

What a network needs besides is in ``model_folder.py`` and ``foreign_model.py``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer

from glossrank.architectures.fields import broken_file
from glossrank.errors import ModelFolderError, UnsupportedModelError

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
WEIGHTS_FILE = "model.safetensors"
SENTENCE_TRANSFORMERS_FILE = "config_sentence_transformers.json"
PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")

NO_LIMIT = 1_000_000
"""Tokens that no model reads; transformers writes 1e30 for "no limit"."""


@dataclass(frozen=True)
class PairTokenizer:
    """A tokenizer that makes pairs of texts.

    Attributes:
        tokenizer: pads and truncates nothing. It is shared: leave its settings as they are.
        sample: the pair of "a" and "b".
    """

    tokenizer: Tokenizer
    sample: Encoding


def require_files(path: Path, names: tuple[str, ...]) -> None:
    """
    Raises:
        ModelFolderError: one of them is not in the folder.
    """
    for name in names:
        if (path / name).is_file():
            continue
        pickles = sorted(p.name for p in path.iterdir() if p.suffix.lower() in PICKLE_ENDINGS)
        if name == WEIGHTS_FILE and pickles:
            raise ModelFolderError(
                file=path / name,
                expected="the weights as safetensors",
                found=f"only {pickles[0]}, a pickle, which can run code when it is opened and is never read",
                fix="Save the model again with sentence-transformers (safe_serialization=True).",
            )
        raise ModelFolderError(
            file=path / name,
            expected=f"a model folder with {', '.join(names)}",
            found=f"no {name}",
            fix="Give a folder that sentence-transformers' or glossrank's save_pretrained wrote.",
        )


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ModelFolderError: the file cannot be read or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise broken_file(file, "a JSON object in UTF-8", str(error)) from error
    if not isinstance(content, dict):
        raise broken_file(file, "a JSON object", type(content).__name__)
    return content


def tokenizer_settings(path: Path) -> dict[str, Any]:
    """The folder's ``tokenizer_config.json``, empty where there is none."""
    file = path / TOKENIZER_CONFIG_FILE
    return read_json(file) if file.is_file() else {}


def saved_activation(path: Path, config: dict[str, Any]) -> str | None:
    """The saved activation's dotted name, in sentence-transformers' order of places.

    Args:
        config: the object of the folder's ``config.json``.

    Raises:
        UnsupportedModelError: the folder has a default prompt.
    """
    places: list[Any] = [config.get("sentence_transformers"), None]
    if (path / SENTENCE_TRANSFORMERS_FILE).is_file():
        places[1] = read_json(path / SENTENCE_TRANSFORMERS_FILE)
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
    legacy = config.get("sbert_ce_default_activation_function")
    return None if legacy is None else str(legacy)


def read_tokenizer(
    path: Path, *, vocab_size: int | None, token_types: int | None, surrounded: bool
) -> PairTokenizer:
    """The folder's tokenizer.

    Args:
        vocab_size: rows of the model's table of words, or None if that is not known.
        token_types: how many the model has, or None if it takes none.
        surrounded: whether special tokens must stand before and after the texts.

    Raises:
        ModelFolderError: the file is broken, or was not made for these weights.
    """
    file = path / TOKENIZER_FILE
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception
        expected = "a tokenizer as Hugging Face tokenizers saves it"
        raise broken_file(file, expected, str(error)) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    sample = tokenizer.encode("a", "b")
    largest = max([0, *tokenizer.get_vocab(with_added_tokens=True).values(), *sample.ids])
    lowers = getattr(tokenizer.normalizer, "lowercase", None)
    wanted = tokenizer_settings(path).get("do_lower_case")
    expected = found = ""
    if vocab_size is not None and largest >= vocab_size:
        expected = f"ids of at most {vocab_size - 1} tokens, the model's vocabulary ({CONFIG_FILE})"
        found = f"the id {largest}"
    elif not _makes_pairs(sample, surrounded=surrounded):
        what = (
            "special tokens around a pair of texts"
            if surrounded
            else "the second text of a pair after the first"
        )
        expected = f"a template that puts {what}"
        found = f"{' '.join(sample.tokens) or 'nothing'} for the texts 'a' and 'b'"
    elif token_types is not None and max(sample.type_ids) >= token_types:
        expected = f"token types below {token_types} ({CONFIG_FILE})"
        found = str(max(sample.type_ids))
    elif isinstance(wanted, bool) and lowers is not None and wanted != lowers:
        expected = f"do_lower_case {wanted}, as in {TOKENIZER_CONFIG_FILE}"
        found = str(lowers)
    if expected:
        raise ModelFolderError(
            file=file,
            expected=expected,
            found=found,
            fix="Put the tokenizer files that belong to these weights into the folder.",
        )
    return PairTokenizer(tokenizer, sample)


def _makes_pairs(sample: Encoding, *, surrounded: bool) -> bool:
    # A special token belongs to no sequence.
    owners = sample.sequence_ids
    texts = [owner for owner in owners if owner is not None]
    if set(texts) != {0, 1} or texts != sorted(texts):
        return False
    return not surrounded or (owners[0] is None and owners[-1] is None)


def pair_length(path: Path, *, positions: int | None, otherwise: int, shortest: int) -> int:
    """Tokens per pair that the tokenizer's settings and the model's positions allow.

    Args:
        positions: tokens that the model has positions for, or None where it has no limit.
        otherwise: where neither of them sets a limit.
        shortest: tokens of the shortest pair there is.

    Raises:
        ModelFolderError: no pair has room.
    """
    saved = tokenizer_settings(path).get("model_max_length")
    limits = [] if positions is None else [positions]
    if isinstance(saved, int | float) and saved < NO_LIMIT:
        limits.append(int(saved))
    limit = min(limits, default=otherwise)
    if limit < shortest:
        raise ModelFolderError(
            file=path / TOKENIZER_CONFIG_FILE,
            expected=f"room for at least {shortest} tokens under 'model_max_length'",
            found=str(limit),
            fix=f"Correct the number, or the number of positions in {CONFIG_FILE}; MiniLM models have 512.",
        )
    return limit
