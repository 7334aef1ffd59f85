from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from glossrank import CrossEncoder, Glossary
from glossrank.calibration import (
    CALIBRATION_FILE,
    Calibration,
    expected_calibration_error,
    fit_calibration,
    load_calibration,
)
from glossrank.cli import main
from glossrank.fusion import FUSION_FILE, load_fusion
from glossrank.judgments import part_of, read_questions
from tests.test_cli import glossrank, refused

TERMS = """\
id,term,family,definition
payables,Trade Payables,capital,Amount of money owed to suppliers for goods and services.
receivables,Trade Receivables,capital,Amount of money customers are paying.
dividend,Dividend,equity,Cash paid by our profit.
lease,Lease,debt,The cost of an asset for days.
tax,Tax,,Debt to be paid on profit.
"""
TEXTS = [
    "how quick are we getting paid by customers?",
    "what is our profit?",
    "can the amount of money owed be tax?",
    "is cash flow our revenue?",
    "what is the cost of goods?",
    "how is the lease paid?",
    "are suppliers getting paid?",
    "is the ratio of debt to equity net?",
    "what is the dividend and the tax?",
    "how quick is our cash flow?",
]
# bf16, where there is any, moves logits a little with the batch they are in.
EXACT = ("--precision", "fp32")
NOTHING = ["who won the cup?", "what rhymes with days?", "how are we?"]


@dataclass(frozen=True)
class Outcome:
    code: int
    stdout: str
    stderr: str

    def refusal(self) -> str:
        """The one message of a refused command."""
        assert self.code == 2, self
        assert self.stdout == ""
        assert self.stderr.startswith("error: ")
        return self.stderr


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The entry point in this process, so that each call need not load OpenVINO anew.

    Whatever would be a traceback fails the test.
    """

    def call(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["glossrank", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "120")
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return Outcome(int(end.value.code or 0), out, err)

    return call


@dataclass(frozen=True)
class Data:
    """Files in which the model's first answer is right for the 6 higher logits of 10."""

    model: Path
    glossary: Path
    questions: Path
    none: Path
    # [questions, 5], best first; and of those that nothing answers.
    shown_logits: np.ndarray
    shown_right: np.ndarray
    none_shown: np.ndarray

    @property
    def logits(self) -> np.ndarray:
        return self.shown_logits[:, 0]

    @property
    def right(self) -> np.ndarray:
        return self.shown_right[:, 0]

    @property
    def none_logits(self) -> np.ndarray:
        return self.none_shown[:, 0]

    @property
    def everything(self) -> tuple[np.ndarray, np.ndarray]:
        """What ``calibrate`` is to find: all shown logits, and whether each answer is right."""
        return (
            np.concatenate([self.shown_logits, self.none_shown]),
            np.concatenate([self.shown_right, np.zeros(self.none_shown.shape, dtype=bool)]),
        )


def answers(
    model: Path, glossary: Glossary, texts: list[str]
) -> tuple[np.ndarray, list[list[str]]]:
    """Logits and ids of all terms for each text, best first."""
    encoder = CrossEncoder(model, precision="fp32")
    rows = []
    for text in texts:
        logits = encoder.logits([(text, term.document) for term in glossary.terms])
        ids = [term.id for term in glossary.terms]
        rows.append(sorted(zip(logits.tolist(), ids, strict=True), reverse=True))
    return (
        np.array([[logit for logit, _ in row] for row in rows]),
        [[term_id for _, term_id in row] for row in rows],
    )


def write_questions(path: Path, rows: list[tuple[str, list[str]]]) -> Path:
    lines = [
        json.dumps({"question": q, "relevant": r, "typo": n % 2 == 0})
        for n, (q, r) in enumerate(rows)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def data(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("evaluate")
    glossary = folder / "terms.csv"
    glossary.write_text(TERMS, encoding="utf-8")
    terms = Glossary.load(glossary)
    logits, ids = answers(tiny_model, terms, TEXTS)
    first = logits[:, 0] > np.sort(logits[:, 0])[3]
    other = {term.id: terms.terms[at - 1].id for at, term in enumerate(terms.terms)}
    rows = [
        (text, [row[0] if good else other[row[0]]])
        for text, row, good in zip(TEXTS, ids, first.tolist(), strict=True)
    ]
    right = [[i in relevant for i in row] for row, (_, relevant) in zip(ids, rows, strict=True)]
    return Data(
        model=tiny_model,
        glossary=glossary,
        questions=write_questions(folder / "test.jsonl", rows),
        none=write_questions(folder / "none.jsonl", [(text, []) for text in NOTHING]),
        shown_logits=logits,
        shown_right=np.array(right),
        none_shown=answers(tiny_model, terms, NOTHING)[0],
    )


@pytest.fixture
def own_model(data: Data, tmp_path: Path) -> Path:
    return shutil.copytree(data.model, tmp_path / "model")


def document(outcome: Outcome) -> dict:  # type: ignore[type-arg]
    assert outcome.code == 0, outcome
    found = json.loads(outcome.stdout)
    assert isinstance(found, dict)
    return found


def test_the_document_has_the_figures(run: Run, data: Data) -> None:
    done = run("evaluate", data.model, data.questions, "-g", data.glossary, "--json", *EXACT)
    found = document(done)
    assert done.stderr == ""
    assert (found["terms"], found["answerable"], found["unanswerable"]) == (5, 10, 0)
    assert found["measures"]["P@1"]["mean"] == pytest.approx(0.6)
    assert found["measures"]["R@5"]["mean"] == 1
    assert found["slices"]["typo"]["questions"] == 5
    assert len(found["worst"]) == 4
    assert sum(c["count"] for c in found["confusions"]) == 4
    assert found["none"]["right_overall"] is None
    assert found["comparison"] is None


@pytest.mark.parametrize("together", [True, False])
def test_unanswerable_questions_stay_in_every_denominator(
    run: Run, data: Data, own_model: Path, tmp_path: Path, together: bool
) -> None:
    curve = Calibration(slope=1, intercept=0, threshold=0.5, fitted_on="nothing")
    # Shown are six of all thirteen.
    everything, right = data.everything
    signal = curve.answered(everything)
    threshold = float(np.sort(signal)[6:8].mean())
    replace(curve, threshold=threshold).save(own_model)
    if together:
        both = tmp_path / "both.jsonl"
        both.write_text(data.none.read_text() + data.questions.read_text())
        files: tuple[str | Path, ...] = (both,)
    else:
        files = (data.questions, "--none", data.none)
    found = document(run("evaluate", own_model, *files, "-g", data.glossary, "--json", *EXACT))
    assert (found["answerable"], found["unanswerable"]) == (10, 3)
    # The ranking is measured over those that can be ranked.
    assert found["measures"]["P@1"]["mean"] == pytest.approx(0.6)
    none = found["none"]
    shown, none_shown = np.split(signal >= threshold, [10])
    rightly = int((shown & data.right).sum()) + int((~none_shown).sum())
    # Withholding and showing both happen, or this would show nothing.
    assert 0 < shown.sum() < 10
    assert none["right_overall"] == pytest.approx(rightly / 13)
    assert none["false_answer_rate"] == pytest.approx(none_shown.mean())
    assert none["wrongly_withheld_rate"] == pytest.approx((data.right & ~shown).sum() / 10)
    above = (signal[:10, None] > signal[None, 10:]).mean()
    assert none["auroc"] == pytest.approx(above)
    assert sum(b["count"] for b in none["bins"]) == 13
    expected = expected_calibration_error(curve.probability(everything)[:, 0], right[:, 0])
    assert none["calibration_error"] == pytest.approx(expected, abs=1e-6)


def test_tables_name_what_is_there_and_what_is_left_out(run: Run, data: Data) -> None:
    done = run(
        "evaluate", data.model, data.questions, "-g", data.glossary, "--none", data.none,
        "--against", "bm25", "--trained-on", data.questions,
    )  # fmt: skip
    assert done.code == 0
    assert done.stderr == ""
    for text in ("nDCG@10", "R@20", "no typo", "seen term", "AUROC", "bm25", "came first"):
        assert text in done.stdout
    assert "no difference shown" in done.stdout
    assert "no calibration" in done.stdout
    assert "threshold │" not in done.stdout
    assert "10 answerable and 3 unanswerable questions, 5 terms" in done.stdout


def test_a_model_is_no_better_than_itself(run: Run, data: Data) -> None:
    found = document(
        run("evaluate", data.model, data.questions, "-g", data.glossary, "--json",
            "--none", data.none, "--against", data.model, *EXACT)
    )  # fmt: skip
    for difference in found["comparison"]["differences"].values():
        assert difference["difference"] == 0
        assert difference["verdict"] == "no difference shown"


def test_slips_are_corrected_unless_questions_are_taken_as_typed(
    run: Run, data: Data, tmp_path: Path
) -> None:
    terms = Glossary.load(data.glossary)
    typed, meant = "how mcuh did they recieve", "how much did they receive"
    files = [
        write_questions(tmp_path / f"{n}.jsonl", [(text, [terms.terms[0].id])])
        for n, text in enumerate((typed, meant))
    ]

    def first_edge(file: Path, *options: str) -> tuple[bool, float]:
        arguments = ("evaluate", data.model, file, "-g", data.glossary, "--json", *EXACT)
        found = document(run(*arguments, *options))
        # The lowest edge of the histogram moves with the question's scores.
        return found["as_typed"], float(found["scores"]["edges"][0])

    assert first_edge(files[0]) == first_edge(files[1])
    as_typed, score = first_edge(files[0], "--as-typed")
    assert as_typed
    assert score != first_edge(files[0])[1]


def test_bm25_is_a_model_without_a_calibration(run: Run, data: Data, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = run("evaluate", "bm25", data.questions, "-g", data.glossary, "--html", page, "--json")
    found = document(done)
    assert found["score_name"] == "score"
    assert found["none"]["threshold"] is None
    assert "report.html" in done.stderr
    assert "Trade Payables" in page.read_text(encoding="utf-8")


def test_limit_takes_the_first_of_each_file(run: Run, data: Data) -> None:
    found = document(
        run("evaluate", "bm25", data.questions, "-g", data.glossary, "--none", data.none,
            "--limit", "2", "--json")
    )  # fmt: skip
    assert (found["answerable"], found["unanswerable"]) == (2, 2)
    assert {w["question"] for w in found["worst"]} <= set(TEXTS[:2])


def test_every_takes_a_fair_part_of_each_file(run: Run, data: Data, tmp_path: Path) -> None:
    # Rows with a slip and without one in turn, as write_questions does.
    ids = [term.id for term in Glossary.load(data.glossary).terms]
    rows = [(f"{TEXTS[n % 10]} {n}", [ids[n % 5]]) for n in range(60)]
    questions = write_questions(tmp_path / "many.jsonl", rows)
    none = write_questions(tmp_path / "none.jsonl", [(f"{NOTHING[0]} {n}", []) for n in range(7)])

    def figures(questions: Path, *options: str | Path) -> dict:  # type: ignore[type-arg]
        return document(run("evaluate", "bm25", questions, "-g", data.glossary, "--json", *options))

    found = figures(questions, "--none", none, "--every", "3")
    # The third of 7 is rounded up.
    assert (found["answerable"], found["unanswerable"]) == (20, 3)
    # Each third row would do too; each fourth row would have slips only.
    quarter = figures(questions, "--every", "4")
    assert quarter["answerable"] == 15
    for name in ("typo", "no typo"):
        assert 4 <= quarter["slices"][name]["questions"] <= 11
    # The same as of a file with these questions alone, and the same again.
    part = part_of(read_questions(questions, Glossary.load(data.glossary)), every=4)
    lines = [
        json.dumps({"question": q.question, "relevant": list(q.relevant), "typo": q.typo}) + "\n"
        for q in part
    ]
    (tmp_path / "part.jsonl").write_text("".join(lines))
    alone = figures(tmp_path / "part.jsonl")
    again = figures(questions, "--every", "4")
    whole = figures(questions)
    for name in ("measures", "slices", "worst", "confusions"):
        assert quarter[name] == alone[name] == again[name] != whole[name]
    # A part of the first rows, where both are wished.
    both = figures(questions, "--none", none, "--limit", "5", "--every", "2")
    assert (both["answerable"], both["unanswerable"]) == (3, 3)
    assert {w["question"] for w in both["worst"]} <= {text for text, _ in rows[:5]}
    assert "--every" in run("evaluate", "bm25", questions, "--every", "0").stderr


def test_terms_of_the_training_are_the_seen_ones(run: Run, data: Data, tmp_path: Path) -> None:
    trained = write_questions(tmp_path / "train.jsonl", [("?", ["tax", "of-another-glossary"])])
    questions = write_questions(tmp_path / "q.jsonl", [("tax?", ["tax"]), ("lease?", ["lease"])])
    slices = document(
        run("evaluate", "bm25", questions, "-g", data.glossary, "--trained-on", trained, "--json")
    )["slices"]
    assert slices["seen term"]["questions"] == slices["unseen term"]["questions"] == 1
    strange = write_questions(tmp_path / "strange.jsonl", [("?", ["of-another-glossary"])])
    assert "strange.jsonl: expected questions about terms" in run(
        "evaluate", "bm25", questions, "-g", data.glossary, "--trained-on", strange
    ).refusal()  # fmt: skip


def test_wrong_questions_are_refused(run: Run, data: Data, tmp_path: Path) -> None:
    def refusal(name: str, content: str, *options: str | Path) -> str:
        (tmp_path / name).write_text(content)
        file = tmp_path / name
        for command in ("evaluate", "calibrate"):
            message = run(command, data.model, file, "-g", data.glossary, *options).refusal()
        return message

    assert "a.jsonl:1: expected different ids" in refusal(
        "a.jsonl", '{"question": "a?", "relevant": ["nonsense"]}\n'
    )
    assert "b.jsonl:1: expected different ids" in refusal(
        "b.jsonl", '{"question": "a?", "relevant": "tax"}\n'
    )
    assert "an empty file" in refusal("c.jsonl", "")
    answerable = '{"question": "tax?", "relevant": ["tax"]}\n'
    assert "none.jsonl: expected relevant: []" in refusal("d.jsonl", answerable, "--none", write_questions(tmp_path / "none.jsonl", [("tax?", ["tax"])]))  # fmt: skip
    missing = run("evaluate", data.model, tmp_path / "missing.jsonl", "-g", data.glossary)
    assert "No such file" in missing.refusal()
    only = run("evaluate", data.model, data.none, "-g", data.glossary)
    assert "--none" in only.refusal()
    # The ids belong to another glossary than the shipped one.
    assert "the glossary finance-terms" in run("evaluate", "bm25", data.questions).refusal()


def test_wrong_models_and_places_are_refused(run: Run, data: Data, tmp_path: Path) -> None:
    def refusal(*arguments: str | Path) -> str:
        return run("evaluate", *arguments, "-g", data.glossary).refusal()

    assert "none of them" in refusal("no-model", data.questions)
    assert "config.json" in refusal(tmp_path, data.questions)
    assert "none of them" in refusal("bm25", data.questions, "--against", "no-model")
    page = tmp_path / "missing" / "report.html"
    assert "no folder" in refusal("bm25", data.questions, "--html", page)
    assert "a folder" in refusal("bm25", data.questions, "--html", tmp_path)
    assert list(tmp_path.iterdir()) == []
    broken = shutil.copytree(data.model, tmp_path / "broken")
    (broken / CALIBRATION_FILE).write_text('{"slope": -1}')
    assert "calibration.json: expected form" in refusal(broken, data.questions)


def test_nothing_of_a_refusal_is_a_traceback(data: Data, tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "q.jsonl", [("tax?", ["nonsense"])])
    assert "nonsense" in refused(glossrank("evaluate", data.model, questions, "-g", data.glossary))
    done = glossrank("evaluate", data.model, questions, "--precision", "fp64")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_calibrate_writes_what_evaluate_reads(run: Run, data: Data, own_model: Path) -> None:
    arguments = (own_model, data.questions, "-g", data.glossary, "--none", data.none, *EXACT)
    done = run("calibrate", *arguments)
    assert done.code == 0, done
    saved = load_calibration(own_model)
    assert saved is not None
    # The same fit by hand; unanswerable questions are never right.
    logits, right = data.everything
    assert logits.shape == right.shape == (13, 5)
    by_hand = fit_calibration(logits, right, fitted_on="")
    # Of first answers alone it would be another curve.
    first = fit_calibration(logits[:, :1], right[:, :1], fitted_on="")
    assert abs(first.intercept - by_hand.intercept) > 0.5
    assert saved.slope == pytest.approx(by_hand.slope, rel=1e-3)
    assert saved.intercept == pytest.approx(by_hand.intercept, rel=1e-3)
    assert saved.threshold == pytest.approx(by_hand.threshold, abs=2e-4)
    assert saved.fitted_on == (
        "10 questions that a term answers and 3 that nothing answers, of test.jsonl and none.jsonl"
    )
    for text in (f"{saved.slope:.4f}", f"{saved.intercept:.4f}", f"{saved.threshold:.4f}"):
        assert text in done.stdout
    errors = re.findall(
        r"calibration error of (\w+) answers, on these questions\W+([\d.]+)\W+([\d.]+)", done.stdout
    )
    printed = {name: float(value) for name, value, _ in errors}
    fused_errors = {name: float(value) for name, _, value in errors}
    probabilities = by_hand.probability(logits)
    assert printed == {
        "shown": pytest.approx(
            expected_calibration_error(probabilities.ravel(), right.ravel()), abs=1e-4
        ),
        "first": pytest.approx(
            expected_calibration_error(probabilities[:, 0], right[:, 0]), abs=1e-4
        ),
    }
    assert abs(printed["shown"] - printed["first"]) > 0.001
    assert CALIBRATION_FILE in done.stderr
    # Nothing is left beside it.
    new = {p.name for p in own_model.iterdir()} - {p.name for p in data.model.iterdir()}
    assert new == {CALIBRATION_FILE, FUSION_FILE}
    # What ask orders by has a curve of its own, which evaluate judges.
    fused = load_fusion(own_model)
    assert fused.calibration is not None
    shown = run("evaluate", *arguments)
    assert f"{fused.calibration.threshold:.4f}" in shown.stdout
    assert "no calibration" not in shown.stdout
    # Both commands find the same errors.
    none = document(run("evaluate", *arguments, "--json"))["none"]
    assert none["calibration_error"] == pytest.approx(fused_errors["first"], abs=1e-4)
    assert none["calibration_error_shown"] == pytest.approx(fused_errors["shown"], abs=1e-4)


def test_calibrate_fits_to_the_part_that_every_takes(run: Run, data: Data, own_model: Path) -> None:
    arguments = (own_model, data.questions, "-g", data.glossary, "--none", data.none, *EXACT)
    assert run("calibrate", *arguments, "--every", "2").code == 0
    saved = load_calibration(own_model)
    assert saved is not None
    assert saved.fitted_on.startswith("5 questions that a term answers and 2 that nothing answers")
    terms = Glossary.load(data.glossary)
    logits, right = data.everything
    rows = []
    for start, texts, file in ((0, TEXTS, data.questions), (10, NOTHING, data.none)):
        part = part_of(read_questions(file, terms, allow_none=True), every=2)
        rows += [start + texts.index(question.question) for question in part]
    by_hand = fit_calibration(logits[rows], right[rows], fitted_on="")
    assert saved.slope == pytest.approx(by_hand.slope, rel=1e-3)
    assert saved.intercept == pytest.approx(by_hand.intercept, rel=1e-3)
    assert saved.threshold == pytest.approx(by_hand.threshold, abs=2e-4)
    whole = fit_calibration(logits, right, fitted_on="")
    assert by_hand.slope != pytest.approx(whole.slope, rel=0.05)


def test_a_folder_named_like_a_packaged_model_needs_a_path(
    run: Run, data: Data, own_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_model.rename(own_model.with_name("finance-terms"))
    monkeypatch.chdir(own.parent)
    options = (data.questions, "-g", data.glossary, "--none", data.none)
    assert "a packaged name" in run("calibrate", "finance-terms", *options).refusal()
    assert load_calibration(own) is None
    assert run("calibrate", "./finance-terms", *options).code == 0
    calibration = load_calibration(own)
    assert calibration is not None
    # Fitted to the model in the folder, of which some answers are right, not the packaged one.
    logits, right = data.everything
    by_hand = fit_calibration(logits, right, fitted_on="")
    assert calibration.slope == pytest.approx(by_hand.slope, rel=0.1)


def test_calibrate_refuses_what_it_cannot_fit_or_write(
    run: Run, data: Data, own_model: Path, tmp_path: Path
) -> None:
    def refusal(model: str | Path, *files: str | Path) -> str:
        options = ("-g", data.glossary, *EXACT)
        return run("calibrate", model, *(files or (data.questions,)), *options).refusal()

    assert "a packaged name" in refusal("finance-terms")
    assert "no folder 'team/model'" in refusal("team/model")
    assert "no folder" in refusal(own_model / "config.json")
    assert "no folder 'bm25'" in refusal("bm25")
    message = refusal(own_model, data.none)
    assert "0 of 3 first answers right; both right and wrong first answers are needed." in message
    # Right where the logit is low, wrong where it is high; but one first answer is right.
    _, ids = answers(own_model, Glossary.load(data.glossary), TEXTS)
    rows = [(text, row[3:]) for text, row in zip(TEXTS, ids, strict=True)]
    rows[0] = (TEXTS[0], ids[0])
    reverse = write_questions(tmp_path / "reverse.jsonl", rows)
    assert "a higher logit goes with a worse answer" in refusal(own_model, reverse)
    before = {p.name for p in own_model.iterdir()}
    assert CALIBRATION_FILE not in before
    # A folder of that name is in the way.
    (own_model / CALIBRATION_FILE).mkdir()
    (own_model / CALIBRATION_FILE / "mine").touch()
    assert refusal(own_model, data.questions)
    assert {p.name for p in own_model.iterdir()} == before | {CALIBRATION_FILE}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(run: Run, data: Data, own_model: Path) -> None:
    own_model.chmod(0o555)
    try:
        options = ("-g", data.glossary)
        assert "permission" in run("calibrate", own_model, data.questions, *options).refusal()
        page = own_model / "report.html"
        message = run("evaluate", "bm25", data.questions, *options, "--html", page).refusal()
        assert "permission" in message
    finally:
        own_model.chmod(0o755)


def test_evaluate_says_what_a_shortlist_loses(run: Run, data: Data) -> None:
    arguments = (data.model, data.questions, "-g", data.glossary, *EXACT)
    assert document(run("evaluate", *arguments, "--json"))["shortlist"] is None
    every = document(run("evaluate", *arguments, "--json", "--shortlist", "5"))["shortlist"]
    assert every["recall"] == every["overlap"] == 1
    assert every["ndcg"] == every["exhaustive_ndcg"]
    one = document(run("evaluate", *arguments, "--json", "--shortlist", "1"))["shortlist"]
    assert one["size"] < 5
    assert one["overlap"] < 1 or one["recall"] < 1
    assert "first ten answers kept" in run("evaluate", *arguments, "--shortlist", "1").stdout
