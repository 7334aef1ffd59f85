"""The same weights in the forms that peers read: ONNX, int8, their own folders.

Each is made once per model, script and pins, in the environment that can make it, and lies in
``build/peers/models``; it appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from glossrank import Glossary
from glossrank.errors import OutputError
from glossrank.model_names import PACKAGED_MODELS
from glossrank.output import new_folder
from suite.failures import PeerError
from suite.paths import LARGE, PEERS, PEERS_BUILD

if TYPE_CHECKING:
    from suite.workers import Launcher

FLASHRANK_NAME = "ms-marco-MiniLM-L-12-v2"
"""FlashRank loads names it knows from its cache folder; ours stands there under this one."""
_FLASHRANK_FILE = "flashrank-MiniLM-L-12-v2_Q.onnx"
# Pairs for sentence-transformers' static int8 export: its default number of samples.
CALIBRATION_PAIRS = 300

# Artifact: the environment and the script that make it.
_MADE_BY = {
    "onnx": ("sentence-transformers", "export_onnx.py"),
    "onnx-int8": ("onnxruntime", "quantize_onnx.py"),
    "st-openvino": ("sentence-transformers-openvino", "export_openvino.py"),
    "st-onnx": ("sentence-transformers-onnx", "export_st_onnx.py"),
}
_MADE_OF = {"onnx-int8": "onnx", "flashrank": "onnx", "flashrank-int8": "onnx-int8"}


class Artifacts:
    """Makes artifacts of one model folder, each at most once.

    Args:
        model: the model folder.
        groups: a file of groups that exported logits are compared on.
        launcher: finds the environments' Pythons and variables.
    """

    def __init__(
        self, model: Path, groups: Path, launcher: Launcher, *, folder: Path | None = None
    ) -> None:
        self._model = model
        self._groups = groups
        self._launcher = launcher
        self._folder = folder or PEERS_BUILD / "models"
        self._made: dict[str, Path | PeerError] = {}

    def path(self, name: str) -> Path:
        """The folder of an artifact, which is made first if need be.

        "model" is the model folder itself, and any other name that nothing is made under is
        that of a packaged model.

        Raises:
            PeerError: it cannot be made, or there is no such model.
        """
        if name == "model":
            return self._model
        if name not in _MADE_BY and name not in _MADE_OF:
            packaged = PACKAGED_MODELS / name
            if not packaged.is_dir():
                raise PeerError(f"no packaged model is called {name!r}")
            return packaged
        if name not in self._made:
            try:
                self._made[name] = self._make(name)
            except (PeerError, OutputError) as error:
                # Others need it too, and would only wait for the same failure.
                self._made[name] = PeerError(str(error))
        made = self._made[name]
        if isinstance(made, PeerError):
            raise made
        return made

    def _make(self, name: str) -> Path:
        target = self._folder / f"{name}-{self._fingerprint(name)}"
        if target.is_dir():
            return target
        source = self.path(_MADE_OF[name]) if name in _MADE_OF else self._model
        with new_folder(target) as output:
            if name in _MADE_BY:
                self._run_script(name, source, output)
            else:
                _link_flashrank(source, output)
        return target

    def _fingerprint(self, name: str) -> str:
        digest = hashlib.sha256()
        for file in sorted(self._model.glob("*.safetensors")) + sorted(self._model.glob("*.json")):
            digest.update(file.read_bytes())
        while name in _MADE_BY or name in _MADE_OF:
            if name in _MADE_BY:
                environment, script = _MADE_BY[name]
                digest.update((PEERS / f"{environment}.txt").read_bytes())
                digest.update((PEERS / script).read_bytes())
            name = _MADE_OF.get(name, "")
        return digest.hexdigest()[:12]

    def _run_script(self, name: str, source: Path, output: Path) -> None:
        environment, script = _MADE_BY[name]
        extra: list[str] = []
        if name == "onnx":
            extra = [str(self._groups)]
        elif name == "st-openvino":
            extra = [str(write_calibration(self._folder / "calibration"))]
        elif name == "st-onnx":
            extra = [_onnx_kind()]
        self._launcher.run_script(environment, script, [str(source), str(output), *extra])


def write_calibration(folder: Path) -> Path:
    """A data set of one JSONL file: training questions with definitions, drawn with one seed."""
    glossary = Glossary.load(LARGE / "glossary.csv")
    lines = (LARGE / "train.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    documents = [term.document for term in glossary.terms if term.split == "train"]
    draw = random.Random(1)
    pairs = [(draw.choice(questions), draw.choice(documents)) for _ in range(CALIBRATION_PAIRS)]
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps({"pair": pair}) + "\n" for pair in pairs)
    (folder / "train.jsonl").write_text(text, encoding="utf-8")
    return folder


def _link_flashrank(source: Path, output: Path) -> None:
    inner = output / FLASHRANK_NAME
    inner.mkdir()
    for file in source.iterdir():
        name = _FLASHRANK_FILE if file.name == "model.onnx" else file.name
        try:
            os.link(file, inner / name)
        except OSError:
            shutil.copyfile(file, inner / name)


def _onnx_kind() -> str:
    from suite.machine import cpu_flags

    flags = cpu_flags()
    if "avx512_vnni" in flags:
        return "avx512_vnni"
    return "avx512" if "avx512f" in flags else "avx2"
