from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
import torch
from safetensors.numpy import load_file, save_file
from scipy.stats import spearmanr

from glossrank import CrossEncoder, Glossary
from glossrank.errors import ModelFolderError, OutputError, UnsupportedModelError
from glossrank.glossary import FINANCE_TERMS
from glossrank.judgments import read_text_pairs
from tests.test_openvino import random_pairs

# The model card's own usage example.
CARD_PAIRS = [
    ["What are we spending to keep the business running this year?", "Trade Payables can be defined as Amounts due to suppliers of goods or services."],
    ["Are we giving investors a good return via dividends?", "Trade Payables can be defined as Amounts due to suppliers of goods or services."],
    ["How much are things like our patents worth?", "Borrowings can be defined as Loans from banks and financial institutions, classified as current or non"],
    ["How quick are we getting paid by customers?", "Property, Plant and Equipment (PPE) can be defined as Tangible items held for use in the production or supply of goods or services, or for administrative purposes (Ind AS 16)."],
    ["How has our provit after production been trending lately?", "Gross Profit can be defined as Revenue - COGS."],
]  # fmt: skip
UNUSUAL_TEXTS = [
    "",
    " ",
    "é",
    "財務 報告",
    "😀" * 30,
    "\u200b\u00ad",
    "EBITDA\t\n",
    "a" * 700,
    "the profit " * 400,
]


def reference(folder: Path, **options: Any) -> Any:
    """sentence-transformers itself, in fp32 on the CPU."""
    return sentence_transformers.CrossEncoder(
        str(folder), device="cpu", model_kwargs={"dtype": torch.float32}, **options
    )


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> CrossEncoder:
    return CrossEncoder(tiny_model, precision="fp32")


@pytest.fixture(scope="module")
def shipped() -> CrossEncoder:
    return CrossEncoder("finance-terms", precision="fp32")


def test_the_cards_example(shipped: CrossEncoder) -> None:
    scores = shipped.predict(CARD_PAIRS)
    assert scores.shape == (5,)
    assert scores.dtype == np.float32
    ranks = shipped.rank(CARD_PAIRS[0][0], [document for _, document in CARD_PAIRS])
    assert sorted(r["corpus_id"] for r in ranks) == list(range(5))
    assert all(set(r) == {"corpus_id", "score"} for r in ranks)
    falling = [r["score"] for r in ranks]
    assert falling == sorted(falling, reverse=True)


def test_the_shipped_model_equals_sentence_transformers(shipped: CrossEncoder) -> None:
    pairs = read_text_pairs(FINANCE_TERMS / "train.csv")[:150]
    few = (*UNUSUAL_TEXTS[:3], UNUSUAL_TEXTS[-1])
    pairs += [(first, second) for first in UNUSUAL_TEXTS for second in few]
    theirs = reference(shipped.model_path).predict(pairs)
    np.testing.assert_allclose(shipped.predict(pairs), theirs, atol=1e-4, rtol=0)


def test_the_shipped_models_rankings_equal_sentence_transformers(
    shipped: CrossEncoder, glossary: Glossary
) -> None:
    documents = [term.document for term in glossary.terms]
    theirs = reference(shipped.model_path)
    for question in (CARD_PAIRS[3][0], CARD_PAIRS[4][0]):
        ours = [r["corpus_id"] for r in shipped.rank(question, documents)]
        assert ours == [r["corpus_id"] for r in theirs.rank(question, documents)]


def test_bf16_keeps_the_first_answer_and_the_order_nearly(
    glossary: Glossary, shipped: CrossEncoder
) -> None:
    pairs = [(CARD_PAIRS[3][0], term.document) for term in glossary.terms]
    coarse = CrossEncoder("finance-terms", precision="bf16")
    assert coarse.precision == "bf16"
    exact, rough = shipped.predict(pairs), coarse.predict(pairs)
    assert spearmanr(exact, rough).statistic > 0.995
    assert exact.argmax() == rough.argmax()


@pytest.mark.parametrize("layers", [2, 3, 4, 5, 6])
def test_tiny_models_equal_sentence_transformers(
    make_model: Callable[..., Path], layers: int
) -> None:
    folder = make_model(layers=layers, seed=layers, positions=512)
    pairs = random_pairs(layers, 600, count=20)
    pairs += [(first, second) for first in UNUSUAL_TEXTS for second in UNUSUAL_TEXTS[:4]]
    ours, theirs = CrossEncoder(folder, precision="fp32"), reference(folder)
    np.testing.assert_allclose(ours.predict(pairs), theirs.predict(pairs), atol=1e-4, rtol=0)
    # Distinct, because equal texts may differ in the seventh digit from batch to batch.
    documents = list(dict.fromkeys(d for _, d in random_pairs(layers + 50, 12, count=40)))
    ranked = [r["corpus_id"] for r in ours.rank("what is our profit", documents)]
    assert ranked == [r["corpus_id"] for r in theirs.rank("what is our profit", documents)]


@pytest.mark.parametrize(
    "activation",
    [None, "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.activation.Tanh"],
)
def test_saved_activations_equal_sentence_transformers(
    make_model: Callable[..., Path], activation: str | None
) -> None:
    folder = make_model(activation=activation)
    pairs = random_pairs(3, 30)
    ours = CrossEncoder(folder, precision="fp32").predict(pairs)
    np.testing.assert_allclose(ours, reference(folder).predict(pairs), atol=1e-5)


def test_max_length_equals_sentence_transformers(tiny_model: Path) -> None:
    pairs = random_pairs(4, 80)
    for limit in (3, 4, 5, 16, 77):
        ours = CrossEncoder(tiny_model, max_length=limit, precision="fp32")
        assert ours.max_length == ours.max_seq_length == limit
        theirs = reference(tiny_model, max_length=limit)
        np.testing.assert_allclose(ours.predict(pairs), theirs.predict(pairs), atol=1e-4)


def test_a_folder_saved_here_loads_there_and_back(tiny: CrossEncoder, tmp_path: Path) -> None:
    pairs = random_pairs(7, 30)
    tiny.save_pretrained(tmp_path / "ours")
    theirs = reference(tmp_path / "ours")
    np.testing.assert_allclose(theirs.predict(pairs), tiny.predict(pairs), atol=1e-4)
    theirs.save_pretrained(str(tmp_path / "theirs"))
    back = CrossEncoder(tmp_path / "theirs", precision="fp32")
    np.testing.assert_allclose(back.predict(pairs), tiny.predict(pairs), atol=1e-6)


def test_a_set_activation_is_saved(tiny_model: Path, tmp_path: Path) -> None:
    model = CrossEncoder(tiny_model, activation_fn=torch.nn.Sigmoid(), precision="fp32")
    model.save_pretrained(tmp_path / "with-sigmoid")
    again = CrossEncoder(tmp_path / "with-sigmoid", precision="fp32")
    pairs = random_pairs(8, 10)
    np.testing.assert_array_equal(again.predict(pairs), model.predict(pairs))
    theirs = reference(tmp_path / "with-sigmoid").predict(pairs)
    np.testing.assert_allclose(theirs, model.predict(pairs), atol=1e-5)


def test_a_set_max_length_is_saved(tiny_model: Path, tmp_path: Path) -> None:
    CrossEncoder(tiny_model, max_length=16).save_pretrained(tmp_path / "short")
    assert CrossEncoder(tmp_path / "short").max_length == 16
    assert reference(tmp_path / "short").max_seq_length == 16


def test_weights_that_overflow_are_an_error(make_model: Callable[..., Path]) -> None:
    folder = make_model()
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"][:] = 3e38
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelFolderError, match="an overflow"):
        CrossEncoder(folder, precision="fp32").predict([("our profit", "tax")])


def test_saving_never_overwrites(tiny: CrossEncoder, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="does not exist yet"):
        tiny.save_pretrained(tmp_path / "there")
    assert [p.name for p in tmp_path.rglob("*")] == ["there", "thesis.txt"]


def test_one_pair_gives_a_scalar_and_none_an_empty_array(tiny: CrossEncoder) -> None:
    pair = ("our profit", "gross profit")
    one = tiny.predict(pair)
    assert np.ndim(one) == 0
    for same in (list(pair), np.array(pair), np.array([pair])[0]):
        assert tiny.predict(same) == one
    assert tiny.predict([pair])[0] == one
    assert tiny.predict(np.array([pair, pair])).tolist() == [one, one]
    assert tiny.predict([]).shape == (0,)
    assert tiny.predict(np.empty((0, 2), dtype=str)).shape == (0,)
    assert tiny.rank("our profit", []) == []


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_size_must_be_positive(tiny: CrossEncoder, size: int) -> None:
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        tiny.predict([("a", "b")], batch_size=size)
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        tiny.rank("a", ["b"], batch_size=size)


def test_what_is_not_a_pair_is_refused(tiny: CrossEncoder) -> None:
    with pytest.raises(ValueError, match="pair of two texts"):
        tiny.predict([("a", "b", "c")])
    with pytest.raises(TypeError, match="NoneType"):
        tiny.predict([("a", None)])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="one string"):
        tiny.predict("a text")
    with pytest.raises(TypeError, match="needs pairs"):
        tiny.predict()
    with pytest.raises(ValueError, match="prompts are not supported"):
        tiny.predict([("a", "b")], prompt="query: ")


def test_the_batch_size_changes_no_score(tiny: CrossEncoder) -> None:
    pairs = random_pairs(9, 40, count=40)
    np.testing.assert_allclose(tiny.predict(pairs, batch_size=3), tiny.predict(pairs), atol=1e-5)


def test_equal_scores_keep_the_order_of_the_documents(tiny: CrossEncoder) -> None:
    documents = ["tax", "cash", "tax", "cash", "tax"]
    ids = [r["corpus_id"] for r in tiny.rank("our profit", documents)]
    assert ids in ([0, 2, 4, 1, 3], [1, 3, 0, 2, 4])


def test_ranks_carry_plain_numbers_and_texts_on_request(tiny: CrossEncoder) -> None:
    documents = ["tax", "cash flow", "gross profit"]
    kept = copy.deepcopy(documents)
    ranks = tiny.rank("our profit", documents, top_k=2, return_documents=True)
    assert len(ranks) == 2
    assert all(type(r["corpus_id"]) is int and type(r["score"]) is float for r in ranks)
    assert all(r["text"] == documents[r["corpus_id"]] for r in ranks)
    json.dumps(ranks)
    assert documents == kept


def test_the_callers_pairs_are_never_changed(tiny: CrossEncoder) -> None:
    pairs = [["our profit", "tax"], ["cash", "the cost of goods"]]
    kept = copy.deepcopy(pairs)
    tiny.predict(pairs)
    assert pairs == kept


def test_activations_of_the_call_of_the_constructor_and_of_the_model(
    tiny_model: Path, tiny: CrossEncoder
) -> None:
    pairs = random_pairs(10, 10)
    logits = tiny.predict(pairs)
    chances = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(
        tiny.predict(pairs, activation_fn=torch.nn.Sigmoid()), chances, atol=1e-6
    )
    np.testing.assert_allclose(tiny.predict(pairs, activation_fn=lambda x: x * 2), logits * 2)
    np.testing.assert_allclose(
        tiny.predict(pairs, activation_fn=torch.nn.Softplus()),
        np.log1p(np.exp(logits)),
        atol=1e-5,
    )
    own = CrossEncoder(tiny_model, activation_fn=torch.nn.Sigmoid(), precision="fp32")
    np.testing.assert_allclose(own.predict(pairs), chances, atol=1e-6)
    identity = own.predict(pairs, activation_fn=torch.nn.Identity())
    np.testing.assert_array_equal(identity, logits)
    own.activation_fn = torch.tanh
    np.testing.assert_allclose(own.predict(pairs), np.tanh(logits), atol=1e-6)
    one_column = tiny.predict(pairs, activation_fn=torch.nn.Softmax(dim=1))
    np.testing.assert_array_equal(one_column, np.ones_like(logits))


def test_tensors_on_request(tiny: CrossEncoder) -> None:
    pairs = random_pairs(11, 10)
    scores = tiny.predict(pairs)
    tensor = tiny.predict(pairs, convert_to_tensor=True)
    assert torch.equal(tensor, torch.from_numpy(scores))
    listed = tiny.predict(pairs, convert_to_numpy=False)
    assert isinstance(listed, list)
    assert torch.equal(torch.stack(listed), tensor)
    assert tiny.predict(pairs[0], convert_to_tensor=True).ndim == 0


def test_more_than_one_label_and_foreign_options_are_refused(
    tiny_model: Path, make_model: Callable[..., Path]
) -> None:
    with pytest.raises(ValueError, match="num_labels must be 1"):
        CrossEncoder(tiny_model, num_labels=3)
    with pytest.raises(ValueError, match="device must be 'cpu'"):
        CrossEncoder(tiny_model, device="cuda:99")
    with pytest.raises(ValueError, match="model_kwargs must be empty"):
        CrossEncoder(tiny_model, model_kwargs={"dtype": "float16"})
    with pytest.raises(ValueError, match="at most 512"):
        CrossEncoder(tiny_model, max_length=513)
    with pytest.raises(ValueError, match="at least 3"):
        CrossEncoder(tiny_model, max_length=0)
    assert CrossEncoder(tiny_model, device=torch.device("cpu")).device == "cpu"
    with pytest.raises(UnsupportedModelError, match=r"my\.Activation"):
        CrossEncoder(make_model(activation="my.Activation"))


def test_the_calls_that_frameworks_make(tiny_model: Path) -> None:
    haystack = CrossEncoder(
        model_name_or_path=str(tiny_model), device="cpu", token=None, trust_remote_code=False,
        model_kwargs=None, tokenizer_kwargs=None, config_kwargs=None, backend="torch",
    )  # fmt: skip
    ranked = haystack.rank(
        query="our profit", documents=["tax", "profit"], batch_size=16,
        activation_fn=torch.nn.Sigmoid(), convert_to_numpy=True, return_documents=False,
    )  # fmt: skip
    assert [set(r) for r in ranked] == [{"corpus_id", "score"}] * 2
    pairs = [("our profit", "tax"), ("our profit", "profit")]
    llama_index = CrossEncoder(str(tiny_model), max_length=512, device=None, trust_remote_code=True)
    scores = llama_index.predict(pairs)
    assert scores.shape == (2,)
    assert llama_index.score(pairs) == scores.tolist()
    older_names = llama_index.predict(  # type: ignore[call-arg]
        sentences=pairs[:1], activation_fct=torch.nn.Identity(), num_workers=0
    )
    assert older_names[0] == scores[0]
