"""Score distillation groups with the teacher, through glossrank's own engine.

    python scripts/score_groups.py build/teacher build/groups.jsonl build/scored.jsonl

Each group gets ``"scores"``: one teacher logit per document. Written in chunks; a run that
was stopped goes on where it ended.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import islice
from pathlib import Path

import numpy as np

from glossrank.encoding import PairEncoder
from glossrank.engines.openvino import OpenVINOEngine
from glossrank.model_folder import load_model_folder

CHUNK = 500
MAX_LENGTH = 128


def finished_groups(output: Path) -> int:
    """Whole lines in the output; a half-written last line is cut off."""
    if not output.exists():
        return 0
    content = output.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        output.write_bytes(whole)
    return whole.count(b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teacher", type=Path)
    parser.add_argument("groups", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    options = parser.parse_args()
    folder = load_model_folder(options.teacher)
    engine = OpenVINOEngine(folder, precision=options.precision)
    encoder = PairEncoder(folder.tokenizer, max_length=MAX_LENGTH)
    done = finished_groups(options.output)
    with options.groups.open(encoding="utf-8") as lines, options.output.open("a") as out:
        rest = islice(lines, done, None)
        while chunk := [json.loads(line) for line in islice(rest, CHUNK)]:
            start = time.perf_counter()
            pairs = [(group["query"], text) for group in chunk for text in group["documents"]]
            logits = np.empty(len(pairs), dtype=np.float32)
            for batch in encoder.batches(pairs):
                logits[batch.rows] = engine.logits(batch)
            at = 0
            for group in chunk:
                scores = logits[at : at + len(group["documents"])]
                at += len(scores)
                row = {**group, "scores": [round(float(s), 4) for s in scores]}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
            out.flush()
            done += len(chunk)
            rate = len(pairs) / (time.perf_counter() - start)
            print(f"{done} groups, {rate:.0f} pairs/s", flush=True)


if __name__ == "__main__":
    main()
