"""A dbt project's semantic layer as a glossary: its YAML files, or a manifest that dbt wrote.

Metrics, and those measures, dimensions and entities that are described, become terms. Both
forms of the YAML are read: ``semantic_models:`` and ``metrics:`` at the top (dbt 1.6 to 1.11),
and ``semantic_model:`` and ``metrics:`` within a model (from 1.12). Field names are those of
dbt's reference pages on metric and semantic model properties.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glossrank.errors import InputError
from glossrank.readers.records import Records
from glossrank.readers.yaml_files import Mapping as YamlMapping
from glossrank.readers.yaml_files import load_yaml
from glossrank.tables import Row, read_text

PROJECT_FILE = "dbt_project.yml"
_MANIFEST_KEYS = ("metrics", "semantic_models")
_DOC_CALL = re.compile(r"\{\{\s*doc\(\s*(?:['\"][\w-]+['\"]\s*,\s*)?['\"]([\w-]+)['\"]\s*\)\s*\}\}")
_DOC_BLOCK = re.compile(r"\{%-?\s*docs\s+([\w-]+)\s*-?%\}(.*?)\{%-?\s*enddocs\s*-?%\}", re.DOTALL)
_PARTS = ("measures", "dimensions", "entities")


@dataclass
class _Layer:
    """What was found so far; metrics name measures, so both are read before either is told."""

    metrics: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    models: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    root: Path | None = None
    left_out: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    problems: list[InputError] = field(default_factory=list)
    docs: dict[str, str] = field(default_factory=dict)


def is_semantic(document: Any) -> bool:
    """Whether a YAML document holds a part of dbt's semantic layer."""
    if not isinstance(document, Mapping):
        return False
    if _dicts(document.get("semantic_models")):
        return True
    named = [m for m in _dicts(document.get("metrics")) if "name" in m]
    models = _dicts(document.get("models"))
    return bool(named) or any("semantic_model" in m or "metrics" in m for m in models)


def read_semantic_file(path: Path, document: Mapping[str, Any]) -> Records:
    """The terms of one YAML file."""
    layer = _Layer(root=path.parent)
    _collect(layer, path, document, path.name)
    return _records(str(path), layer)


def read_project(folder: Path) -> Records:
    """The terms of a dbt project's folder, of the YAML files under its model paths.

    Raises:
        InputError: no project, a broken YAML file, or no semantic layer in it.
    """
    file = folder / PROJECT_FILE
    if not file.is_file():
        raise InputError(
            file=folder,
            expected=f"a file, or a dbt project's folder with {PROJECT_FILE}",
            found="a folder without it",
            fix="Give the file itself, or the project's folder.",
        )
    project = load_yaml(file)
    paths = project.get("model-paths") if isinstance(project, Mapping) else None
    names = [str(name) for name in paths] if isinstance(paths, list) and paths else ["models"]
    layer = _Layer(root=folder)
    docs = project.get("docs-paths") if isinstance(project, Mapping) else None
    for name in [*(docs if isinstance(docs, list) else []), *names]:
        for text in _files(folder / str(name), ".md"):
            if not text.is_file():
                continue
            found = _DOC_BLOCK.findall(text.read_text(encoding="utf-8", errors="replace"))
            layer.docs |= {name: block.strip() for name, block in found}
    for name in dict.fromkeys(names):
        for yaml_file in _files(folder / name, ".yml", ".yaml"):
            if not yaml_file.is_file() or yaml_file.read_text("utf-8", "replace").strip():
                document = load_yaml(yaml_file)
                inside = yaml_file.is_relative_to(folder)
                place = (yaml_file.relative_to(folder) if inside else yaml_file).as_posix()
                if isinstance(document, Mapping):
                    _collect(layer, yaml_file, document, place)
    if not (layer.metrics or layer.models or layer.problems):
        raise InputError(
            file=folder,
            expected=f"metrics or semantic models in YAML files under {', '.join(names)}",
            found="none",
            fix="Give the folder that holds the project with the semantic layer.",
        )
    return _records(str(folder), layer)


def _files(root: Path, *suffixes: str) -> list[Path]:
    """Files below a folder; links that lead nowhere are in it, to be told."""
    try:
        return sorted(
            file
            for suffix in suffixes
            for file in root.rglob(f"*{suffix}")
            if file.is_file() or file.is_symlink()
        )
    except (OSError, ValueError):
        return []


def manifest_of(path: Path) -> dict[str, Any] | None:
    """The content of a manifest.json or semantic_manifest.json; None for any other JSON file."""
    text = read_text(path)
    if not text.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        # What is wrong with it is told by the reader of JSON files.
        return None
    return document if any(key in document for key in _MANIFEST_KEYS) else None


def read_manifest(path: Path, manifest: Mapping[str, Any]) -> Records:
    """The terms of a manifest that dbt wrote; those that are switched off are not in it."""
    layer = _Layer()
    # manifest.json keeps them by unique id, semantic_manifest.json in a list.
    for metric in _dicts(manifest.get("metrics")):
        if not isinstance(metric.get("name"), str):
            layer.problems.append(
                InputError(
                    file=path,
                    expected="a name for every metric",
                    found="none",
                    fix="Run `dbt parse` again.",
                )
            )
            continue
        layer.metrics.append((str(metric.get("original_file_path") or path.name), metric))
    for model in _dicts(manifest.get("semantic_models")):
        layer.models.append((str(model.get("original_file_path") or path.name), model))
    if not (layer.metrics or layer.models or layer.problems):
        raise InputError(
            file=path,
            expected="metrics or semantic models in the manifest",
            found="none",
            fix="Run `dbt parse` in a project that has a semantic layer.",
        )
    return _records(str(path), layer)


def _collect(layer: _Layer, file: Path, document: Mapping[str, Any], place: str) -> None:
    for key in ("metrics", "semantic_models", "models"):
        value = document.get(key)
        if value is not None and not isinstance(value, list):
            layer.problems.append(
                InputError(
                    file=file,
                    expected=f"a list under {key!r}",
                    found=type(value).__name__,
                    fix="Write '- name: ...' for each.",
                )
            )
    metrics = _dicts(document.get("metrics"))
    layer.models += [
        (place, model) for model in _dicts(document.get("semantic_models")) if _on(model)
    ]
    for model in _dicts(document.get("models")):
        metrics += _dicts(model.get("metrics"))
        own = model.get("semantic_model")
        if own in (None, False, "false") or (
            isinstance(own, Mapping) and own.get("enabled") == "false"
        ):
            continue
        layer.models.append((place, _model_of(model, own)))
    for metric in filter(_on, metrics):
        line = metric.line if isinstance(metric, YamlMapping) else 0
        if isinstance(metric.get("name"), str):
            layer.metrics.append((place, metric))
        else:
            layer.problems.append(
                InputError(
                    file=file,
                    line=line,
                    expected="a name for every metric",
                    found="none",
                    fix="Write name: ... under it.",
                )
            )


def _on(entry: Mapping[str, Any]) -> bool:
    return _mapping(entry.get("config")).get("enabled") not in ("false", "False", False)


def _model_of(model: Mapping[str, Any], own: Any) -> dict[str, Any]:
    """A model with columns (dbt 1.12) in the shape of an older semantic model."""
    parts: dict[str, list[dict[str, Any]]] = {"dimensions": [], "entities": []}
    for column in _dicts(model.get("columns")):
        for key, kind in (("dimension", "dimensions"), ("entity", "entities")):
            value = column.get(key)
            if value in (None, False, "false"):
                continue
            inner = dict(value) if isinstance(value, Mapping) else {}
            parts[kind].append(
                {"name": column.get("name"), "description": column.get("description"), **inner}
            )
    derived = _mapping(model.get("derived_semantics"))
    for kind in parts:
        parts[kind] += map(dict, _dicts(derived.get(kind)))
    name = own.get("name") if isinstance(own, Mapping) else None
    return {"name": name or model.get("name"), **parts}


def _records(name: str, layer: _Layer) -> Records:
    measures = {
        str(measure.get("name")): (str(model.get("name")), measure)
        for _, model in layer.models
        for measure in _dicts(model.get("measures"))
    }
    rows: list[Row | InputError] = list(layer.problems)
    for place, metric in layer.metrics:
        row = _metric_row(layer, measures, place, metric)
        rows += [] if row is None else [row]
    for place, model in layer.models:
        rows += _part_rows(layer, place, model)
    notes = [f"dbt: {len(layer.metrics)} metrics, {len(layer.models)} semantic models"]
    if layer.left_out:
        some = ", ".join(layer.left_out[:5]) + (" ..." if len(layer.left_out) > 5 else "")
        notes.append(f"left out, without a description: {len(layer.left_out)} ({some})")
    if layer.missing:
        notes.append(f"docs blocks that are not there: {', '.join(dict.fromkeys(layer.missing))}")
    return Records(name, tuple(rows), notes)


def _metric_row(
    layer: _Layer,
    measures: Mapping[str, tuple[str, Mapping[str, Any]]],
    place: str,
    metric: Mapping[str, Any],
) -> Row | None:
    formula = _formula(metric, measures)
    measure = _input_name(_params(metric).get("measure"))
    family = measures[measure][0] if measure in measures else ""
    described = _described(layer, metric)
    if not described and measure in measures:
        described = _described(layer, measures[measure][1])
    if not described and not formula:
        layer.left_out.append(str(metric.get("name")))
        return None
    values = {
        "id": str(metric.get("name")),
        # A metric without a word of description is still asked for: its sum says something.
        "definition": described or f"the metric {formula}.",
        "formula": formula,
        "family": str(metric.get("group") or _mapping(metric.get("config")).get("group") or family),
    }
    return _row(layer, place, metric, values)


def _part_rows(layer: _Layer, place: str, model: Mapping[str, Any]) -> Iterator[Row]:
    owner = str(model.get("name"))
    metric_names = {str(metric.get("name")) for _, metric in layer.metrics}
    for kind in _PARTS:
        for part in _dicts(model.get(kind)):
            part_id = f"{owner}.{part.get('name')}"
            if kind == "measures" and part.get("name") in metric_names:
                # The metric of that name says it.
                continue
            described = _described(layer, part)
            if not described:
                layer.left_out.append(part_id)
                continue
            values = {
                "id": part_id,
                "definition": described,
                "formula": _aggregate(part) if kind == "measures" else "",
                "family": owner,
            }
            yield _row(layer, place, part, values)


def _row(layer: _Layer, place: str, entry: Mapping[str, Any], values: dict[str, Any]) -> Row:
    """A record with the place of its entry; a manifest has no lines."""
    line = entry.line if isinstance(entry, YamlMapping) else 0
    file = None if layer.root is None else str(layer.root / place)
    values["source"] = f"{place}:{line}" if line else place
    return Row(line, _common(entry) | values, file)


def _common(entry: Mapping[str, Any]) -> dict[str, Any]:
    config = _mapping(entry.get("config"))
    meta = _mapping(entry.get("meta")) | _mapping(config.get("meta"))
    name = str(entry.get("name"))
    owner = meta.get("owner") or _mapping(entry.get("owner")).get("name")
    return {
        "term": str(entry.get("label") or name.replace("_", " ").strip().capitalize()),
        "synonyms": meta.get("synonyms") or meta.get("aliases") or entry.get("synonyms"),
        "owner": owner,
        "tags": entry.get("tags") or config.get("tags"),
    }


def _described(layer: _Layer, entry: Mapping[str, Any]) -> str:
    text = str(entry.get("description") or "")
    layer.missing += [call[1] for call in _DOC_CALL.finditer(text) if call[1] not in layer.docs]
    return _DOC_CALL.sub(lambda call: layer.docs.get(call[1], ""), text).strip()


def _params(metric: Mapping[str, Any]) -> dict[str, Any]:
    """Type-specific settings: under ``type_params``, or beside the others (dbt 1.12)."""
    return dict(metric) | _mapping(metric.get("type_params"))


def _formula(
    metric: Mapping[str, Any], measures: Mapping[str, tuple[str, Mapping[str, Any]]]
) -> str:
    params = _params(metric)
    numerator, denominator = (_input_name(params.get(k)) for k in ("numerator", "denominator"))
    measure = _input_name(params.get("measure") or params.get("input_metric"))
    conversion = _mapping(params.get("conversion_type_params")) or params
    events = [
        _input_name(conversion.get(f"{k}_measure") or conversion.get(f"{k}_metric"))
        for k in ("conversion", "base")
    ]
    if numerator and denominator:
        formula = f"{numerator} / {denominator}"
    elif all(events):
        formula = f"{events[0]} / {events[1]}"
    elif measure:
        formula = _aggregate(measures[measure][1]) if measure in measures else measure
    elif params.get("agg") or params.get("metric_aggregation_params"):
        formula = _aggregate(params | _mapping(params.get("metric_aggregation_params")))
    else:
        formula = _derived(params)
    window = _mapping(params.get("cumulative_type_params")).get("window") or params.get("window")
    if isinstance(window, Mapping):
        window = f"{window.get('count')} {window.get('granularity')}"
    return f"{formula} over {window}" if window and formula else formula


def _derived(params: Mapping[str, Any]) -> str:
    """An expression, with the metrics' own names for their aliases."""
    formula = str(params.get("expr") or "")
    names: dict[str, str] = {}
    for part in _dicts(params.get("metrics") or params.get("input_metrics")):
        alias, name = part.get("alias"), part.get("name")
        moved = part.get("offset_window") or part.get("offset_to_grain")
        if isinstance(alias, str) and isinstance(name, str) and alias and not moved:
            names[alias] = name
    if names:
        pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        formula = re.sub(rf"\b(?:{pattern})\b", lambda m: names[m[0]], formula)
    return formula.strip()


def _aggregate(measure: Mapping[str, Any]) -> str:
    inner = measure.get("expr") or measure.get("name")
    return f"{measure['agg']}({inner})" if measure.get("agg") else ""


def _input_name(value: Any) -> str:
    """A measure or metric, named by a text or by a mapping with a name."""
    name = value.get("name") if isinstance(value, Mapping) else value
    return name if isinstance(name, str) else ""


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        value = list(value.values())
    return (
        [entry for entry in value if isinstance(entry, Mapping)]
        if isinstance(value, Sequence)
        else []
    )
