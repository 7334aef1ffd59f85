"""Tiny seeded models of every architecture, with tokenizers of their kinds of templates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from glossrank.architectures import ARCHITECTURES, ModelConfig, parse_config
from tests.conftest import WORDS, tiny_tokenizer

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,?!'-&%"
_ROBERTA_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_MODERN_SPECIALS = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")


def unigram_tokenizer() -> Tokenizer:
    """XLM-RoBERTa's kind: sentencepiece's Unigram, ``<s> A </s></s> B </s>``."""
    pieces = [f"▁{word}" for word in WORDS] + [*_LETTERS, "▁"]
    vocabulary = [(name, 0.0) for name in _ROBERTA_SPECIALS[:4]]
    vocabulary += [(piece, -3.0 - 0.01 * at) for at, piece in enumerate(dict.fromkeys(pieces))]
    tokenizer = Tokenizer(models.Unigram([*vocabulary, ("<mask>", 0.0)], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer.add_special_tokens(list(_ROBERTA_SPECIALS))
    return tokenizer


def _byte_level(specials: tuple[str, ...], unknown: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 3, trainer)
    return tokenizer


def roberta_tokenizer() -> Tokenizer:
    """RoBERTa's kind: byte-level BPE, ``<s> A </s></s> B </s>`` by a processor of its own."""
    tokenizer = _byte_level(_ROBERTA_SPECIALS, "<unk>")
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    return tokenizer


def modernbert_tokenizer() -> Tokenizer:
    """ModernBERT's kind: byte-level BPE, ``[CLS] A [SEP] B [SEP]``.

    The template gives token types, which the model does not take.
    """
    tokenizer = _byte_level(_MODERN_SPECIALS, "[UNK]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 0), ("[SEP]", 2)],
    )
    return tokenizer


TOKENIZERS: dict[str, tuple[Callable[[], Tokenizer], dict[str, str]]] = {
    "bert": (tiny_tokenizer, {"tokenizer_class": "BertTokenizer"}),
    "electra": (tiny_tokenizer, {"tokenizer_class": "ElectraTokenizer"}),
    "distilbert": (tiny_tokenizer, {"tokenizer_class": "DistilBertTokenizer"}),
    "xlm-roberta": (unigram_tokenizer, {"tokenizer_class": "XLMRobertaTokenizer"}),
    "roberta": (roberta_tokenizer, {"tokenizer_class": "RobertaTokenizer"}),
    "modernbert": (
        modernbert_tokenizer,
        {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "cls_token": "[CLS]"},
    ),
}
FAMILIES = sorted(TOKENIZERS)


def family_config(
    family: str, *, layers: int = 2, hidden: int = 32, heads: int = 4, positions: int = 200
) -> dict[str, Any]:
    """A ``config.json`` of that family."""
    architecture = next(kind.architecture for kind in ARCHITECTURES if kind.family == family)
    config: dict[str, Any] = {
        "architectures": [architecture],
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "max_position_embeddings": positions,
        "model_type": family,
        "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},
        "vocab_size": TOKENIZERS[family][0]().get_vocab_size(),
    }
    if family == "distilbert":
        return config | {
            "activation": "gelu",
            "dim": hidden,
            "hidden_dim": 2 * hidden,
            "n_heads": heads,
            "n_layers": layers,
        }
    config |= {
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 1,
    }
    if family == "modernbert":
        return config | {"hidden_activation": "gelu", "local_attention": 16, "norm_eps": 1e-5}
    config |= {"hidden_act": "gelu", "layer_norm_eps": 1e-5, "type_vocab_size": 2}
    if family == "electra":
        config |= {"embedding_size": hidden // 2}
    if family in ("bert", "electra"):
        config |= {"pad_token_id": 0}
    if family == "xlm-roberta":
        config |= {"type_vocab_size": 1}
    return config


def random_weights(config: ModelConfig, seed: int) -> dict[str, NDArray[np.float32]]:
    """Weights under which activations neither vanish nor grow from layer to layer."""
    random = np.random.default_rng(seed)
    weights = {}
    for name, shape in config.tensors().items():
        if len(shape) == 2:
            table = "embeddings" in name and "project" not in name
            values = random.normal(0, 0.5 if table else 1.5 / shape[1] ** 0.5, shape)
        else:
            values = random.normal(1.0 if "orm.weight" in name else 0.0, 0.2, shape)
        weights[name] = values.astype(np.float32)
    return weights


def write_family(
    folder: Path,
    family: str,
    *,
    seed: int = 0,
    changes: dict[str, Any] | None = None,
    tokenizer_changes: dict[str, Any] | None = None,
    **sizes: int,
) -> Path:
    """A model folder of that family; ``changes`` go into ``config.json``, None removes a key."""
    raw = family_config(family, **sizes) | (changes or {})
    raw = {key: value for key, value in raw.items() if value is not None}
    build, tokenizer_config = TOKENIZERS[family]
    config = parse_config(folder / "config.json", raw, input_names=None, activation=None)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(raw))
    save_file(random_weights(config, seed), folder / "model.safetensors", metadata={"format": "pt"})
    build().save(str(folder / "tokenizer.json"))
    limit = {"model_max_length": config.max_positions}
    (folder / "tokenizer_config.json").write_text(
        json.dumps(tokenizer_config | limit | (tokenizer_changes or {}))
    )
    return folder
