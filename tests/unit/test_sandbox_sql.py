"""What the sandbox makes of SQL for its request log."""

from __future__ import annotations

import pytest

from reconciler.sandbox import sql


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", ["SELECT ?"]),
        ("select 'it''s; here', E'\\'; x', 2.5 ", ["select ?, ?, ?"]),
        (r"SELECT '\' ; SELECT 'secret'", ["SELECT ?", "SELECT ?"]),
        ("SELECT $$a; 'b$$; SELECT $t$ $$ ; $t$", ["SELECT ?", "SELECT ?"]),
        ("SELECT $1, t1.a2 FROM t1 -- 'secret\n WHERE x = $2", ["SELECT $1, t1.a2 FROM t1 WHERE x = $2"]),
        ("SELECT \"it's 'a\" /* ; 'secret */ FROM t", ["SELECT \"it's 'a\" FROM t"]),
        ("SELECT 'never ended; secret", ["SELECT ?"]),
        ("", []),
        (" ; ;", []),
    ],
)
def test_statements_are_split_and_lose_their_literals(text: str, expected: list[str]) -> None:
    assert sql.statements(text) == expected


@pytest.mark.parametrize(
    ("statement", "tag", "skipped", "expected"),
    [
        ("INSERT INTO a VALUES (?)", "INSERT 0 1", 0, True),
        ("INSERT INTO a VALUES (?) ON CONFLICT DO NOTHING", "INSERT 0 0", 0, False),
        ("UPDATE a SET b = ?", "UPDATE 0", 0, False),
        ("update a set b = ?", "UPDATE 3", 0, True),
        ("DELETE FROM a", "DELETE 1", 0, True),
        ("SELECT * FROM a FOR UPDATE", "SELECT 1", 0, False),
        ("SELECT pg_try_advisory_lock(?)", "SELECT 1", 0, False),
        ("WITH x AS (INSERT INTO a VALUES (?) RETURNING b) SELECT * FROM x", "SELECT 1", 0, True),
        ("WITH x AS (SELECT ?) SELECT * FROM x FOR UPDATE OF x", "SELECT 1", 0, False),
        ("CREATE TABLE a (b int)", "CREATE TABLE", 0, True),
        ("CREATE TABLE IF NOT EXISTS a (b int)", "CREATE TABLE", 0, True),
        ("CREATE TABLE IF NOT EXISTS a (b int)", "CREATE TABLE", 1, False),
        ("DROP TABLE IF EXISTS a", "DROP TABLE", 1, False),
        ("TRUNCATE a", "TRUNCATE TABLE", 0, True),
        ("COPY a FROM STDIN", "COPY 3", 0, True),
        ("COPY a TO STDOUT", "COPY 3", 0, False),
        ("BEGIN", "BEGIN", 0, False),
        ("SET statement_timeout = ?", "SET", 0, False),
        ("INSERT INTO reconciler_item_verifications VALUES (?)", "INSERT 0 1", 0, False),
        ('UPDATE public."reconciler_item_verifications" SET a = ?', "UPDATE 9", 0, False),
        ("CREATE TABLE IF NOT EXISTS reconciler_item_verifications (a int)", "CREATE TABLE", 0, False),
        (
            "WITH x AS (DELETE FROM reconciler_item_verifications RETURNING a) INSERT INTO b SELECT a FROM x",
            "INSERT 0 1",
            0,
            True,
        ),
    ],
)
def test_a_statement_wrote_when_it_changed_rows_or_definitions(
    statement: str, tag: str, skipped: int, *, expected: bool
) -> None:
    assert sql.wrote(statement, tag, skipped) is expected


def test_a_long_statement_is_shortened() -> None:
    assert len(sql.shortened("SELECT " + "a, " * 1000)) < 310
