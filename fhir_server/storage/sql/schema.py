"""The tables, the same on SQLite and PostgreSQL (docs/architecture.md explains them, docs/decisions/0003-0005 why).

Every row of an index table belongs to one version by its `seq`. On SQLite an index table is clustered by
(seq, p, v, ...) with one covering index for search; on PostgreSQL it is a heap with that index and one on seq,
which PostgreSQL keeps at 9 bytes a row by storing each seq once.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import ARRAY

METADATA = MetaData()

_folded = Text(collation="C").with_variant(Text(), "sqlite")
_rowid = BigInteger().with_variant(Integer(), "sqlite")

version = Table(
    "version",
    METADATA,
    Column("seq", _rowid, primary_key=True, autoincrement=False, comment="commit order over all resources"),
    Column("rid", BigInteger, nullable=False, comment="model.identity.rid(type, id)"),
    Column("type", SmallInteger, nullable=False, comment="codes.TYPE_NUMBERS"),
    Column("id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("last_updated", BigInteger, nullable=False, comment="microseconds since 1970 UTC"),
    Column("method", SmallInteger, nullable=False, comment="index in codes.METHODS"),
    Column("codec", SmallInteger, nullable=False, comment="0: JSON bytes; 1: JSON bytes around a blob"),
    Column("body", LargeBinary, comment="NULL for a deletion"),
    Index("version_rid", "rid", "version", unique=True),
    Index("version_type", "type", "seq"),
    Index(
        "version_later",
        "rid",
        "version",
        sqlite_where=sql_text("version > 1"),
        postgresql_where=sql_text("version > 1"),
    ),
)


def _index_table(name: str, *columns: Column[object], key: tuple[str, ...], search: tuple[str, ...]) -> Table:
    table = Table(name, METADATA, Column("seq", BigInteger, nullable=False), *columns, sqlite_with_rowid=False)
    table.append_constraint(PrimaryKeyConstraint(*key).ddl_if(dialect="sqlite"))
    Index(f"{name}_search", *(table.c[column] for column in search))
    Index(f"{name}_seq", table.c.seq).ddl_if(dialect="postgresql")
    return table


number = _index_table(
    "number",
    Column("p", Integer, nullable=False),
    Column("v", BigInteger, nullable=False),
    Column("w", BigInteger, nullable=False),
    Column("k", BigInteger, nullable=False, comment="the type's primary date, the order of most searches"),
    key=("seq", "p", "v", "w"),
    search=("p", "v", "k", "seq"),
)

text = _index_table(
    "text",
    Column("p", Integer, nullable=False),
    Column("v", _folded, nullable=False),
    Column("w", BigInteger, nullable=False),
    Column("k", BigInteger, nullable=False),
    key=("seq", "p", "v", "w"),
    search=("p", "v", "k", "seq"),
)

composite = _index_table(
    "composite",
    Column("p", Integer, nullable=False),
    Column("a", BigInteger, nullable=False),
    Column("b", BigInteger, nullable=False),
    Column("c", BigInteger, nullable=False),
    Column("t", _folded, nullable=False),
    Column("k", BigInteger, nullable=False),
    key=("seq", "p", "a", "b", "c", "t"),
    search=("p", "a", "b", "k", "seq"),
)

feature = Table(
    "feature",
    METADATA,
    Column("seq", _rowid, primary_key=True, autoincrement=False),
    Column(
        "items",
        ARRAY(Integer).with_variant(LargeBinary(), "sqlite"),
        nullable=False,
        comment="hashed words and trigrams; on SQLite packed as little-endian int32 beside `posting`",
    ),
)
Index("feature_items", feature.c["items"], postgresql_using="gin").ddl_if(dialect="postgresql")

posting = Table(
    "posting",
    METADATA,
    Column("v", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    PrimaryKeyConstraint("v", "seq"),
    sqlite_with_rowid=False,
    info={"dialect": "sqlite"},
    comment="SQLite's inverted form of `feature` (PostgreSQL has GIN)",
)

token = Table(
    "token",
    METADATA,
    Column("v", _rowid, primary_key=True, autoincrement=False, comment="model.identity.token(system, code)"),
    Column("system", Text, nullable=False),
    Column("code", _folded, nullable=False),
    Index("token_code", "code", "v"),
    Index("token_system", "system", "v"),
)

superseded = Table(
    "superseded",
    METADATA,
    Column("seq", _rowid, primary_key=True, autoincrement=False, comment="a version whose index rows still stand"),
    Column("next_seq", BigInteger, nullable=False, comment="the version that replaced it"),
    Column("at", BigInteger, nullable=False, comment="when, microseconds"),
    Index("superseded_at", "at"),
)

blob = Table(
    "blob",
    METADATA,
    Column("seq", _rowid, primary_key=True, autoincrement=False),
    Column("position", Integer, nullable=False, comment="where its base64 stands in the body"),
    Column("size", BigInteger, nullable=False),
    Column("content_type", Text, nullable=False),
)

blob_chunk = Table(
    "blob_chunk",
    METADATA,
    Column("seq", BigInteger, nullable=False),
    Column("n", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("seq", "n"),
)

tick = Table(
    "tick",
    METADATA,
    Column("last_updated", _rowid, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False, comment="the last seq written at that time"),
)

clock = Table(
    "clock",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False, comment="the last seq given out"),
    Column("last_updated", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False, comment="the oldest snapshot that can still be paged"),
    Column("epoch", BigInteger, nullable=False, comment="counts the changes of `parameter`"),
    Column("extraction", Integer, nullable=False, comment="the version of extraction that all rows are of"),
)

type_stat = Table(
    "type_stat",
    METADATA,
    Column("type", SmallInteger, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False, comment="current resources"),
    Column("widest", BigInteger, nullable=False, comment="longest primary date ever indexed, ms"),
)

secret = Table(
    "secret",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

parameter = Table(
    "parameter",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False, comment="never given out twice"),
    Column("type", SmallInteger, nullable=False, comment="the resource type it searches"),
    Column("code", Text, nullable=False),
    Column("source", Text, nullable=False, comment="id of the SearchParameter"),
    Column("state", Text, nullable=False, comment="storage.parameters.STATES"),
    Column("definition", LargeBinary, nullable=False, comment="storage.parameters.ParameterDefinition as JSON"),
)

reindex = Table(
    "reindex",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False, comment="storage.parameters.KINDS"),
    Column("plan", LargeBinary, nullable=False, comment="storage.parameters.Plan as JSON"),
    Column("state", Text, nullable=False, comment="storage.parameters.JOB_STATES"),
    Column("place", SmallInteger, nullable=False, comment="index in the plan of what is worked on"),
    Column("after", BigInteger, nullable=False, comment="the last seq done there"),
    Column("done", BigInteger, nullable=False, comment="versions done"),
    Column("total", BigInteger, nullable=False, comment="versions there were to do; an estimate"),
    Column("owner", Text, nullable=False, comment="the process that runs it"),
    Column("due", BigInteger, nullable=False, comment="when another process may take it, microseconds"),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("failure", Text, nullable=False),
)

async_job = Table(
    "async_job",
    METADATA,
    Column("id", Text, primary_key=True, comment="random: part of an address that nobody guesses"),
    Column("kind", Text, nullable=False, comment="which worker runs it"),
    Column("principal", Text, nullable=False, comment="who asked"),
    Column("request", Text, nullable=False, comment="the URL asked for"),
    Column("plan", LargeBinary, nullable=False, comment="what is to be done, in the worker's own JSON"),
    Column("place", LargeBinary, nullable=False, comment="where to go on, in the worker's own JSON"),
    Column("state", Text, nullable=False, comment="storage.async_jobs.STATES"),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False, comment="0 when it is not known"),
    Column("owner", Text, nullable=False, comment="the process that runs it"),
    Column("due", BigInteger, nullable=False, comment="when another process may take it, microseconds"),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("failure", Text, nullable=False),
)

async_output = Table(
    "async_output",
    METADATA,
    Column("job", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False, comment="whole lines of the file"),
    PrimaryKeyConstraint("job", "file", "n"),
)
