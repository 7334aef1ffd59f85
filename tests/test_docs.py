from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from glossrank.cli import app

ROOT = Path(__file__).parent.parent
USAGE = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")


def test_every_command_is_documented_and_has_help() -> None:
    def names(command: object, prefix: str) -> list[str]:
        inner = getattr(command, "commands", None)
        if inner is None:
            assert getattr(command, "help", None)
            return [prefix]
        return [n for name, c in inner.items() for n in names(c, f"{prefix} {name}")]

    commands = names(get_command(app), "glossrank")
    assert len(commands) == 8
    for command in commands:
        assert f"`{command}" in USAGE


def test_the_python_examples_run() -> None:
    examples = re.findall(r"```python\n(.*?)```", USAGE, flags=re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, "usage.md", "exec"), {})


def test_links_between_documents_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(((?!https?:|#)[^)#]+)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_make_commands_of_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in re.findall(r"^make (\w+)", readme, flags=re.MULTILINE):
        assert re.search(rf"^{command}:", makefile, flags=re.MULTILINE)
