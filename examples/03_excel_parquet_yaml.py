"""One glossary as YAML, as an Excel workbook and as a Parquet file.

Needs: pip install 'glossrank[files]'
"""

import tempfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
from openpyxl import Workbook

from glossrank import Glossary

YAML = Path(__file__).parent / "data" / "treasury.yaml"
glossary = Glossary.load(YAML)
rows = [(t.term, t.definition, "; ".join(t.synonyms), t.formula, t.owner) for t in glossary.terms]
HEADER = ("Business Term", "Definition", "Synonyms", "Formula", "Owner")

with tempfile.TemporaryDirectory() as folder:
    excel, parquet = Path(folder) / "treasury.xlsx", Path(folder) / "treasury.parquet"

    book = Workbook()
    book.active.append(["Printed for the audit committee"])
    sheet = book.create_sheet("Terms")
    # People write titles above their tables; the header is looked for below them.
    for row in (["Treasury glossary"], [], HEADER, *rows):
        sheet.append(row)
    book.save(excel)
    columns = {name: [row[at] for row in rows] for at, name in enumerate(HEADER)}
    pyarrow.parquet.write_table(pyarrow.table(columns), parquet)

    # The fingerprint is of the contents: the same terms have the same one in every kind of file.
    for source in (YAML, excel, parquet):
        same = Glossary.load(source, sheet="Terms" if source == excel else None)
        best = same.search("How far below zero may our bank account go?")[0].term
        print(f"{source.suffix}: {len(same)} terms, {same.fingerprint[:12]}, first: {best.term}")
