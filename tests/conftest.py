"""Tiny seeded models built in code, so that no test needs a network or a large file."""

from __future__ import annotations

import os

# Before any library reads them: no hub, no hints about forks.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import json
import string
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from glossrank import Glossary
from glossrank.architectures import parse_config
from tests.postgresql import cluster  # noqa: F401

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = [
    "how",
    "quick",
    "are",
    "we",
    "getting",
    "paid",
    "by",
    "customers",
    "what",
    "is",
    "our",
    "profit",
    "can",
    "be",
    "defined",
    "as",
    "the",
    "amount",
    "of",
    "money",
    "owed",
    "to",
    "suppliers",
    "for",
    "goods",
    "and",
    "services",
    "tax",
    "lease",
    "cash",
    "flow",
    "dividend",
    "revenue",
    "cost",
    "gross",
    "net",
    "ratio",
    "debt",
    "equity",
    "days",
    "asset",
    "liability",
]


def tiny_tokenizer() -> Tokenizer:
    """WordPiece over a few words, all letters and digits, in BERT's manner."""
    letters = string.ascii_lowercase + string.digits + ".,?!'-&%"
    pieces = [*SPECIALS, *dict.fromkeys(WORDS), *letters, *(f"##{c}" for c in letters)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def write_tiny_model(
    folder: Path,
    *,
    layers: int = 2,
    hidden: int = 32,
    heads: int = 4,
    positions: int = 512,
    seed: int = 0,
    activation: str | None = "torch.nn.modules.linear.Identity",
) -> Path:
    """A model folder with random weights, wide enough that scores differ."""
    tokenizer = tiny_tokenizer()
    config = {
        "architectures": ["BertForSequenceClassification"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": hidden,
        "id2label": {"0": "LABEL_0"},
        "intermediate_size": 2 * hidden,
        "label2id": {"LABEL_0": 0},
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": positions,
        "model_type": "bert",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": tokenizer.get_vocab_size(),
    }
    if activation is not None:
        config["sentence_transformers"] = {"activation_fn": activation}
    shapes = parse_config(
        folder / "config.json", config, input_names=None, activation=activation
    ).tensors()
    random = np.random.default_rng(seed)
    weights = {}
    for name, shape in shapes.items():
        middle = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        weights[name] = random.normal(middle, 0.2, shape).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "model_max_length": positions})
    )
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer model folder; never write into it."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Writes model folders of a test's own: ``make_model(layers=3)``."""
    count = 0

    def make(**options: object) -> Path:
        nonlocal count
        count += 1
        return write_tiny_model(tmp_path / f"model-{count}", **options)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def glossary() -> Glossary:
    """The shipped glossary."""
    return Glossary.load()
