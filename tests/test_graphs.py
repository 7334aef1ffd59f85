from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
import torch
from transformers import AutoModelForSequenceClassification
from transformers.activations import ACT2FN

from glossrank import CrossEncoder
from glossrank.architectures.fields import HIDDEN_ACTS
from glossrank.encoding import PairEncoder
from glossrank.engines.graphs import build_graph
from glossrank.engines.openvino import cpu_has_bf16
from glossrank.errors import UnsupportedModelError
from glossrank.model_folder import load_model_folder
from tests.test_openvino import engine_logits, random_pairs
from tests.tiny_families import FAMILIES, write_family

PADDING = [("<pad> our <pad><pad> profit", "the <pad> cost"), ("[PAD] tax", "cash [PAD] [PAD]")]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def reference_logits(folder: Path, pairs: list[tuple[str, str]]) -> np.ndarray:
    """transformers' own logits, one pair at a time, so without padding."""
    model = load_model_folder(folder)
    reference, loaded = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not loaded["missing_keys"]
    assert not loaded["unexpected_keys"]
    reference.eval()
    encoder = PairEncoder(model.tokenizer, max_length=model.max_length)
    logits = np.full(len(pairs), np.nan, dtype=np.float32)
    with torch.inference_mode():
        for batch in encoder.batches(pairs, max_pairs=1):
            inputs = {"input_ids": torch.from_numpy(batch.input_ids.astype(np.int64))}
            if model.config.takes_token_types:
                inputs["token_type_ids"] = torch.from_numpy(batch.token_type_ids.astype(np.int64))
            logits[batch.rows] = reference(**inputs).logits[:, 0].numpy()
    return logits


def assert_equal_to_transformers(folder: Path, pairs: list[tuple[str, str]]) -> None:
    theirs = reference_logits(folder, pairs)
    assert np.ptp(theirs) > 0.05
    for budget in (1, 1000):
        ours = engine_logits(folder, pairs, budget=budget)
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("seed", "layers", "hidden", "heads", "most_words"),
    [(1, 1, 16, 1, 8), (2, 2, 32, 4, 120), (3, 3, 48, 3, 21), (4, 6, 24, 2, 60)],
)
def test_logits_equal_transformers(
    tmp_path: Path,
    family: str,
    seed: int,
    layers: int,
    hidden: int,
    heads: int,
    most_words: int,
) -> None:
    folder = write_family(
        tmp_path / "model", family, seed=seed, layers=layers, hidden=hidden, heads=heads
    )
    assert_equal_to_transformers(folder, [*random_pairs(seed, most_words), *PADDING])


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_equal_sentence_transformers_from_text_to_score(tmp_path: Path, family: str) -> None:
    folder = write_family(tmp_path / "model", family, seed=7, positions=70)
    pairs = [*random_pairs(7, 50), ("What's our profit?", "The EBITDA, 50% é 財務"), *PADDING]
    theirs = sentence_transformers.CrossEncoder(str(folder), device="cpu").predict(pairs)
    model = CrossEncoder(folder, precision="fp32")
    np.testing.assert_allclose(model.predict(pairs), theirs, atol=1e-4, rtol=0)
    longest = max(sum(map(len, model.tokenize(pair))) for pair in pairs)
    assert longest > model.max_length


@pytest.mark.parametrize(
    "changes",
    [
        # As transformers 5 writes it.
        {
            "layer_types": ["sliding_attention", "full_attention"],
            "rope_parameters": {
                "full_attention": {"rope_theta": 900.0, "rope_type": "default"},
                "sliding_attention": {"rope_theta": 30, "rope_type": "default"},
            },
        },
        {"layer_types": ["full_attention", "sliding_attention"], "classifier_pooling": "mean"},
        {"layer_types": ["sliding_attention", "sliding_attention"]},
        # As transformers 4 wrote it.
        {
            "global_attn_every_n_layers": 1,
            "global_rope_theta": 500.0,
            "local_rope_theta": 20.0,
            "position_embedding_type": "absolute",
            "reference_compile": False,
        },
        {"num_hidden_layers": 5, "global_attn_every_n_layers": 2, "classifier_pooling": "mean"},
        # Both, each for what the other does not say.
        {
            "rope_parameters": {"full_attention": {"rope_theta": 44.0}},
            "local_rope_theta": 11.0,
        },
        {"local_attention": 1},
        {"local_attention": 7, "classifier_pooling": "mean"},
        {"local_attention": 128},
        {"sliding_window": 3},
        {"norm_bias": True},
        {"attention_bias": True, "mlp_bias": True, "classifier_bias": True},
        {"hidden_activation": "silu", "classifier_activation": "relu", "head_dim": 8},
    ],
    ids=str,
)
def test_modernbert_reads_its_options_as_transformers(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = write_family(tmp_path / "model", "modernbert", seed=5, changes=changes)
    assert_equal_to_transformers(folder, random_pairs(5, 90))


def test_modernbert_turns_far_positions_as_transformers(tmp_path: Path) -> None:
    folder = write_family(
        tmp_path / "model", "modernbert", seed=6, positions=2500, changes={"local_attention": 64}
    )
    assert_equal_to_transformers(folder, random_pairs(6, 1200, count=1))


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("electra", {"embedding_size": 32}),
        ("electra", {"embedding_size": 48, "hidden_act": "relu"}),
        ("distilbert", {"activation": "relu", "sinusoidal_pos_embds": True}),
        ("roberta", {"type_vocab_size": 1, "pad_token_id": 3}),
        ("xlm-roberta", {"type_vocab_size": 2, "pad_token_id": 0}),
        ("xlm-roberta", {"hidden_act": "silu", "layer_norm_eps": 0.01}),
    ],
    ids=str,
)
def test_options_of_the_others_are_read_as_transformers(
    tmp_path: Path, family: str, changes: dict[str, Any]
) -> None:
    folder = write_family(tmp_path / "model", family, seed=8, changes=changes)
    assert_equal_to_transformers(folder, [*random_pairs(8, 40), *PADDING])


@pytest.mark.parametrize("name", HIDDEN_ACTS)
def test_activations_equal_transformers(tmp_path: Path, name: str) -> None:
    assert name in ACT2FN
    folder = write_family(tmp_path / "model", "bert", seed=9, changes={"hidden_act": name})
    assert_equal_to_transformers(folder, random_pairs(9, 20))


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("bert", ["input_ids", "attention_mask"]),
        ("electra", ["input_ids", "attention_mask"]),
        ("roberta", ["input_ids", "token_type_ids", "attention_mask"]),
    ],
)
def test_the_tokenizers_configuration_decides_on_token_types(
    tmp_path: Path, family: str, names: list[str]
) -> None:
    folder = write_family(
        tmp_path / "model", family, seed=10, tokenizer_changes={"model_input_names": names}
    )
    assert load_model_folder(folder).config.takes_token_types is ("token_type_ids" in names)
    pairs = random_pairs(10, 30)
    theirs = sentence_transformers.CrossEncoder(str(folder), device="cpu").predict(pairs)
    ours = CrossEncoder(folder, precision="fp32").predict(pairs)
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_is_near(tmp_path: Path, family: str) -> None:
    if not cpu_has_bf16():
        pytest.skip("the processor has no bf16")
    for changes in ({}, {"classifier_pooling": "mean"}) if family == "modernbert" else ({},):
        folder = write_family(tmp_path / f"{changes}", family, seed=11, layers=3, changes=changes)
        pairs = random_pairs(11, 90)
        exact, near = (CrossEncoder(folder, precision=p).logits(pairs) for p in ("fp32", "bf16"))
        assert np.abs(exact - near).max() < 0.1 * np.ptp(exact)


def test_a_configuration_without_a_graph_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="found str"):
        build_graph("deberta", {})  # type: ignore[arg-type]
