"""Some lines of a file, drawn at random.

python scripts/draw_lines.py datasets/finance-terms-large/train.jsonl build/part.jsonl --count 3360
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lines", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with options.lines.open(encoding="utf-8") as file:
        lines = file.readlines()
    random.Random(options.seed).shuffle(lines)
    options.output.write_text("".join(lines[: options.count]), encoding="utf-8")


if __name__ == "__main__":
    main()
