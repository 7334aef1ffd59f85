"""Models whose definitions are indexed: the engine, the index, and a search with it."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from glossrank import CrossEncoder, Glossary, Term
from glossrank.document_index import index_documents, index_fingerprint, read_index_file
from glossrank.errors import (
    IndexFileError,
    InputError,
    ModelFolderError,
    OutputError,
    UnsupportedModelError,
)
from glossrank.first_stage import RESCORED, FirstStage
from glossrank.search import Searcher
from tests.conftest import WORDS, write_tiny_model
from tests.tiny_indexed import reference_logit, write_tiny_indexed

# States are stored in fp16.
NEAR = 5e-4


def text(draw: random.Random, most: int) -> str:
    return " ".join(draw.choices(WORDS, k=draw.randint(1, most)))


def some_documents(count: int, *, seed: int = 1, most: int = 60) -> list[str]:
    draw = random.Random(seed)
    return [text(draw, most) for _ in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_indexed(tmp_path_factory.mktemp("indexed") / "model")


@pytest.fixture(scope="module")
def model(folder: Path) -> CrossEncoder:
    return CrossEncoder(folder, precision="fp32")


@pytest.mark.parametrize(
    ("layers", "join_layer", "cls_layers"),
    [(2, 1, 1), (4, 1, 1), (4, 3, 1), (6, 2, 2), (4, 1, 3), (4, 2, 2)],
)
def test_pairs_and_index_equal_the_network_in_torch(
    tmp_path: Path, layers: int, join_layer: int, cls_layers: int
) -> None:
    path = write_tiny_indexed(
        tmp_path / "m", layers=layers, join_layer=join_layer, cls_layers=cls_layers, seed=layers
    )
    model = CrossEncoder(path, precision="fp32")
    documents = some_documents(30)
    questions = ["how quick are we getting paid", text(random.Random(5), 40)]
    stage = FirstStage(model, documents)
    for question in questions:
        query = model.encoder.query_part(model.tokenize([question])[0])
        wanted = [
            reference_logit(path, query, model.encoder.document_part(ids))
            for ids in model.tokenize(documents)
        ]
        assert np.ptp(wanted) > 0.1
        pairs = [(question, document) for document in documents]
        np.testing.assert_allclose(model.logits(pairs), wanted, atol=NEAR)
        np.testing.assert_allclose(stage.logits(question), wanted, atol=NEAR)


def test_pairs_of_different_questions_share_a_batch(model: CrossEncoder) -> None:
    draw = random.Random(2)
    pairs = [(text(draw, 30), text(draw, 30)) for _ in range(40)]
    alone = [float(model.logits([pair])[0]) for pair in pairs]
    np.testing.assert_allclose(model.logits(pairs), alone, atol=NEAR)


def test_predict_and_rank_work_as_with_any_model(model: CrossEncoder) -> None:
    ranks = model.rank("who owes us?", ["money owed", "tax", "cash flow"], top_k=2)
    assert len(ranks) == 2
    assert ranks[0]["score"] >= ranks[1]["score"]


def test_a_long_text_is_cut_and_not_refused(model: CrossEncoder) -> None:
    long = "profit " * 900
    assert np.isfinite(model.logits([(long, "tax"), ("tax", long), (long, long)])).all()
    stage = FirstStage(model, ["tax", long])
    assert np.isfinite(stage.logits(long)).all()


def test_a_saved_index_gives_the_same_bits(model: CrossEncoder, tmp_path: Path) -> None:
    documents = some_documents(50)
    index = index_documents(model, documents)
    index.save(tmp_path / "terms.index", model="tiny")
    file = read_index_file(tmp_path / "terms.index")
    assert file.model == "tiny"
    loaded = file.load(fingerprint=index_fingerprint(model, documents))
    engine = model.indexed_engine
    assert engine is not None
    query = model.encoder.query_part(model.tokenize(["what is our profit"])[0])
    assert (index.logits(engine, query) == loaded.logits(engine, query)).all()
    assert loaded.nbytes == index.nbytes
    with pytest.raises(IndexFileError, match="of other definitions"):
        file.load(fingerprint=index_fingerprint(model, documents[::-1]))


def test_an_index_of_another_model_is_refused(model: CrossEncoder, tmp_path: Path) -> None:
    other = CrossEncoder(write_tiny_indexed(tmp_path / "other", seed=9), precision="fp32")
    documents = some_documents(5)
    index_documents(other, documents).save(tmp_path / "i", model="other")
    with pytest.raises(IndexFileError, match="of other weights"):
        FirstStage(model, documents, index=tmp_path / "i")


def test_broken_index_files_have_an_error(model: CrossEncoder, tmp_path: Path) -> None:
    path = tmp_path / "terms.index"
    with pytest.raises(IndexFileError, match="no such file"):
        read_index_file(path)
    path.write_bytes(b"no index")
    with pytest.raises(IndexFileError, match="expected an index"):
        read_index_file(path)
    save_file({"a": np.zeros(1)}, path)
    with pytest.raises(IndexFileError, match="another kind of file"):
        read_index_file(path)
    documents = some_documents(5)
    fingerprint = index_fingerprint(model, documents)
    index_documents(model, documents).save(path, model="tiny")
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(IndexFileError, match="expected an index"):
        read_index_file(path).load(fingerprint=fingerprint)
    about = {"format": "glossrank-index-1", "model": "tiny", "fingerprint": fingerprint}
    states: dict[str, np.ndarray] = {
        "states": np.zeros((3, 8), np.float16),
        "lengths": np.array([1, 1], np.int32),
    }
    save_file(states, path, metadata={"glossrank": json.dumps(about)})
    with pytest.raises(IndexFileError, match="do not fit"):
        read_index_file(path).load(fingerprint=fingerprint)


def test_an_index_that_cannot_be_written_leaves_nothing(
    model: CrossEncoder, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        index_documents(model, ["tax"]).save(tmp_path / "file" / "i", model="tiny")


def test_other_models_have_no_index(tiny_model: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="definitions are indexed with"):
        FirstStage(CrossEncoder(tiny_model, precision="fp32"), ["tax"])


@pytest.mark.parametrize(
    "change",
    [
        {"join_layer": 0},
        {"join_layer": 4},
        {"join_layer": None},
        {"cls_layers": 3},
        {"document_position": 400},
    ],
)
def test_a_configuration_that_cannot_be_is_refused(
    tmp_path: Path, change: dict[str, int | None]
) -> None:
    path = write_tiny_indexed(tmp_path / "m")
    file = path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ModelFolderError, match=next(iter(change))):
        CrossEncoder(path)


def glossary(count: int, *, seed: int = 3) -> Glossary:
    draw = random.Random(seed)
    return Glossary(
        "tiny",
        tuple(Term(f"t{n:03d}", text(draw, 2), text(draw, 20)) for n in range(count)),
    )


def test_an_indexed_model_searches_a_glossary(model: CrossEncoder) -> None:
    terms = glossary(40)
    searcher = Searcher(terms, model)
    scored = searcher.score("what is our profit")
    pairs = [("what is our profit", document) for document in searcher.documents]
    np.testing.assert_allclose(scored.logits, model.logits(pairs), atol=NEAR)
    # A longer glossary is shortlisted, and the pairs are read one by one.
    short = Searcher(terms, model, exhaustive=10, shortlist=8).score("what is our profit")
    np.testing.assert_allclose(short.logits, scored.logits[short.rows], atol=NEAR)


def test_the_full_model_reads_the_best_of_the_first_stage(
    model: CrossEncoder, tiny_model: Path
) -> None:
    full = CrossEncoder(tiny_model, precision="fp32")
    terms = glossary(80)
    searcher = Searcher(terms, full, first_stage=model)
    question = "what is our profit"
    pairs = [(question, document) for document in searcher.documents]
    first, second = model.logits(pairs), full.logits(pairs)
    scored = searcher.score(question)
    is_full = np.abs(scored.logits - second) < NEAR
    is_first = np.abs(scored.logits - first) < NEAR
    assert (is_full | is_first).all()
    assert is_full.sum() >= RESCORED
    weight = searcher.fusion.cosine_weight
    ahead = first + weight * scored.cosines + scored.bonus
    assert is_full[np.argsort(-ahead)[:RESCORED]].all()


def test_threads_and_order_of_the_glossary_change_nothing(
    model: CrossEncoder, tiny_model: Path
) -> None:
    full = CrossEncoder(tiny_model, precision="fp32")
    terms = glossary(60)
    shuffled = list(terms.terms)
    random.Random(1).shuffle(shuffled)
    one = Searcher(terms, full, first_stage=model)
    other = Searcher(Glossary("tiny", tuple(shuffled)), full, first_stage=model)
    questions = [text(random.Random(n), 8) for n in range(8)]
    wanted = [one.search(question) for question in questions]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(other.search, questions)) == wanted


def test_terms_that_read_alike_tie(model: CrossEncoder) -> None:
    same = tuple(Term(name, "Cash", "Money.") for name in "cabd")
    answers = Searcher(Glossary("same", same), model).search("cash?")
    assert [a.term.id for a in answers] == ["a", "b", "c", "d"]
    assert len({a.logit for a in answers}) == 1


def test_a_first_stage_needs_a_glossary_that_is_read_whole(
    model: CrossEncoder, tiny_model: Path
) -> None:
    full = CrossEncoder(tiny_model, precision="fp32")
    with pytest.raises(InputError, match="only a shortlist is read"):
        Searcher(glossary(20), full, first_stage=model, exhaustive=10)
    with pytest.raises(ValueError, match="needs first_stage"):
        Searcher(glossary(20), full, index=Path("some.index"))


def test_transformers_does_not_take_it_for_bert(folder: Path) -> None:
    from transformers import AutoConfig

    with pytest.raises(ValueError, match="indexed-bert"):
        AutoConfig.from_pretrained(folder)


def test_int8_stays_near(tmp_path: Path) -> None:
    path = write_tiny_indexed(tmp_path / "m", hidden=64)
    documents = some_documents(20)
    exact = FirstStage(CrossEncoder(path, precision="fp32"), documents).logits("tax on our profit")
    near = FirstStage(CrossEncoder(path, precision="int8"), documents).logits("tax on our profit")
    assert 0 < np.abs(near - exact).max() < 0.2 * np.ptp(exact)


def test_bert_is_not_taken_for_an_indexed_model(tmp_path: Path) -> None:
    assert CrossEncoder(write_tiny_model(tmp_path / "m")).indexed_engine is None
