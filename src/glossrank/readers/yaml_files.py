"""YAML: a list of terms, terms under a name, or a dbt file.

Every scalar is read as text, so that a term called No or 1099 stays what it is. No tag is ever
obeyed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from glossrank.errors import InputError
from glossrank.readers.records import Records
from glossrank.tables import Row, read_text, shown

MOST_NODES = 1_000_000
"""Of a document with its aliases written out. A file of a few lines can stand for more than fits into
memory ("billion laughs")."""
_NOTHING = ("", "~", "null", "Null", "NULL")
_LISTS = ("terms", "glossary", "entries", "definitions")
_FIX = (
    "Write a list with one mapping a term (term: ..., definition: ...), or TERM: DEFINITION lines."
)


class Mapping(dict[str, Any]):
    """A YAML mapping that knows the 1-based lines on which it and its keys start."""

    def __init__(self, line: int = 0) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class Listed(list[Any]):
    """A YAML list that knows the lines of its entries."""

    lines: Sequence[int] = ()


class _Loader(yaml.BaseLoader):
    merged = 0

    def construct_lined(self, node: Any) -> Mapping:
        found = Mapping(node.start_mark.line + 1)
        merged: list[dict[str, Any]] = []
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            value = self.construct_object(value_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key that is not a text", key_node.start_mark
                )
            if key in found:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} twice in one mapping", key_node.start_mark
                )
            if key == "<<":
                merged += value if isinstance(value, list) else [value]
                continue
            found.lines[key] = key_node.start_mark.line + 1
            plain_nothing = isinstance(value_node, yaml.ScalarNode) and value_node.style is None
            found[key] = None if plain_nothing and value in _NOTHING else value
        for base in merged:
            self.merged += len(base)
            if self.merged > MOST_NODES:
                raise yaml.constructor.ConstructorError(
                    None, None, f"merges (<<) of more than {MOST_NODES:,} keys", node.start_mark
                )
            for key, value in base.items():
                found.setdefault(key, value)
        return found

    def construct_listed(self, node: Any) -> Listed:
        found = Listed(self.construct_sequence(node, deep=True))
        found.lines = [child.start_mark.line + 1 for child in node.value]
        for at, child in enumerate(node.value):
            plain = isinstance(child, yaml.ScalarNode) and child.style is None
            if plain and found[at] in _NOTHING:
                found[at] = None
        return found


def _construct_sequence(loader: Any, node: Any) -> Listed:
    found: Listed = loader.construct_listed(node)
    return found


def _construct_mapping(loader: Any, node: Any) -> Mapping:
    found: Mapping = loader.construct_lined(node)
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
_Loader.add_constructor("tag:yaml.org,2002:seq", _construct_sequence)


def load_yaml(path: Path) -> Any:
    """The file's one document: :class:`Mapping`, list, text or None.

    Raises:
        InputError: it cannot be read, or is no YAML; its line is named.
    """
    text = read_text(path)
    try:
        document = yaml.load(text, Loader=_Loader)
        size = _size(document, {})
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        position = getattr(error, "position", None)
        line = None if mark is None else mark.line + 1
        if mark is None and position is not None:
            line = text.count("\n", 0, position) + 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(
            file=path,
            line=line,
            expected="YAML",
            found=problem,
            fix="Mend the line; look at its indentation, colons and quotes.",
        ) from error
    except (RecursionError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            file=path,
            expected="YAML of plain mappings, lists and texts",
            found=type(error).__name__,
            fix="Make it less deep, and merge (<<) only mappings.",
        ) from error
    # A file without aliases has no more of them than characters.
    if size > max(MOST_NODES, len(text)):
        raise InputError(
            file=path,
            expected=f"at most {MOST_NODES:,} texts, lists and mappings, aliases written out",
            found=f"{size:.3g}",
            fix="Use fewer aliases (*name).",
        )
    return document


def _size(value: Any, known: dict[int, int]) -> int:
    """Nodes of a document with its aliases written out.

    Args:
        known: sizes by identity, so that what many aliases name is counted once.
    """
    if not isinstance(value, Mapping | Listed):
        return 1
    if id(value) not in known:
        parts = value.values() if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(value)]


def read_yaml(path: Path) -> Records:
    """The terms of a YAML file.

    Raises:
        InputError: it is no YAML, or none of the forms.
    """
    from glossrank.readers.dbt import PROJECT_FILE, is_semantic, read_project, read_semantic_file

    if path.name == PROJECT_FILE:
        return read_project(path.parent)
    document = load_yaml(path)
    if is_semantic(document):
        return read_semantic_file(path, document)
    if isinstance(document, Mapping):
        lists = [document[name] for name in _LISTS if isinstance(document.get(name), list)]
        if len(document) == 1 and not lists:
            lists = [value for value in document.values() if isinstance(value, list)]
        if not lists:
            return Records(str(path), tuple(_named(path, document)))
        document = lists[0]
    if not isinstance(document, list):
        raise InputError(file=path, expected="terms", found=type(document).__name__, fix=_FIX)
    rows: list[Row | InputError] = []
    for number, record in enumerate(document, start=1):
        if isinstance(record, Mapping):
            rows.append(Row(record.line, dict(record)))
        else:
            lines = document.lines if isinstance(document, Listed) else ()
            line = lines[number - 1] if lines else None
            rows.append(_no_record(path, line, f"{shown(record)} as entry {number}"))
    return Records(str(path), tuple(rows))


def _named(path: Path, document: Mapping) -> list[Row | InputError]:
    """``TERM: DEFINITION`` or ``TERM: {definition: ...}`` as records."""
    rows: list[Row | InputError] = []
    for name, value in document.items():
        line = document.lines.get(name, document.line)
        if isinstance(value, Mapping):
            rows.append(Row(line, {"term": name, **value}))
        elif isinstance(value, str):
            rows.append(Row(line, {"term": name, "definition": value}))
        else:
            rows.append(_no_record(path, line, f"{shown(value)} under {name!r}"))
    return rows


def _no_record(path: Path, line: int | None, found: str) -> InputError:
    return InputError(file=path, line=line, expected="a term", found=found, fix=_FIX)
