"""What both engines need to put the making of an index off (storage/put_off.py)."""

from __future__ import annotations

from fhir_server.errors import BusinessRule

LOADING = "loading"
"""Name of the secret that marks a store whose largest indexes are not made."""
MARKED = f"SELECT 1 FROM secret WHERE name = '{LOADING}'"
MARK = f"INSERT INTO secret (name, value) VALUES ('{LOADING}', '1') ON CONFLICT (name) DO NOTHING"
UNMARK = f"DELETE FROM secret WHERE name = '{LOADING}'"
MOST_STORED = 10_000
"""Versions in a store that holds little: the shipped content is some 500."""
STORED = f"SELECT count(*) FROM (SELECT 1 FROM version LIMIT {MOST_STORED + 1}) v"


def index_statement(name: str, dialect: str) -> str:
    """Makes the index of this name, if it is not there; `dialect`: sqlite or postgresql."""
    # Only who makes an index needs the tables as SQLAlchemy knows them.
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.schema import CreateIndex  # noqa: PLC0415

    from fhir_server.storage.sql.schema import METADATA  # noqa: PLC0415

    (index,) = [one for table in METADATA.tables.values() for one in table.indexes if one.name == name]
    return str(CreateIndex(index, if_not_exists=True).compile(dialect=make_url(f"{dialect}://").get_dialect()()))


def under_way() -> BusinessRule:
    return BusinessRule(
        "A load into this database is under way: wait for its end. Was it broken off, start the server or load again."
    )
