"""Use the metrics of a dbt project as a glossary; dbt itself is not needed.

Needs: pip install glossrank
"""

from pathlib import Path

from glossrank import Glossary

# The project's folder. A manifest.json or semantic_manifest.json that dbt wrote works as well.
PROJECT = Path(__file__).parent / "data" / "dbt_shop"

glossary = Glossary.load(PROJECT)
for note in glossary.notes:
    # What has no description is left out: there would be nothing to match a question with.
    print("note:", note)

# Descriptions written as {{ doc('...') }} are looked up in the project's Markdown files, and
# formulas name measures and metrics, not the aliases of one YAML entry.
for term in glossary.terms:
    formula = f" = {term.formula}" if term.formula else ""
    print(f"{term.source}: {term.term}{formula}")

for question in (
    "What is left of our revenue after goods came back?",
    "What part of our billing goes back to buyers?",
    "What are our takings?",  # a synonym, from the metric's meta
):
    best = glossary.search(question)[0]
    print(f"{question} {best.term.term} [{best.term.id}]")
