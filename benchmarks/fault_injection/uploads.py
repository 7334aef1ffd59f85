"""Glossary files that are made to cost time or memory."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator

from fault_injection.outcomes import Outcomes
from fault_injection.process import Neighbour, Server

LONGEST = 60.0
"""Seconds that an upload may take."""
MOST_GROWTH = 1000
"""MB that it may cost."""
LONGEST_WAIT = 20.0
"""Seconds that an upload may keep others waiting on two cores."""

_SHEET = "xl/worksheets/sheet1.xml"
_PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="a" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="a" sheetId="1" r:id="b"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="b" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}
_OPENING = (
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
)
_CLOSING = b"</sheetData></worksheet>"


def workbook(rows: Iterator[bytes], *, before: bytes = b"") -> bytes:
    """An .xlsx whose one sheet's XML is these pieces."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in _PARTS.items():
            archive.writestr(name, text)
        with archive.open(_SHEET, "w", force_zip64=True) as sheet:
            sheet.write(before + _OPENING)
            for piece in rows:
                sheet.write(piece)
            sheet.write(_CLOSING)
    return packed.getvalue()


def zip_bomb() -> bytes:
    """1.2 GB of XML in some 4 MB."""
    cell = b'<row><c t="inlineStr"><is><t>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</t></is></c></row>'
    piece = cell * 12_500
    return workbook(piece for _ in range(1_200_000_000 // len(piece)))


def hollow_workbook() -> bytes:
    """Little XML, but each of its 20,000 rows reaches to the last column: 330 million cells."""
    return workbook(b'<row><c r="XFD%d"/></row>' % at for at in range(1, 20_001))


def tall_workbook() -> bytes:
    """One row, the last that there is."""
    return workbook(iter([b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>']))


def entity_workbook() -> bytes:
    """Billion laughs in a sheet."""
    lines = [b'<!ENTITY e0 "lol">']
    lines += [b'<!ENTITY e%d "%s">' % (at, b"&e%d;" % (at - 1) * 10) for at in range(1, 10)]
    before = b"<!DOCTYPE worksheet [" + b"".join(lines) + b"]>"
    row = b'<row><c t="inlineStr"><is><t>&e9;</t></is></c></row>'
    return workbook(iter([row]), before=before)


def laughs() -> bytes:
    """A YAML list of lists of lists, ten of each, through aliases."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for at in range(1, 12):
        lines.append(f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]")
    return "\n".join([*lines, "terms:", "  - {term: a, definition: *a11, synonyms: *a11}"]).encode()


def merging_yaml() -> bytes:
    """20,000 mappings that each take 20,000 keys from another one."""
    base = ", ".join(f"k{at}: v" for at in range(20_000))
    entries = "".join("- <<: *a\n" for _ in range(20_000))
    return f"- &a {{term: t, definition: d, {base}}}\n{entries}".encode()


def aliased_yaml() -> bytes:
    """One term of 20,000 columns, 20,000 times."""
    base = ", ".join(f"k{at}: v" for at in range(20_000))
    return (
        f"- &a {{term: t, definition: d, {base}}}\n{'- *a' + chr(10)}".encode() + b"- *a\n" * 20_000
    )


def long_yaml() -> bytes:
    return b"".join(b"- {term: t%d, definition: d}\n" % at for at in range(300_000))


def million_rows() -> bytes:
    return b"term,definition\n" + b"".join(b"%d,b\n" % at for at in range(1_000_000))


def most_rows() -> bytes:
    """As many terms as are taken, all alike, which is the most work for the check."""
    rows = (b"term %d,what the number %d of all is called\n" % (at, at) for at in range(20_000))
    return b"term,definition\n" + b"".join(rows)


def million_broken_rows() -> bytes:
    return b"term,definition\n" + b"a\n" * 1_000_000


def wide_csv() -> bytes:
    header = ",".join(f"c{at}" for at in range(500_000))
    return f"term,definition,{header}\na,b{',' * 500_000}\n".encode()


def many_equal_terms() -> bytes:
    return b"term,definition\n" + b"".join(b"a,%d\n" % at for at in range(400_000))


def long_cell() -> bytes:
    return b'term,definition\na,"' + b"x" * 9_000_000 + b'"\n'


def nul_glossary() -> bytes:
    return b"term,definition\na\0b,c\0d\n"


def deep_json() -> bytes:
    return b'[{"term": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]"


def odd_json() -> bytes:
    values = ["NaN", "Infinity", "1e999", "9" * 400, "9" * 5000, '"\\ud800"', '"\\u0000"']
    return "\n".join(f'{{"term": {v}, "definition": {v}, "id": {v}}}' for v in values).encode()


def twice_keys() -> bytes:
    return json.dumps([{"term": "a", "definition": "b"}])[:-2].encode() + b', "term": "c"}]'


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "xlsx: 1.2 GB of XML (zip bomb)": ("xlsx", zip_bomb),
    "xlsx: 20,000 rows that reach to the last column": ("xlsx", hollow_workbook),
    "xlsx: one cell in the last row and column": ("xlsx", tall_workbook),
    "xlsx: XML entities (billion laughs)": ("xlsx", entity_workbook),
    "yaml: aliases (billion laughs)": ("yaml", laughs),
    "yaml: 20,000 merges of 20,000 keys": ("yaml", merging_yaml),
    "yaml: 20,000 aliases of a term with 20,000 columns": ("yaml", aliased_yaml),
    "yaml: 300,000 terms": ("yaml", long_yaml),
    "yaml: 100,000 nested lists": ("yaml", lambda: b"[" * 100_000),
    "csv: 20,000 terms, the most that are taken": ("csv", most_rows),
    "csv: 1,000,000 terms": ("csv", million_rows),
    "csv: 1,000,000 broken rows": ("csv", million_broken_rows),
    "csv: 500,000 columns": ("csv", wide_csv),
    "csv: 400,000 terms of one name": ("csv", many_equal_terms),
    "csv: a cell of 9,000,000 characters": ("csv", long_cell),
    "csv: a quote that never closes": ("csv", lambda: b'term,definition\na,"' + b"x\n" * 1_000_000),
    "csv: NUL in term and definition": ("csv", nul_glossary),
    "json: 100,000 nested lists": ("json", deep_json),
    "jsonl: NaN, huge integers, half surrogates, NUL": ("jsonl", odd_json),
    "json: a key twice": ("json", twice_keys),
}


def hostile_files(server: Server, outcomes: Outcomes) -> None:
    """Each is stored and checked; all are refused, or taken within bounds."""
    for fault, (kind, make) in FILES.items():
        content = make()
        for method, path in (("PUT", "/v1/glossaries/hostile"), ("POST", "/v1/lint")):
            before = server.peak_memory(anew=True)
            with Neighbour(server) as neighbour:
                answer = server.send(method, f"{path}?format={kind}", content)
            grown = server.peak_memory() - before
            trouble = server.trouble()
            found = f"{answer.seconds:.1f} s, +{grown} MB, {neighbour}; {answer} {trouble}"
            good = (
                (answer.status == 200 or 400 <= answer.status < 500)
                and answer.seconds <= LONGEST
                and grown <= MOST_GROWTH
                and neighbour.worst <= LONGEST_WAIT
                and not neighbour.wrong
                and not trouble
            )
            outcomes.add(f"{fault} ({len(content) / 1e6:.1f} MB), {method} {path}", found, good)


ALL = (hostile_files,)
