from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from glossrank import Glossary
from glossrank.errors import GlossrankError, InputError, MissingExtraError
from glossrank.glossary import read_terms
from glossrank.readers import read_records
from glossrank.tables import Row

Entry = dict[str, str | list[str]]

# Excel takes a leading "=" for a formula; a cell's list is split at its separators.
shown = st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"], max_codepoint=0xFFFF)
texts = st.text(shown, min_size=1, max_size=30).filter(
    lambda text: text.strip() != "" and not text.strip().startswith("=")
)
words = st.text("abcäß資0-' ", min_size=1, max_size=8).map(str.strip).filter(bool)
entries = st.lists(
    st.fixed_dictionaries(
        {
            "term": texts,
            "definition": texts,
            "synonyms": st.lists(words, max_size=3, unique=True),
            "owner": words,
        }
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda entry: str(entry["definition"]).strip(),
)


def flat(entry: Entry) -> dict[str, str]:
    return {k: v if isinstance(v, str) else ";".join([*v, ""]) for k, v in entry.items()}


def write_csv(path: Path, found: list[Entry]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(found[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
    writer.writeheader()
    writer.writerows(flat(entry) for entry in found)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


def write_jsonl(path: Path, found: list[Entry]) -> None:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in found), encoding="utf-8")


def write_json(path: Path, found: list[Entry]) -> None:
    path.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")


def write_yaml(path: Path, found: list[Entry]) -> None:
    path.write_text(yaml.safe_dump({"terms": found}, allow_unicode=True), encoding="utf-8")


def write_excel(path: Path, found: list[Entry]) -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Terms")
    sheet.append(list(found[0]))
    for entry in found:
        sheet.append([flat(entry)[name] for name in found[0]])
    book.save(path)


WRITERS: dict[str, Callable[[Path, list[Entry]], None]] = {
    "terms.csv": write_csv,
    "terms.tsv": write_csv,
    "terms.jsonl": write_jsonl,
    "terms.json": write_json,
    "terms.yaml": write_yaml,
    "terms.xlsx": write_excel,
}


@settings(deadline=None, max_examples=40)
@given(found=entries)
def test_the_same_terms_are_read_from_every_kind_of_file(
    tmp_path_factory: pytest.TempPathFactory, found: list[Entry]
) -> None:
    folder = tmp_path_factory.mktemp("same")
    glossaries = []
    for name, write in WRITERS.items():
        write(folder / name, found)
        glossaries.append(Glossary.load(folder / name))
    terms = glossaries[0].terms
    wanted = {(str(e["term"]).strip(), str(e["definition"]).strip()) for e in found}
    assert {(term.term, term.definition) for term in terms} == wanted
    assert terms[0].synonyms == tuple(found[0]["synonyms"])
    assert all(glossary.terms == terms for glossary in glossaries)
    assert len({glossary.fingerprint for glossary in glossaries}) == 1


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("t.csv", "Term,Definition\n\nCash,Money.\n", [3]),
        ("t.TSV", "Term\tDefinition\nCash\tMoney.\n", [2]),
        ("t.jsonl", '\n{"Term": "Cash", "Definition": "Money."}\n', [2]),
        ("t.json", '\ufeff[{"Term": "Cash", "Definition": "Money."}]', [1]),
        ("t.yml", "\n- Term: Cash\n  Definition: Money.\n", [2]),
    ],
)
def test_records_know_their_line(tmp_path: Path, name: str, content: str, lines: list[int]) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    found = read_records(path)
    assert found.name == str(path)
    assert found.rows == tuple(Row(at, {"Term": "Cash", "Definition": "Money."}) for at in lines)
    assert read_records(str(path)) == found


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("terms.xls", "an old Excel file.*Save it as .xlsx"),
        ("terms.docx", "a file that ends in '.docx'"),
        ("terms", "a file that ends in ''"),
        ("none.csv", "none.csv: .*No such file"),
        ("none.yaml", "none.yaml: .*No such file"),
        ("none.xlsx", "none.xlsx: .*No such file"),
        ("none.parquet", "none.parquet: .*No such file"),
        (".", "a folder without it"),
    ],
)
def test_a_source_of_no_known_kind_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    for known in ("terms.xls", "terms.docx", "terms"):
        (tmp_path / known).write_text("term,definition\nCash,Money.\n")
    with pytest.raises(InputError, match=message):
        read_records(tmp_path / name)


@pytest.mark.parametrize("name", ["a\0b.csv", "a" * 300 + ".csv", "a" * 300 + ".yaml"])
def test_a_path_that_cannot_be_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        read_records(tmp_path / name)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "yaml", "xlsx", "parquet"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04\x00", b"\x00\xff\xfe{]"])
def test_a_file_of_another_kind_is_one_error_that_names_it(
    tmp_path: Path, kind: str, content: bytes
) -> None:
    path = tmp_path / f"broken.{kind}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"broken\.{kind}:"):
        Glossary.load(path)


def test_options_of_another_source_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text("term,definition\nCash,Money.\n")
    with pytest.raises(InputError, match="--sheet together with an Excel file"):
        read_records(path, sheet="Terms")
    with pytest.raises(InputError, match="--query together with a database URL"):
        read_records(path, query="SELECT 1")
    with pytest.raises(InputError, match="--sheet together with an Excel file"):
        read_records("sqlite:///terms.db", query="terms", sheet="Terms")
    with pytest.raises(InputError, match="--query together with a database URL"):
        Glossary.load(query="SELECT 1")


def test_columns_are_guessed_told_and_chosen(tmp_path: Path) -> None:
    path = tmp_path / "kpis.csv"
    path.write_text("KPI,Meaning,Bedeutung,Also Known As\nDSO,Time to pay.,Zeit.,debtor days\n")
    found = Glossary.load(path)
    assert found.terms[0].document == (
        "DSO can be defined as Time to pay. Also called debtor days."
    )
    assert found.notes == (
        "term = column 'KPI'",
        "definition = column 'Meaning'",
        "synonyms = column 'Also Known As'",
    )
    chosen = Glossary.load(path, columns={"definition": "Bedeutung"})
    assert chosen.terms[0].definition == "Zeit."
    with pytest.raises(InputError, match=r"kpis.csv:1: expected a column 'x' for term"):
        Glossary.load(path, columns={"term": "x"})


@pytest.mark.parametrize(
    ("source", "missing", "extra"),
    [
        ("terms.xlsx", "openpyxl", "files"),
        ("terms.parquet", "pyarrow", "files"),
        ("sqlite:///terms.db", "sqlalchemy", "sql"),
    ],
)
def test_a_reader_without_its_packages_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, missing: str, extra: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if "://" not in source:
        Path(source).write_text("anything")
    monkeypatch.setitem(sys.modules, missing, None)
    query = "terms" if "://" in source else None
    with pytest.raises(MissingExtraError, match=rf"pip install 'glossrank\[{extra}\]'"):
        read_records(source, query=query)


# Small on disk, endless when spelled out or searched in the wrong way.
ALIASES = "".join(f"  x{at}: &x{at} [{', '.join([f'*x{at - 1}'] * 9)}]\n" for at in range(1, 12))
BOMB = f"- term: Cash\n  definition: Money.\n  x0: &x0 [a]\n{ALIASES}"
HOSTILE = {
    "entry.yaml": f"{BOMB}- *x11\n",
    "synonyms.yaml": f"{BOMB}  synonyms: *x11\n",
    "definition.yaml": f"{BOMB}- term: Debt\n  definition: *x11\n",
    "blanks.csv": "term,definition\n" + f"a{' ' * 99_000}b,Money.\n" * 5,
    "brackets.csv": "term,definition\n" + f"a{'(' * 99_000}b,Money.\n" * 5,
}


@pytest.mark.skipif(sys.platform == "win32", reason="memory is limited on POSIX systems only")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_small_file_takes_no_endless_time_or_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(HOSTILE[name])
    code = (
        "import resource, sys\n"
        "from glossrank.errors import InputError\n"
        "from glossrank.glossary import read_terms\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))\n"
        "try:\n    print(len(read_terms(sys.argv[1]).terms))\n"
        "except InputError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) < 2000


@settings(deadline=None, max_examples=60)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "yaml"])
def test_no_text_file_breaks_the_readers(
    tmp_path_factory: pytest.TempPathFactory, kind: str, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / f"any.{kind}"
    path.write_bytes(content)
    try:
        read_terms(path)
    except GlossrankError as error:
        assert str(path) in str(error)


def test_a_database_file_is_told_how_to_be_given(tmp_path: Path) -> None:
    path = tmp_path / "terms.db"
    path.write_bytes(b"SQLite format 3")
    with pytest.raises(InputError, match=r"sqlite:///.*--query"):
        read_records(path)
