"""Raise the terms of a question's topic in a teacher's logits.

    python scripts/add_topic_bonus.py build/scored-topics.jsonl build/topics.jsonl --bonus 3 --times 6

The first "same" documents of each group (scripts/topic_groups.py) get the bonus; the group is
written as often as ``--times`` says, since groups are drawn alike in training.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scored", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--bonus", type=float, required=True)
    parser.add_argument("--times", type=int, default=1)
    options = parser.parse_args()
    groups = [json.loads(line) for line in options.scored.read_text(encoding="utf-8").splitlines()]
    with options.output.open("w", encoding="utf-8") as out:
        for group in groups:
            same = group.pop("same")
            group["scores"] = [
                round(score + options.bonus * (at < same), 4)
                for at, score in enumerate(group["scores"])
            ]
            out.write((json.dumps(group, ensure_ascii=False) + "\n") * options.times)
    print(f"{len(groups)} groups, {options.times} of each")


if __name__ == "__main__":
    main()
