"""Search a CSV file of your own, whatever its columns are called.

Needs: pip install glossrank
"""

from pathlib import Path

from glossrank import Glossary

FILE = Path(__file__).parent / "data" / "kpis.csv"
QUESTION = "How many clients stopped buying?"

# The columns are KPI, Description, Board wording, How calculated, Also called and Steward.
# They are guessed by their names; the notes say how, so that you can object.
guessed = Glossary.load(FILE)
print("guessed:", "; ".join(guessed.notes))
best = guessed.search(QUESTION)[0]
print(f"  {best.term.definition!r}: {best.term.term}, {best.probability:.0%}")

# The short descriptions say too little to match a question. The board's wording says more,
# but no name tells that it is a definition: so name the column.
chosen = Glossary.load(FILE, columns={"definition": "Board wording"})
best = chosen.search(QUESTION)[0]
print("chosen: definition = column 'Board wording'")
print(f"  {best.term.definition!r}: {best.term.term}, {best.probability:.0%}")

# The template is the text that the model reads. What stands in [ ] is left out of terms that
# have no such field: one template serves terms with and without synonyms.
own = Glossary.load(
    FILE,
    columns={"definition": "Board wording"},
    template="{term}[ ({synonyms})] can be defined as {definition}",
)
print("own template:")
for document in own.documents[2:4]:
    print(f"  {document}")
