"""Before a new version of a glossary is published: what is wrong, and what changes?

Needs: pip install glossrank
"""

from pathlib import Path

from glossrank import CrossEncoder, Glossary
from glossrank.diff import difference
from glossrank.glossary import read_terms
from glossrank.lint import lint

DATA = Path(__file__).parent / "data"
model = CrossEncoder("finance-terms")
# Loading stops at the first broken row. lint is given what was read and what was not.
new = Glossary.load(DATA / "costs-new.csv")
for found in lint(read_terms(DATA / "costs-new.csv"), new.searcher(model)):
    print(f"line {found.line}, {found.kind}, {found.id}: {found.text}. {found.fix}")

# Questions that people ask, and the ids of their right answers. Without the answers a change
# is told too, but not whether it is for the better.
QUESTIONS = {
    "Which costs fall when we make less?": ["variable-costs"],
    "How much did we spend on new machines?": ["capex"],
    "What do we spend on machines that last for years?": ["capex"],
}
old = Glossary.load(DATA / "costs-old.csv")
changes = difference(
    old.searcher(model), new.searcher(model), list(QUESTIONS), relevant=list(QUESTIONS.values())
)
terms = changes.terms
print(f"added: {terms.added}, removed: {terms.removed}, changed: {terms.changed}")
for answer in changes.answers:
    print(f"{answer.verdict}: {answer.question} {answer.old_term} -> {answer.new_term}")
print(f"{changes.worse} of {changes.questions} questions lose their right answer")
