from __future__ import annotations

import gc
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy

from glossrank import Glossary, Term
from glossrank.errors import GlossrankError, InputError
from glossrank.glossary import read_terms
from tests.postgresql import CONTENT, PASSWORD, Cluster

TERMS = (
    Term("101", "Cash", "Money: 50% of it.", synonyms=("coins", "notes")),
    Term("102", "Debt", "Owed::always."),
)
NOTES = (
    "term = column 'Metric Name'",
    "id = column 'code'",
    "synonyms = column 'aka'",
)
SELECT = 'SELECT "Metric Name", definition FROM terms'


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "terms.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(CONTENT)
    return path


@pytest.mark.parametrize("query", ["terms", "main.terms", '"terms"', "SELECT * FROM terms"])
def test_a_table_of_sqlite_is_read(database: Path, query: str) -> None:
    url = f"sqlite:///{database}"
    found = Glossary.load(url, query=query)
    assert (found.terms, found.notes) == (TERMS, NOTES)
    assert found.name == url
    assert read_terms(url, query=query).lines == {"101": 1, "102": 2}


@pytest.mark.parametrize("query", ["terms", "public.terms", "SELECT * FROM terms ORDER BY code;"])
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_table_of_postgresql_is_read(cluster: Cluster, scheme: str, query: str) -> None:
    url = cluster.url().replace("postgresql", scheme, 1)
    found = Glossary.load(url, query=query)
    assert (found.terms, found.notes) == (TERMS, NOTES)
    assert found.name == url.replace(PASSWORD, "***")


def test_the_types_of_postgresql(cluster: Cluster) -> None:
    query = (
        "SELECT 4000 AS term, 'An account.'::varchar AS definition, "
        "ARRAY['a', NULL, 'b'] AS synonyms, 'NaN'::numeric AS owner, '{\"a\": 1}'::jsonb AS tags, "
        "'2024-05-01'::date AS source, NULL::uuid AS id"
    )
    found = Glossary.load(cluster.url(), query=query)
    assert found.terms == (
        Term("4000", "4000", "An account.", synonyms=("a", "b"), source="2024-05-01"),
    )


SIGNS = (
    "SELECT 'a:b %s %(x)s ?' AS term, '50%% :x ::y 12:30 \\:z' AS definition "
    "WHERE '%s' LIKE '%' AND 7 % 4 = 3 -- :rest %s"
)


def test_signs_in_a_query_mean_what_they_do_in_sql(database: Path, cluster: Cluster) -> None:
    for url in (f"sqlite:///{database}", cluster.url()):
        term = Glossary.load(url, query=SIGNS).terms[0]
        assert (term.term, term.definition) == ("a:b %s %(x)s ?", "50%% :x ::y 12:30 \\:z")
    cast = "SELECT 'Cash'::text AS term, '12:30:00'::time::text AS definition"
    assert Glossary.load(cluster.url(), query=cast).terms == (Term("cash", "Cash", "12:30:00"),)


CHANGES = [
    "DELETE FROM terms",
    "DELETE FROM terms RETURNING *",
    "UPDATE terms SET definition = 'x' RETURNING *",
    "INSERT INTO no_terms VALUES ('a', 'b')",
    "DROP TABLE terms",
    "CREATE TABLE other (term text)",
    "DELETE FROM terms; SELECT 1",
    "COMMIT; DELETE FROM terms; SELECT 1",
]


@pytest.mark.parametrize("query", CHANGES)
def test_sqlite_is_never_changed(database: Path, query: str) -> None:
    before = database.read_bytes()
    with pytest.raises(InputError, match=r"terms.db\)"):
        read_terms(f"sqlite:///{database}", query=query)
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["terms.db"]


@pytest.mark.parametrize(
    "query",
    [
        *CHANGES,
        "WITH gone AS (DELETE FROM terms RETURNING *) SELECT * FROM gone",
        "DO $$ BEGIN DELETE FROM terms; END $$",
        "ROLLBACK; DELETE FROM terms RETURNING *",
        "ROLLBACK; BEGIN READ WRITE; DELETE FROM terms; COMMIT; SELECT 1",
        "SET TRANSACTION READ WRITE; DELETE FROM terms; COMMIT",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; COMMIT; DELETE FROM terms",
    ],
)
def test_postgresql_is_never_changed(cluster: Cluster, query: str) -> None:
    def count() -> list[tuple[object, ...]]:
        return cluster.run("SELECT (SELECT count(*) FROM terms), (SELECT count(*) FROM no_terms)")

    try:
        with pytest.raises(InputError, match=r"postgresql\S*://owner:\*\*\*@"):
            read_terms(cluster.url(), query=query)
        assert count() == [(2, 0)]
    finally:
        if count() != [(2, 0)]:
            fresh = filter(str.strip, CONTENT.split(";\n"))
            cluster.run("DROP TABLE IF EXISTS terms, no_terms, other", *fresh)


def test_sqlite_writes_no_other_file(database: Path) -> None:
    for query in ("VACUUM INTO '{}'", "ATTACH '{}' AS other"):
        with pytest.raises(InputError):
            read_terms(f"sqlite:///{database}", query=query.format(database.with_name("new.db")))
        assert [path.name for path in database.parent.iterdir()] == ["terms.db"]


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for name in ("none.db", "no/folder.db", "none#1.db", "none%3Fmode=rwc.db", "none.db?mode=rwc"):
        with pytest.raises(InputError, match=r"none|no/"):
            read_terms(f"sqlite:///{tmp_path / name}", query="terms")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a b.db", "a#b.db", "a%20b.db", "100%.db", "ä&=+.db"])
def test_a_database_with_signs_in_its_name_is_found(
    database: Path, tmp_path: Path, name: str
) -> None:
    # What a URL escapes is SQLAlchemy's to say: it gives a path as it is.
    database.rename(tmp_path / name)
    url = sqlalchemy.URL.create("sqlite", database=str(tmp_path / name))
    assert Glossary.load(url.render_as_string(), query="terms").terms == TERMS


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (None, r"--query \(sqlite.*terms.db\), found none"),
        (" \n", r"--query \(sqlite.*terms.db\), found none"),
        ("nowhere", r"terms.db\), found no such table: nowhere"),
        ("SELECT", r"terms.db\), found "),
        ("SELECT 1\0", r"terms.db\), found "),
        ("SELECT '\udcff' AS term", r"terms.db\)|UTF-8"),
        ("no_terms", r"sqlite:///.*terms.db: expected at least one term"),
        ("SELECT code AS term FROM terms", r"sqlite:///.*terms.db.*\(missing: definition\)"),
        ("SELECT 'a' AS term, NULL AS definition", r"terms.db:1: .*'definition', found None"),
        ("SELECT 1 AS id, * FROM terms", r"sqlite:///.*terms.db:2: .*'1' again, .* row 1"),
        ("SELECT x'00ff' AS term, 'a' AS definition", r"terms.db:1: .*'term'"),
        ("SELECT CAST(x'ff' AS text) AS term, 'a' AS definition", "UTF-8"),
        ("SELECT 1e999 AS term, 'a' AS definition", r"terms.db:1: .*found inf"),
    ],
)
def test_a_query_without_a_glossary_is_an_error(
    database: Path, query: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Glossary.load(f"sqlite:///{database}", query=query)


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "terms.db"
    path.write_text("term,definition\n" * 99)
    with pytest.raises(InputError, match=r"terms.db\), found file is not a database"):
        Glossary.load(f"sqlite:///{path}", query="terms")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nowhere", 'relation "nowhere" does not exist'),
        ("SELECT term FROM", "syntax error"),
        ("SELECT 1/0 AS term", "division by zero"),
        ("SELECT 'infinity'::date AS term", "too large"),
        ("COPY terms TO STDOUT", "found "),
        ("LISTEN x", "Write a SELECT"),
        ("no_terms", "at least one term"),
    ],
)
def test_what_postgresql_answers_is_told(cluster: Cluster, query: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Glossary.load(cluster.url(), query=query)
    assert PASSWORD not in str(caught.value)


def test_a_wrong_address_of_postgresql_is_an_error(cluster: Cluster) -> None:
    wrong = {
        cluster.url(password="Wr0ng!"): "password authentication failed",
        cluster.url(user="nobody"): "password authentication failed",
        cluster.url(name="none"): 'database "none" does not exist',
        cluster.url().replace(f":{cluster.port}", ":1"): "refused",
    }
    for url, message in wrong.items():
        with pytest.raises(InputError, match=message) as caught:
            Glossary.load(url, query="terms")
        assert "***@127.0.0.1" in str(caught.value)
        assert PASSWORD not in str(caught.value)
        assert "Wr0ng!" not in str(caught.value)


def test_a_password_among_the_options_is_no_part_of_the_name(cluster: Cluster) -> None:
    url = f"postgresql://127.0.0.1:{cluster.port}/postgres?user=owner&password={PASSWORD}"
    found = Glossary.load(url, query=SELECT)
    assert len(found) == 2
    assert PASSWORD not in found.name


@pytest.mark.parametrize(
    "url",
    [
        "://u:Geh31m@h/d",
        "nothing://u:Geh31m@h/d",
        "http://u:Geh31m@h/terms.csv",
        "postgresql://u:Geh31m@127.0.0.1:port/d",
        "postgresql://u:Geh31m@127.0.0.1:99999/d",
        "postgresql://u:Geh31m@127.0.0.1:1/d",
        "postgresql://u:x@Geh31m@127.0.0.1:1/d",
        "postgresql://u:x/Geh31m@127.0.0.1:1/d",
        "postgresql://127.0.0.1:1/d?password=Geh31m",
        "postgresql://u:Geh31m@127.0.0.1:1/d?connect_timeout=soon",
        "postgresql://u:Geh31m@127.0.0.1:1/d?unheard=of",
        "postgresql+nothing://u:Geh31m@127.0.0.1:1/d",
        "nosuchdb+driver:///?odbc_connect=UID%3Du%3BPWD%3DGeh31m",
        "sqlite://terms.db",
        "sqlite://u:Geh31m@host/terms.db",
        "sqlite:///none.db?timeout=soon",
        "sqlite:///none.db?plugin=none",
    ],
)
def test_an_unusable_url_is_an_error_without_its_password(url: str) -> None:
    for query in ("terms", None):
        with pytest.raises(GlossrankError) as caught:
            Glossary.load(url, query=query)
        assert "Geh31m" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_driver_for_asyncio_is_refused() -> None:
    try:
        with pytest.raises(GlossrankError, match="psycopg_async"):
            Glossary.load("postgresql+psycopg_async://u:x@127.0.0.1:1/d", query="terms")
    finally:
        # A coroutine left over here would be found in another test.
        gc.collect()
