from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from glossrank.model_folder import load_model_folder
from glossrank.model_names import DEFAULT_MODEL, PACKAGED_MODELS

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from suite import stream_file, workloads  # noqa: E402
from suite.artifacts import CALIBRATION_PAIRS, write_calibration  # noqa: E402

SMALL = replace(workloads.QUICK, stream_rows=200, stream_chunk=20)


@pytest.fixture(scope="module")
def counter() -> workloads.TokenCounter:
    return workloads.TokenCounter(load_model_folder(PACKAGED_MODELS / DEFAULT_MODEL))


@pytest.fixture(scope="module")
def texts() -> workloads.Texts:
    return workloads.read_texts()


def write_small_stream(folder: Path) -> stream_file.StreamFile:
    counter = workloads.TokenCounter(load_model_folder(PACKAGED_MODELS / DEFAULT_MODEL))
    return stream_file.write(SMALL, workloads.read_texts(), counter, folder)


@pytest.fixture(scope="module")
def made(
    counter: workloads.TokenCounter,
    texts: workloads.Texts,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, workloads.Workload]:
    folder = tmp_path_factory.mktemp("workloads")
    sizes = workloads.QUICK
    mixed = stream_file.mixed_sample(sizes, texts)
    found = workloads.build(sizes, texts, counter, mixed, folder)
    found["check"] = workloads.check_workload(sizes, found, counter, folder)
    return found


def test_there_are_texts_enough_for_the_full_sizes(texts: workloads.Texts) -> None:
    sizes = workloads.Sizes()
    assert len(texts.questions) >= max(sizes.many[0], 30 + sizes.long[0])
    assert len(texts.short) >= sizes.short[1]
    assert len(texts.standard) >= sizes.many[1]
    assert len(texts.all) >= sizes.one


def test_tokens_are_the_tokenizers_own(
    counter: workloads.TokenCounter, made: dict[str, workloads.Workload]
) -> None:
    tokenizer = load_model_folder(PACKAGED_MODELS / DEFAULT_MODEL).tokenizer
    tokenizer.no_padding()
    tokenizer.enable_truncation(workloads.MAX_TOKENS)
    pairs = [*workloads.pairs_of(made["check"].groups), ("long " * 700, "longer " * 900)]
    expected = [len(encoding.ids) for encoding in tokenizer.encode_batch(pairs)]
    assert counter.count(pairs).tolist() == expected
    assert expected[-1] == workloads.MAX_TOKENS


def test_files_hold_the_groups(made: dict[str, workloads.Workload]) -> None:
    for workload in made.values():
        content = [(query, texts) for query, texts in json.loads(workload.file.read_text())]
        assert content == workload.groups
        assert workload.pairs == sum(len(documents) for _, documents in content)


def test_long_pairs_are_long_and_not_cut(made: dict[str, workloads.Workload]) -> None:
    tokens = made["long"].tokens
    assert tokens.min() >= workloads.LONG[0]
    assert tokens.max() < workloads.MAX_TOKENS


def test_something_of_every_workload_is_compared(made: dict[str, workloads.Workload]) -> None:
    compared = set(workloads.pairs_of(made["check"].groups))
    assert compared >= set(workloads.pairs_of(made["short"].groups))
    for workload in made.values():
        assert compared & set(workloads.pairs_of(workload.groups))


def test_the_file_is_the_same_each_time_and_its_lengths_are_spread(tmp_path: Path) -> None:
    first, second = (write_small_stream(tmp_path / name) for name in ("a", "b"))
    tables = [parquet.read_table(one.file) for one in (first, second)]
    assert tables[0].equals(tables[1])
    assert tables[0].column_names == ["question", "document"]
    assert len(first.tokens) == len(tables[0]) == SMALL.stream_rows
    rows = first.tokens.reshape(-1, first.chunk)
    inside = np.ptp(rows, axis=1) / rows.mean(axis=1)
    assert first.mixed.sum() == 3
    assert inside[first.mixed].min() > inside[~first.mixed].max()
    assert rows[~first.mixed].mean(axis=1).max() > 8 * rows[~first.mixed].mean(axis=1).min()
    assert first.tokens.max() <= workloads.MAX_TOKENS


def test_the_sample_is_of_the_files_mixed_chunks(texts: workloads.Texts) -> None:
    sample = stream_file.mixed_sample(SMALL, texts)
    assert len(sample) == SMALL.mixed[0]
    inside = {
        pair
        for mixed, groups in stream_file.chunks(SMALL, texts)
        if mixed
        for pair in workloads.pairs_of(groups)
    }
    assert set(workloads.pairs_of(sample)) <= inside


def test_calibration_is_made_of_training_questions(tmp_path: Path) -> None:
    folder = write_calibration(tmp_path / "calibration")
    lines = (folder / "train.jsonl").read_text().splitlines()
    pairs = [json.loads(line)["pair"] for line in lines]
    assert len(pairs) == CALIBRATION_PAIRS
    large = ROOT / "datasets" / "finance-terms-large"
    training = {
        json.loads(line)["question"] for line in (large / "train.jsonl").read_text().splitlines()
    }
    assert {question for question, _ in pairs} <= training
    assert all(" can be defined as " in document for _, document in pairs)
