from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from glossrank.calibration import Calibration
from glossrank.errors import ModelFolderError
from glossrank.fusion import FUSION_FILE, Fusion, fit_fusion, load_fusion

CURVE = Calibration(slope=1.5, intercept=-2.0, threshold=0.25, fitted_on="a test")


def test_it_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    assert load_fusion(tmp_path) == Fusion(0.0, None)
    CURVE.save(tmp_path)
    assert load_fusion(tmp_path) == Fusion(0.0, CURVE)
    other = Calibration(slope=0.5, intercept=1.0, threshold=0.75, fitted_on="another")
    Fusion(7.0, other).save(tmp_path)
    assert load_fusion(tmp_path) == Fusion(7.0, other)
    with pytest.raises(ValueError, match="without a calibration"):
        Fusion(7.0, None).save(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"form": "other"},
        {"cosine_weight": -1},
        {"slope": 0},
        {"intercept": None},
        {"threshold": 2},
        {"cosine_weight": 1e999},
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    Fusion(7.0, CURVE).save(tmp_path)
    content = json.loads((tmp_path / FUSION_FILE).read_text())
    (tmp_path / FUSION_FILE).write_text(json.dumps(content | change))
    with pytest.raises(ModelFolderError, match=re.escape(FUSION_FILE)):
        load_fusion(tmp_path)
    (tmp_path / FUSION_FILE).write_text("{")
    with pytest.raises(ModelFolderError, match="Fit it again"):
        load_fusion(tmp_path)


def test_the_weight_is_as_large_as_the_cosine_is_useful() -> None:
    draw = np.random.default_rng(1)
    questions, terms = 120, 30
    relevant = [[int(draw.integers(terms))] if n % 4 else [] for n in range(questions)]
    right = np.zeros((questions, terms))
    for row, columns in enumerate(relevant):
        right[row, columns] = 1
    noise = draw.normal(size=(questions, terms))
    cosines = 0.3 * right + draw.normal(scale=0.1, size=(questions, terms))
    useful = fit_fusion(noise + right, cosines, relevant, fitted_on="noise")
    useless = fit_fusion(
        noise / 4 + 3 * right, draw.normal(size=(questions, terms)), relevant, fitted_on="noise"
    )
    assert useful.cosine_weight >= 4
    assert useless.cosine_weight == 0
    assert useful.calibration is not None and useful.calibration.slope > 0
