"""Mix the logits that several teachers gave the same groups, and what their labels say.

    python scripts/mix_scores.py build/mixed.jsonl --right-bonus 2 \\
        --part build/scored-by-twelve.jsonl 0.65 --part build/scored-by-six.jsonl 0.35

Each group gets the weighted sum of its logits; the first ``right`` documents, which whoever
wrote the question meant as its answers, get the bonus. A mean of different models is a better
teacher than each of them (Hinton et al. 2015, section 5), and where all of them err the label still
holds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--part", nargs=2, action="append", required=True, metavar=("SCORED", "WEIGHT")
    )
    parser.add_argument("--right-bonus", type=float, default=0.0)
    options = parser.parse_args()
    files = [Path(name).read_text(encoding="utf-8").splitlines() for name, _ in options.part]
    weights = [float(weight) for _, weight in options.part]
    led, groups = 0, 0
    with options.output.open("w", encoding="utf-8") as out:
        for lines in zip(*files, strict=True):
            parts = [json.loads(line) for line in lines]
            group = parts[0]
            if any(part["documents"] != group["documents"] for part in parts):
                raise SystemExit(f"group {groups + 1}: not the same documents in all parts")
            scores = np.tensordot(weights, [part["scores"] for part in parts], axes=1)
            right = group.get("right", 0)
            led += bool(right) and int(np.argmax(scores)) < right
            scores = scores + options.right_bonus * (np.arange(len(scores)) < right)
            group["scores"] = [round(float(score), 4) for score in scores]
            out.write(json.dumps(group, ensure_ascii=False) + "\n")
            groups += 1
    print(f"{groups} groups; a right answer first in {led} before the bonus")


if __name__ == "__main__":
    main()
