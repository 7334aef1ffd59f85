from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from glossrank import Glossary, Term
from glossrank.errors import InputError
from glossrank.glossary import TermsRead, read_terms

LEGACY = """\
version: 2
semantic_models:
  - name: orders
    description: One row an order.
    model: ref('fct_orders')
    entities:
      - name: customer
        type: foreign
        expr: customer_id
        description: Who placed the order.
      - name: order_id
        type: primary
    dimensions:
      - name: order_date
        type: time
        label: Date of order
        description: The day on which it was placed.
        config: {meta: {synonyms: [booking date]}}
    measures:
      - name: amount
        agg: sum
        expr: price * quantity
        description: What was charged.
      - name: visits
        agg: count_distinct
metrics:
  - name: revenue
    label: Net Revenue
    description: "{{ doc('revenue') }}"
    type: simple
    type_params:
      measure: amount
    config:
      group: sales
      tags: [kpi]
      meta: {synonyms: [turnover, sales], owner: Controlling}
  - name: gross_amount
    type: simple
    type_params:
      measure: {name: amount, fill_nulls_with: 0}
  - name: average_basket
    description: Revenue of one visit.
    type: ratio
    type_params:
      numerator: revenue
      denominator: {name: visits, filter: "{{ Dimension('orders__day') }} > 1"}
    meta: {aliases: "basket; AOV"}
  - name: margin
    description: What is left of revenue.
    type: derived
    type_params:
      expr: (turnover - cost) / turnover
      metrics:
        - {name: revenue, alias: turnover}
        - cost
  - name: revenue_to_date
    description: Revenue so far.
    type: cumulative
    type_params:
      measure: amount
      cumulative_type_params: {window: 7 days}
  - name: visit_to_order
    description: How many visits end in an order.
    type: conversion
    type_params:
      conversion_type_params:
        entity: customer
        base_measure: visits
        conversion_measure: {name: orders}
        window: 7 days
"""
DOCS = "# Words\n{% docs other %}x{% enddocs %}\n{% docs revenue %}\nSales less returns.\n{%- enddocs -%}\n"
LATEST = """\
models:
  - name: fct_orders
    description: One row an order.
    semantic_model:
      enabled: true
      name: orders
    agg_time_dimension: order_date
    columns:
      - name: order_id
        entity: {type: primary, name: order}
      - name: customer_id
        description: Who placed the order.
        entity: {type: foreign, name: customer}
      - name: order_date
        granularity: day
        description: The day on which it was placed.
        dimension: {type: time, label: Date of order}
      - name: status
        description: How far it is.
        dimension: categorical
      - name: note
        description: No part of the semantic layer.
    derived_semantics:
      dimensions:
        - name: is_large
          type: categorical
          expr: amount > 1000
          description: Whether it is a large order.
    metrics:
      - name: revenue
        label: Net Revenue
        description: Sales less returns.
        type: simple
        agg: sum
        expr: price * quantity
        config: {meta: {synonyms: [turnover], owner: Controlling}}
      - name: orders
        type: simple
        agg: count
      - name: average_order
        description: Revenue of one order.
        type: ratio
        numerator: revenue
        denominator: {name: orders}
      - name: margin
        description: What is left of revenue.
        type: derived
        expr: turnover - cost
        input_metrics:
          - {name: revenue, alias: turnover}
          - cost
      - name: revenue_to_date
        description: Revenue so far.
        type: cumulative
        input_metric: revenue
        window: 7 days
      - name: visit_to_order
        description: How many visits end in an order.
        type: conversion
        entity: customer
        calculation: conversion_rate
        base_metric: visits
        conversion_metric: {name: orders}
  - name: dim_date
    columns:
      - {name: day, description: A day., dimension: {type: time}}
metrics:
  - name: orders_per_customer
    description: How often one comes back.
    type: ratio
    numerator: orders
    denominator: customers
"""
ONE = "metrics:\n- name: arr\n  description: Revenue of a year.\n  type_params: {measure: arr}\n"


def project(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, content in ({"dbt_project.yml": "name: shop\n"} | files).items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path / "shop"


def line_of(text: str, start: str) -> int:
    return text[: text.index(start)].count("\n") + 1


def formulas(found: TermsRead) -> dict[str, str]:
    return {term.id: term.formula for term in found.terms}


def test_a_project_in_the_legacy_spec(tmp_path: Path) -> None:
    folder = project(tmp_path, {"models/marts/orders.yml": LEGACY, "models/words.md": DOCS})
    found = read_terms(folder)
    assert found.problems == ()
    assert formulas(found) == {
        "revenue": "sum(price * quantity)",
        "gross_amount": "sum(price * quantity)",
        "average_basket": "revenue / visits",
        "margin": "(revenue - cost) / revenue",
        "revenue_to_date": "sum(price * quantity) over 7 days",
        "visit_to_order": "orders / visits",
        "orders.amount": "sum(price * quantity)",
        "orders.order_date": "",
        "orders.customer": "",
    }
    terms = {term.id: term for term in found.terms}
    assert terms["revenue"] == Term(
        id="revenue",
        term="Net Revenue",
        definition="Sales less returns.",
        family="sales",
        synonyms=("turnover", "sales"),
        formula="sum(price * quantity)",
        owner="Controlling",
        tags=("kpi",),
        source=f"models/marts/orders.yml:{line_of(LEGACY, '- name: revenue')}",
    )
    assert terms["gross_amount"].term == "Gross amount"
    assert terms["gross_amount"].definition == "What was charged."
    assert terms["average_basket"].synonyms == ("basket", "AOV")
    date = terms["orders.order_date"]
    assert (date.term, date.family) == ("Date of order", "orders")
    assert date.synonyms == ("booking date",)
    assert found.lines["orders.order_date"] == line_of(LEGACY, "- name: order_date")
    assert found.name == str(folder)
    assert found.notes == (
        "dbt: 6 metrics, 1 semantic models",
        "left out, without a description: 2 (orders.visits, orders.order_id)",
    )


def test_a_project_in_the_latest_spec(tmp_path: Path) -> None:
    found = read_terms(project(tmp_path, {"models/orders.yaml": LATEST}))
    assert found.problems == ()
    assert formulas(found) == {
        "orders_per_customer": "orders / customers",
        "revenue": "sum(price * quantity)",
        "orders": "count(orders)",
        "average_order": "revenue / orders",
        "margin": "revenue - cost",
        "revenue_to_date": "revenue over 7 days",
        "visit_to_order": "orders / visits",
        "orders.order_date": "",
        "orders.status": "",
        "orders.customer": "",
        "orders.is_large": "",
    }
    terms = {term.id: term for term in found.terms}
    revenue = terms["revenue"]
    assert (revenue.term, revenue.synonyms) == ("Net Revenue", ("turnover",))
    assert revenue.owner == "Controlling"
    assert revenue.source == f"models/orders.yaml:{line_of(LATEST, '- name: revenue')}"
    assert terms["orders"].definition == "the metric count(orders)."
    assert terms["orders.order_date"].term == "Date of order"
    assert terms["orders.customer"].definition == "Who placed the order."
    assert "left out, without a description: 1 (orders.order)" in found.notes


def test_an_alias_is_replaced_by_the_metric_only_where_that_says_the_same(tmp_path: Path) -> None:
    content = (
        "metrics:\n- name: growth\n  description: More than before.\n  type_params:\n"
        "    expr: revenue - revenue_before\n    metrics:\n    - revenue\n"
        "    - {name: revenue, alias: revenue_before, offset_window: 1 month}\n"
        "- name: swapped\n  description: The other way round.\n  type_params:\n"
        "    expr: a - b\n    metrics: [{name: b, alias: a}, {name: a, alias: b}]\n"
    )
    found = formulas(read_terms(project(tmp_path, {"models/a.yml": content})))
    assert found["swapped"] == "b - a"
    assert re.fullmatch(r"revenue - .*(revenue_before|1 month).*", found["growth"])


def test_every_yaml_file_of_the_model_paths_is_read(tmp_path: Path) -> None:
    files = {
        "dbt_project.yml": "model-paths: [metrics, models/finance]\n",
        "metrics/deep/a.yml": ONE,
        "models/finance/b.yaml": ONE.replace("arr", "mrr"),
        "models/finance/tests.yml": "models:\n- name: x\n  columns: [{name: y, tests: [unique]}]\n",
        "models/finance/empty.yml": "",
        "models/finance/blank.yml": "\n\n",
        "models/finance/comment.yml": "# to do\n",
        "models/other/c.yml": "- : broken [\n",
        "models/finance/notes.txt": "metrics: x\n",
    }
    found = read_terms(project(tmp_path, files))
    assert found.problems == ()
    assert [term.source for term in found.terms] == [
        "metrics/deep/a.yml:2",
        "models/finance/b.yaml:2",
    ]


def test_doc_blocks_are_looked_up_where_the_project_keeps_them(tmp_path: Path) -> None:
    files = {
        "dbt_project.yml": "docs-paths: [docs]\n",
        "docs/words.md": DOCS,
        "models/a.yml": ONE.replace(
            "Revenue of a year.", "\"{{ doc('shop', 'revenue') }} Yearly.\""
        ),
    }
    found = read_terms(project(tmp_path, files))
    assert found.terms[0].definition == "Sales less returns. Yearly."


def test_what_is_switched_off_is_left_out(tmp_path: Path) -> None:
    files = {
        "models/a.yml": ONE,
        "models/b.yml": ONE.replace("name: arr", "name: off\n  config: {enabled: false}"),
        "models/c.yml": (
            "semantic_models:\n- name: old\n  config: {enabled: false}\n"
            "  dimensions: [{name: day, description: A day.}]\n"
        ),
        "models/d.yml": (
            "models:\n- name: new\n  semantic_model: {enabled: false}\n"
            "  columns: [{name: day, description: A day., dimension: {type: time}}]\n"
        ),
    }
    assert [t.id for t in read_terms(project(tmp_path, files)).terms] == ["arr"]


def test_one_yaml_file_is_read_like_a_project(tmp_path: Path) -> None:
    path = tmp_path / "orders.yml"
    for content, count in ((LEGACY, 9), (LATEST, 11), (ONE, 1)):
        path.write_text(content)
        found = read_terms(path)
        assert (len(found.terms), found.problems) == (count, ())
        assert found.terms[0].source.startswith("orders.yml:")


def manifest() -> dict[str, Any]:
    return {
        "metadata": {"dbt_schema_version": "v12"},
        "nodes": {"model.shop.orders": {"name": "orders", "description": "One row an order."}},
        "metrics": {
            "metric.shop.revenue": {
                "name": "revenue",
                "label": "Net Revenue",
                "description": "Sales less returns.",
                "type": "simple",
                "type_params": {"measure": {"name": "amount", "alias": None}, "metrics": []},
                "original_file_path": "models/orders.yml",
                "meta": {"synonyms": ["turnover"]},
                "config": {"enabled": True, "meta": {"owner": "Controlling"}},
                "tags": ["kpi"],
                "group": None,
            },
            "metric.shop.average": {
                "name": "average",
                "label": "Average",
                "description": "",
                "original_file_path": "models/orders.yml",
                "type": "ratio",
                "type_params": {
                    "measure": None,
                    "numerator": {"name": "revenue", "filter": None},
                    "denominator": {"name": "orders", "filter": None},
                },
            },
        },
        "semantic_models": {
            "semantic_model.shop.orders": {
                "name": "orders",
                "original_file_path": "models/orders.yml",
                "measures": [
                    {"name": "amount", "agg": "sum", "expr": "price", "description": None}
                ],
                "dimensions": [{"name": "day", "type": "time", "description": "When."}],
                "entities": [{"name": "id", "type": "primary", "description": None}],
            }
        },
    }


def test_a_manifest_is_read_like_its_project(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest()))
    found = read_terms(path)
    assert found.problems == ()
    assert formulas(found) == {
        "revenue": "sum(price)",
        "average": "revenue / orders",
        "orders.day": "",
    }
    revenue, average, day = found.terms
    assert (revenue.term, revenue.synonyms) == ("Net Revenue", ("turnover",))
    assert (revenue.owner, revenue.tags) == ("Controlling", ("kpi",))
    assert revenue.source == day.source == "models/orders.yml"
    assert average.definition == "the metric revenue / orders."
    # semantic_manifest.json keeps lists where manifest.json keeps mappings.
    lists = manifest()
    content = {key: list(lists[key].values()) for key in ("metrics", "semantic_models")}
    path = tmp_path / "semantic_manifest.json"
    path.write_text(json.dumps(content | {"project_configuration": {}, "saved_queries": []}))
    assert read_terms(path).terms == found.terms


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"metrics": {}, "semantic_models": {}}', "manifest.json: .*semantic models in the manif"),
        ('{"metrics": 5}', "manifest.json: .*semantic models in the manifest"),
        ('{"metrics": {"a": {"na', "manifest.json:1: .*JSON"),
        ('{"nodes": {}}', "manifest.json: .*JSON array of objects"),
        ('{"metrics": [{"label": "x", "description": "y"}]}', "manifest.json.*name"),
    ],
)
def test_a_broken_manifest_is_an_error(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        Glossary.load(path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"models/a.sql": "select 1"}, r"shop: .*under models, found none"),
        ({"models/a.yml": "metrics: []\n"}, r"shop: .*under models, found none"),
        ({"models/a.yml": ONE, "models/b.yml": "a: [\n"}, r"b.yml:\d: expected YAML"),
        ({"models/a.yml": ONE, "models/b.yml": "- a\n- b: {{ doc('x') }}\n"}, r"b.yml:2: "),
        ({"dbt_project.yml": "name: [\n", "models/a.yml": ONE}, r"dbt_project.yml:\d: "),
        ({"dbt_project.yml": "", "models/a.yml": ONE}, r"dbt_project.yml: "),
        ({"models/a.yml": "metrics: {arr: x}\n"}, r"a.yml: expected a list under 'metrics'"),
        ({"models/a.yml": "metrics:\n\n- label: x\n"}, r"a.yml:3: expected a name for every"),
        ({"models/a.yml": ONE, "models/b.yml": f"\n{ONE}"}, r"b.yml:3: .*'arr' again.*a.yml.* 2"),
        (
            {"models/a.yml": f"{ONE}- name: x\n  description: {'x' * 100_001}\n"},
            r"a.yml:5: .*100,001",
        ),
    ],
)
def test_a_broken_project_is_an_error_that_names_the_file(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Glossary.load(project(tmp_path, files))


def test_a_folder_that_is_no_project_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dbt_project.yml, found a folder without it"):
        Glossary.load(tmp_path)


def test_odd_files_in_a_project_do_not_break_the_reader(tmp_path: Path) -> None:
    folder = project(tmp_path, {"models/a.yml": ONE})
    (folder / "models" / "folder.md").mkdir()
    (folder / "models" / "gone.md").symlink_to(tmp_path / "gone")
    (folder / "models" / "round").symlink_to(folder / "models")
    (folder / "models" / "latin.md").write_bytes(b"{% docs x %}caf\xe9\0{% enddocs %}")
    assert [term.id for term in read_terms(folder).terms] == ["arr"]


def test_a_yaml_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    folder = project(tmp_path, {"models/a.yml": ONE})
    (folder / "models" / "gone.yml").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"gone.yml: .*No such file"):
        read_terms(folder)


def test_model_paths_outside_the_project_are_read_or_an_error(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.yml").write_text(ONE)
    for place in ("../outside", str(outside), "x" * 300, "a\\0b"):
        folder = project(tmp_path, {"dbt_project.yml": f'model-paths: ["{place}"]\n'})
        try:
            assert [term.id for term in read_terms(folder).terms] == ["arr"]
        except InputError as error:
            assert str(folder) in str(error)


def test_a_docs_block_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.yml").write_text(
        "metrics:\n- name: revenue\n  description: \"{{ doc('nope') }}\"\n"
        "  type: simple\n  type_params: {measure: sales}\n"
    )
    for source in (tmp_path, tmp_path / "dbt_project.yml"):
        found = Glossary.load(source)
        assert found.terms[0].definition == "the metric sales."
        assert any("nope" in note for note in found.notes)
