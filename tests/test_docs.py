from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from glossrank.cli import app
from glossrank.columns import guess_columns
from glossrank.lint import KINDS
from glossrank.search import NAME_BONUS
from glossrank.template import DEFAULT_TEMPLATE

ROOT = Path(__file__).parent.parent
USAGE = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
GLOSSARIES = (ROOT / "docs" / "glossaries.md").read_text(encoding="utf-8")


def test_every_command_is_documented_and_has_help() -> None:
    def names(command: object, prefix: str) -> list[str]:
        inner = getattr(command, "commands", None)
        if inner is None:
            assert getattr(command, "help", None)
            return [prefix]
        return [n for name, c in inner.items() for n in names(c, f"{prefix} {name}")]

    commands = names(get_command(app), "glossrank")
    assert len(commands) == 15
    for command in commands:
        assert f"`{command}" in USAGE


@pytest.mark.parametrize("page", ["usage.md", "glossaries.md"])
def test_the_python_examples_run(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, page, "exec"), {})


def test_the_guide_to_glossaries_says_what_the_code_does() -> None:
    def rows(heading: str) -> dict[str, str]:
        section = GLOSSARIES.split(f"\n## {heading}\n")[1].split("\n## ")[0]
        return dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", section, flags=re.MULTILINE))

    assert rows("lint").keys() == KINDS.keys()
    needed = {"term": "term", "definition": "definition"}
    for field, names in rows("Columns").items():
        for name in names.split(":")[0].split(", "):
            others = [own for own in needed if own != field]
            columns, _ = guess_columns([*others, name], {}, file="guide")
            assert columns[field] == name
    assert DEFAULT_TEMPLATE in GLOSSARIES
    section = GLOSSARIES.split("\n## Names and acronyms\n")[1].split("\n## ")[0]
    bonuses = [float(text) for text in re.findall(r"\| ([\d.]+) \|$", section, flags=re.MULTILINE)]
    assert sorted(bonuses) == sorted(NAME_BONUS.values())


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
