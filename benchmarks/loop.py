"""From verdicts to a better model and back: a new glossary, a server, 100 verdicts, retrain, rollback.

The brewery's people ask in words of their house, which no model knows. A hundred of their questions,
drawn with a fixed seed, get a verdict each, as a person would give it on the page: this is the right
one. The other 92 are asked before and after, so that what is measured was not trained on.

Run: ``python benchmarks/loop.py`` (needs glossrank[serve,train]).
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "benchmarks" / "brewery" / "glossary.csv"
QUESTIONS = ROOT / "benchmarks" / "brewery" / "questions.jsonl"
VERDICTS = 100
SEED = 1
WAIT = 60.0


class Server:
    """``glossrank serve`` over a folder of its own, during a ``with`` block."""

    def __init__(self, data: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        # In the folder itself: what lies beside one to keep is somebody else's.
        self.log = data / "server.log"
        command = ["-m", "glossrank", "serve", "--port", str(self.port), "--data", str(data)]
        # The process has a handle of its own.
        with self.log.open("w") as log:
            self.process = subprocess.Popen([sys.executable, *command], stderr=log)
        try:
            self.until(self.healthy)
        except BaseException:
            # There is no with block yet that would.
            self.stop()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; by force if it does not end."""
        self.process.terminate()
        try:
            self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def call(self, path: str, *, method: str = "GET", body: Any = None) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else content,
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            found = answer.read()
            return json.loads(found) if found else None

    def healthy(self) -> bool:
        try:
            self.call("/health")
        except OSError:
            return False
        return True

    def until(self, true: Any) -> None:
        end = time.monotonic() + WAIT
        while not true():
            if self.process.poll() is not None or time.monotonic() > end:
                # The log goes with its folder.
                end_of_log = self.log.read_text(errors="replace")[-2_000:]
                raise SystemExit(f"waited in vain; the server's log ends with:\n{end_of_log}")
            time.sleep(0.1)

    def ask(self, question: str) -> Any:
        body = {"question": question, "glossary": "brewery"}
        return self.call("/v1/ask", method="POST", body=body)

    def judge(self, question: str, term_id: str) -> bool:
        """Ask, say which is right; whether that stood first."""
        found = self.ask(question)
        shown = [{"id": a["id"], "probability": a["probability"]} for a in found["answers"]]
        verdict = {
            "question": question, "glossary": "brewery", "verdict": "right", "term_id": term_id,
            "shown": shown, "fingerprint": found["fingerprint"], "model": found["model_sha"],
        }  # fmt: skip
        self.call("/v1/verdicts", method="POST", body=verdict)
        return bool(shown[0]["id"] == term_id)


def retrain(data: Path, *options: str) -> None:
    command = [sys.executable, "-m", "glossrank", "retrain", "--data", str(data), *options]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise SystemExit(f"retrain ended with {done.returncode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="a new folder to keep, for a look at the page")
    keep = parser.parse_args().keep
    if keep is not None and keep.exists():
        parser.error(f"--keep: expected a folder that is not there yet, found {keep}")
    with tempfile.TemporaryDirectory() as folder:
        run(keep or Path(folder) / "data")


def shuffled_questions() -> list[dict[str, str]]:
    """The same order each time, but not the file's: its later questions are harder, and before and
    after could not be compared in the quality view."""
    questions = [json.loads(line) for line in QUESTIONS.read_text().splitlines()]
    random.Random(SEED).shuffle(questions)
    return questions


def run(data: Path) -> None:
    questions = shuffled_questions()
    judged, others = questions[:VERDICTS], questions[VERDICTS:]
    data.mkdir(parents=True)
    with Server(data) as server:
        server.call("/v1/glossaries/brewery", method="PUT", body=GLOSSARY.read_bytes())
        before = [server.ask(one["question"]) for one in questions]
        first = [server.judge(one["question"], one["term_id"]) for one in judged]
        unseen = [a["answers"][0]["id"] == one["term_id"] for a, one in zip(before[VERDICTS:], others, strict=True)]  # fmt: skip
        print(f"before: first on {sum(first)} of the {len(first)} questions with verdicts, "
              f"on {sum(unseen)} of {len(unseen)} others")  # fmt: skip
        start = time.perf_counter()
        retrain(data, "--glossary", "brewery")
        print(f"retrain: {time.perf_counter() - start:.0f} s")
        server.until(lambda: server.call("/info")["model_id"] == "0001")
        after = [server.judge(one["question"], one["term_id"]) for one in others]
        print(f"after: first on {sum(after)} of {len(after)} others")
        for row in server.call("/v1/verdicts/quality?glossary=brewery"):
            print(
                f"  quality: model {row['model'][:8]}, {row['verdicts']} verdicts, first {row['first']:.0%}"
            )
        retrain(data, "--rollback")
        server.until(lambda: server.call("/info")["model_id"] != "0001")
        again = [server.ask(one["question"]) for one in questions]
        print(
            f"after the rollback: {sum(a == b for a, b in zip(again, before, strict=True))} of {len(before)} answers equal, to the last bit"
        )


if __name__ == "__main__":
    main()
