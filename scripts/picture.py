"""The picture of the README: what `glossrank ask` prints, as an SVG.

python scripts/picture.py "How quick are we getting paid by customers?" docs/img/ask.svg
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 92


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    done = subprocess.run(
        [sys.executable, "-m", "glossrank", "ask", options.question],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "PATH": ""},
    )
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere)
        console.print(Text(f'$ make ask Q="{options.question}"', style="bold green"))
        console.print(Text.from_ansi(done.stdout))
    svg = console.export_svg(title="glossrank")
    # rich links a font from a content network; the reader's own monospace does.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(svg.replace("Fira Code", "monospace"), encoding="utf-8")


if __name__ == "__main__":
    main()
