from __future__ import annotations

import subprocess
import sys

import pytest

import glossrank


def test_the_public_names_are_these() -> None:
    assert glossrank.__all__ == [
        "Answer", "Answers", "CrossEncoder", "Glossary", "GlossrankError", "Term", "ask",
    ]  # fmt: skip
    for name in glossrank.__all__:
        assert getattr(glossrank, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = glossrank.nothing


@pytest.mark.parametrize("module", ["glossrank", "glossrank.cli", "glossrank.cross_encoder"])
def test_importing_loads_no_torch_and_a_bare_import_no_openvino(module: str) -> None:
    program = f"import sys, {module}; print(*(m for m in ('torch', 'transformers', 'openvino') if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == (["openvino"] if module.endswith("encoder") else [])
