from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glossrank import CrossEncoder, Glossary
from glossrank.engines.graphs import build_graph
from glossrank.engines.int8 import quantise_weights
from glossrank.model_folder import load_model_folder
from tests.conftest import WORDS


def some_pairs(count: int) -> list[tuple[str, str]]:
    draw = random.Random(4)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(1, 20))) for _ in range(2 * count)]
    return list(zip(texts[::2], texts[1::2], strict=True))


def test_every_linear_layer_but_the_classifier_is_replaced(
    make_model: Callable[..., Path],
) -> None:
    folder = load_model_folder(make_model(layers=3, hidden=64))
    # Query, key, value, output and two feed-forward layers, thrice, and the pooler.
    assert quantise_weights(build_graph(folder.config, folder.weights())) == 3 * 6 + 1
    narrow = load_model_folder(make_model(layers=1, hidden=32))
    # Only the second feed-forward layer has a multiple of 64 inputs.
    assert quantise_weights(build_graph(narrow.config, narrow.weights())) == 1


def test_logits_stay_near_those_of_fp32(glossary: Glossary) -> None:
    pairs = [("how quick are we getting paid?", document) for document in glossary.documents[:100]]
    exact = CrossEncoder("finance-terms", precision="fp32").logits(pairs)
    change = np.abs(CrossEncoder("finance-terms", precision="int8").logits(pairs) - exact)
    assert 0 < change.max() < 0.2
    assert change.mean() < 0.05


def test_a_logit_depends_on_its_pair_alone(make_model: Callable[..., Path]) -> None:
    model, pairs = CrossEncoder(make_model(hidden=64), precision="int8"), some_pairs(20)
    alone = [float(model.logits([pair])[0]) for pair in pairs]
    # The rest of the network is in bf16 where the CPU has it.
    np.testing.assert_allclose(model.logits(pairs), alone, atol=0.05)


def test_a_layer_of_zeros_is_no_division_by_zero(make_model: Callable[..., Path]) -> None:
    folder = load_model_folder(make_model(layers=1, hidden=64))
    weights = folder.weights()
    name = "bert.encoder.layer.0.attention.self.query.weight"
    weights[name] = np.zeros_like(weights[name])
    assert quantise_weights(build_graph(folder.config, weights)) == 7


@pytest.mark.parametrize("top_k", [1, 5, 10])
def test_the_first_places_are_those_of_fp32(glossary: Glossary, top_k: int) -> None:
    exact = CrossEncoder("finance-terms", precision="fp32")
    fast = CrossEncoder("finance-terms", precision="int8")
    documents = list(glossary.documents[:100])
    for question in ("who owes us money?", "Are we giving investors a good return via dividends?"):
        wanted = exact.rank(question, documents, top_k=top_k)
        found = fast.rank(question, documents, top_k=top_k)
        assert [r["corpus_id"] for r in found] == [r["corpus_id"] for r in wanted]
        assert [r["score"] for r in found] == pytest.approx([r["score"] for r in wanted], abs=1e-4)


def test_all_places_are_ranked_without_a_second_look(glossary: Glossary) -> None:
    model = CrossEncoder("finance-terms", precision="int8")
    documents = list(glossary.documents[:20])
    ranked = model.rank("who owes us money?", documents)
    scores = model.predict([("who owes us money?", document) for document in documents])
    assert [r["score"] for r in ranked] == sorted(scores.tolist(), reverse=True)
