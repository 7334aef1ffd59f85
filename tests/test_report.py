from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from glossrank import Glossary, Term
from glossrank.calibration import Calibration
from glossrank.errors import OutputError
from glossrank.judgments import JudgedQuestion
from glossrank.report import MOST_CONFUSIONS, MOST_WORST, EvaluationReport, make_report
from glossrank.report_page import write_html

# Names that would break a page, a plot or a table.
NAMES = ("<b>Cash & Co</b>", "$x_1$ rate", "現金", "Debt")
TERMS = Glossary(
    name="<i>own</i>.csv",
    terms=tuple(Term(id=f"t{n}", term=name, definition="...") for n, name in enumerate(NAMES)),
)
QUESTIONS = [
    JudgedQuestion("Is <script>alert(1)</script> cash?", ("t0",), False),
    JudgedQuestion("Which rate do we pay?", ("t1", "t2"), True),
    JudgedQuestion("Who won the cup?", (), False),
    JudgedQuestion("How much debt is there?", ("t3",), False),
]
SCORES = np.array(
    [
        [-1.0, 3.0, 0.0, 2.0],  # wanted t0 is 4th, t1 won
        [1.0, 2.0, -2.0, 0.0],  # t1 right
        [2.5, 0.0, 0.0, 0.0],  # nothing fits
        [0.0, 5.0, 0.0, 4.0],  # wanted t3 is 2nd, t1 won
    ]
)
CURVE = Calibration(slope=1, intercept=0, threshold=0.92, fitted_on="nothing")


def report(**options: object) -> EvaluationReport:
    settings = {"glossary": TERMS, "model": "tiny <model>", "file": "q.jsonl", **options}
    return make_report(SCORES, QUESTIONS, **settings)  # type: ignore[arg-type]


def test_counts_and_measures_are_those_of_the_answerable_questions() -> None:
    found = report(calibration=CURVE)
    assert (found.terms, found.answerable, found.unanswerable) == (4, 3, 1)
    assert found.measures["P@1"].mean == pytest.approx(1 / 3)
    assert found.measures["RR@10"].mean == pytest.approx((1 / 4 + 1 + 1 / 2) / 3)
    assert found.measures["P@1"].low <= 1 / 3 <= found.measures["P@1"].high
    assert found.slices["typo"].questions == 1
    assert found.slices["typo"].measures["P@1"].mean == 1
    assert found.slices["no typo"].measures["P@1"].mean == 0
    # Nothing of the unanswerable question is lost: of four, only the right one is withheld ...
    assert found.none.right_overall == 0
    # ... at a lower threshold one is right, and still of four.
    low = report(calibration=Calibration(1, 0, 0.5, ""))
    assert low.none.right_overall == pytest.approx(1 / 4)
    assert sum(count for _, _, count in low.none.bins) == 4


def test_what_went_wrong_is_named() -> None:
    found = report()
    first, second = found.worst
    assert first.question == QUESTIONS[0].question
    assert [(w.id, w.place, w.score) for w in first.wanted] == [("t0", 4, -1.0)]
    assert (first.won.id, first.won.place, first.won.score) == ("t1", 1, 3.0)
    assert second.question == QUESTIONS[3].question
    assert first.ndcg < second.ndcg < 1
    assert [(c.wanted, c.won, c.count) for c in found.confusions] == [
        (NAMES[0], NAMES[1], 1),
        (NAMES[3], NAMES[1], 1),
    ]


def test_lists_of_mistakes_end_somewhere_and_keep_the_worst() -> None:
    terms = Glossary("t", tuple(Term(f"t{n}", f"Term {n}", "...") for n in range(60)))
    # Question n wants term n and gets term 59; term 0 is wanted, in vain, once more.
    wanted = [*range(50), 0]
    questions = [JudgedQuestion(f"{n}?", (f"t{w}",), False) for n, w in enumerate(wanted)]
    scores = np.zeros((51, 60))
    scores[:, 59] = np.arange(51) + 1
    scores[np.arange(51), wanted] = 0.5
    found = make_report(scores, questions, glossary=terms, model="m", file="f")
    assert len(found.worst) == MOST_WORST
    # All have the same nDCG; the lead of the wrong term decides.
    assert [w.question for w in found.worst[:2]] == ["50?", "49?"]
    assert len(found.confusions) == MOST_CONFUSIONS
    assert (found.confusions[0].wanted, found.confusions[0].count) == ("Term 0", 2)


def test_every_question_is_in_the_histogram() -> None:
    scores = report().scores
    assert len(scores.edges) == len(scores.right) + 1
    assert (sum(scores.right), sum(scores.wrong), sum(scores.unanswerable)) == (3, 3, 1)
    at = np.flatnonzero(scores.unanswerable)[0]
    assert scores.edges[at] <= 2.5 <= scores.edges[at + 1]


def test_a_comparison_is_of_the_same_questions() -> None:
    right = np.zeros((3, 4))
    right[[0, 1, 2], [0, 1, 3]] = 1
    found = report(against=("perfect", right)).comparison
    assert found is not None
    assert found.measures["P@1"].mean == 1
    assert found.differences["P@1"].difference == pytest.approx(1 / 3 - 1)
    assert found.differences["R@20"].verdict == "no difference shown"


def test_questions_and_scores_must_fit() -> None:
    with pytest.raises(ValueError, match="no question is answerable"):
        make_report(SCORES[2:3], QUESTIONS[2:3], glossary=TERMS, model="m", file="f")
    with pytest.raises(ValueError, match="not 4 x 4"):
        make_report(SCORES[:3], QUESTIONS, glossary=TERMS, model="m", file="f")


@pytest.mark.parametrize("calibration", [CURVE, None])
def test_the_document_is_plain(calibration: Calibration | None) -> None:
    found = report(calibration=calibration, against=("other", SCORES[[0, 1, 3]]))
    document = found.to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["measures"]["P@1"]["mean"] == pytest.approx(1 / 3)
    assert document["slices"]["typo"]["questions"] == 1
    assert document["comparison"]["differences"]["P@1"]["verdict"] == "no difference shown"
    assert document["worst"][0]["won"]["term"] == NAMES[1]
    counts = [b["count"] for b in document["none"]["bins"]]
    assert sum(counts) == (4 if calibration else 0)


class Page(HTMLParser):
    """Texts, tags, and what a browser would load."""

    void = frozenset({"meta", "br", "path", "use", "rect"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.void:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.loads.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("calibration", [CURVE, None])
def test_the_page_stands_alone_and_says_what_the_report_says(
    tmp_path: Path, calibration: Calibration | None
) -> None:
    found = report(calibration=calibration, against=("other <model>", SCORES[[0, 1, 3]]))
    write_html(found, tmp_path / "report.html")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    assert page.open == []
    assert page.loads == []
    assert not re.search(r"url\((?!#)|@import|<script|<link|<img", source)
    # Texts of the user are texts, not markup.
    for text in (QUESTIONS[0].question, *NAMES[:2], "tiny <model>", "other <model>", TERMS.name):
        assert text in page.text
    assert "<i>" not in source
    assert "<b>Cash" not in source
    assert f"{found.measures['nDCG@10'].mean:.3f}" in page.text
    assert page.tags.count("svg") == (2 if calibration else 1)
    assert ("Expected calibration error" in page.text) == (calibration is not None)
    assert ("no calibration" in page.text) == (calibration is None)
    # Every stand-in for a colour has become a variable, for light and dark.
    assert "#0101" not in source
    assert "prefers-color-scheme: dark" in source


def test_the_same_report_is_the_same_page(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_html(report(calibration=CURVE), tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_report_without_a_mistake_says_so(tmp_path: Path) -> None:
    scores = np.array([[1.0, 0.0, 0.0, 0.0]])
    found = make_report(
        scores, [JudgedQuestion("Cash?", ("t0",), False)], glossary=TERMS, model="m", file="f"
    )
    assert (found.worst, found.confusions) == ((), ())
    write_html(found, tmp_path / "r.html")
    assert "every first answer is right" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match=r"taken: expected room and permission"):
        write_html(report(), tmp_path / "taken")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_without_matplotlib_the_extra_is_named(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"
        "from pathlib import Path\n"
        "from glossrank.errors import MissingExtraError\n"
        "from glossrank.report_page import write_html\n"
        "from tests.test_report import report\n"
        "try:\n"
        f"    write_html(report(), Path({str(tmp_path / 'r.html')!r}))\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert "[train], which an HTML report needs" in done.stdout
    assert list(tmp_path.iterdir()) == []
