"""Read a glossary from a database, with the query that you would write anyway.

Needs: pip install 'glossrank[sql]'
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from glossrank import Glossary

ROWS = [
    ("Net Debt", "Borrowings less cash in the bank.", "approved"),
    ("Interest Cover", "How many times operating profit pays the interest.", "approved"),
    ("Debt Capacity", "The most that lenders would lend us.", "draft"),
]
# A glossary may hold what is approved and nothing else: that is a WHERE. The columns become
# the fields, so give them names that can be guessed, or pass columns={...}.
QUERY = """
SELECT title AS term, wording AS definition FROM metrics WHERE state = 'approved' ORDER BY title
"""

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "metrics.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE metrics (title TEXT, wording TEXT, state TEXT)")
        connection.executemany("INSERT INTO metrics VALUES (?, ?, ?)", ROWS)
        connection.commit()

    # PostgreSQL: "postgresql://reader:PASSWORD@db.example.com/finance". Read-only either way.
    glossary = Glossary.load(f"sqlite:///{file}", query=QUERY)

print(f"{len(glossary)} of {len(ROWS)} terms: {', '.join(t.term for t in glossary.terms)}")
best = glossary.search("How often could operating profit pay our interest?")[0]
print(f"first: {best.term.term}, {best.probability:.0%}")
