"""The peers' own Python environments, under ``build/peers``.

Each is made from the pins of ``benchmarks/peers/<name>.txt`` with pip, and kept: it is used
again as long as its pins and the Python are the same. glossrank itself runs in the Python that
runs the benchmark, from this checkout.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from suite.contenders import OURS
from suite.failures import PeerError
from suite.paths import PEERS, PEERS_BUILD, ROOT

MARKER = "complete.txt"
# Wheels of torchvision are built for one build of torch each: beside torch for CPUs, the
# registry's default one cannot be imported, and then neither can transformers. optimum-intel
# requires it for models of images alone.
REMOVED = {"sentence-transformers-openvino": ("torchvision",)}


def environment_python(
    name: str, *, pins_folder: Path = PEERS, build_folder: Path = PEERS_BUILD
) -> Path:
    """The Python of a peer's environment, which is made first if need be.

    Raises:
        PeerError: it cannot be made; what pip said is in ``<name>.log`` beside it.
    """
    if name == OURS:
        return Path(sys.executable)
    pins = pins_folder / f"{name}.txt"
    folder = build_folder / name
    python = folder / "bin" / "python"
    fingerprint = fingerprint_of(pins)
    marker = folder / MARKER
    if marker.is_file() and marker.read_text(encoding="utf-8") == fingerprint:
        return python
    log = build_folder / f"{name}.log"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
    except OSError as error:
        raise PeerError(f"{error.strerror}: {error.filename}") from error
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    run_logged([sys.executable, "-m", "venv", str(folder)], log)
    run_logged([*pip, "install", "--requirement", str(pins)], log)
    if name in REMOVED:
        run_logged([*pip, "uninstall", "--yes", *REMOVED[name]], log)
    marker.write_text(fingerprint, encoding="utf-8")
    return python


def fingerprint_of(pins: Path) -> str:
    """Hexadecimal digest of what decides what is installed.

    Raises:
        PeerError: there is no such file.
    """
    try:
        content = pins.read_bytes()
    except OSError as error:
        raise PeerError(f"no pins: {error.strerror}: {pins.name}") from error
    removed = ",".join(REMOVED.get(pins.stem, ()))
    return hashlib.sha256(content + sys.version.encode() + removed.encode()).hexdigest()


def run_logged(command: list[str], log: Path, *, env: dict[str, str] | None = None) -> None:
    """Run a command, adding what it prints to a file.

    Raises:
        PeerError: it failed; the message is the last line that tells why.
    """
    with log.open("ab") as file:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=ROOT, env=env
        )
    if done.returncode:
        raise PeerError(last_reason(log) or f"exit status {done.returncode}")


def last_reason(log: Path) -> str:
    """The line of a log that most likely names the cause: pip's first ERROR, else the last line."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines[-1:] or [""])[0][:400]
