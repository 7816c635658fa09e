"""The shared fixtures themselves: each engine gives an empty database of its own."""

import sqlite3

from tests.postgres import execute


def tables(url: str) -> set[str]:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return set(execute(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'").split())


def create_table(url: str) -> None:
    statement = "CREATE TABLE fixture_probe (x INTEGER)"
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute(statement)
    else:
        execute(url, statement)


def test_each_database_is_empty_and_its_own(engine, new_database):
    first, second = new_database(engine), new_database(engine)
    create_table(first)
    assert tables(first) == {"fixture_probe"}
    assert tables(second) == set()
