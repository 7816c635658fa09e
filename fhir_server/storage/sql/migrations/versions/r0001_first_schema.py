"""The first schema."""

from alembic import op

revision = "0001"
down_revision = None

SQLITE = (
    """
    CREATE TABLE version (
    seq INTEGER NOT NULL,
    rid BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    last_updated BIGINT NOT NULL,
    method SMALLINT NOT NULL,
    codec SMALLINT NOT NULL,
    body BLOB,
    PRIMARY KEY (seq)
    )
    """,
    "CREATE UNIQUE INDEX version_rid ON version (rid, version)",
    "CREATE INDEX version_type ON version (type, seq)",
    """
    CREATE TABLE number (
    seq BIGINT NOT NULL,
    p INTEGER NOT NULL,
    v BIGINT NOT NULL,
    w BIGINT NOT NULL,
    k BIGINT NOT NULL,
    PRIMARY KEY (seq, p, v, w)
    )
    WITHOUT ROWID
    """,
    "CREATE INDEX number_search ON number (p, v, k, seq)",
    """
    CREATE TABLE text (
    seq BIGINT NOT NULL,
    p INTEGER NOT NULL,
    v TEXT NOT NULL,
    w BIGINT NOT NULL,
    k BIGINT NOT NULL,
    PRIMARY KEY (seq, p, v, w)
    )
    WITHOUT ROWID
    """,
    "CREATE INDEX text_search ON text (p, v, k, seq)",
    """
    CREATE TABLE composite (
    seq BIGINT NOT NULL,
    p INTEGER NOT NULL,
    a BIGINT NOT NULL,
    b BIGINT NOT NULL,
    c BIGINT NOT NULL,
    t TEXT NOT NULL,
    k BIGINT NOT NULL,
    PRIMARY KEY (seq, p, a, b, c, t)
    )
    WITHOUT ROWID
    """,
    "CREATE INDEX composite_search ON composite (p, a, b, k, seq)",
    """
    CREATE TABLE feature (
    seq INTEGER NOT NULL,
    items BLOB NOT NULL,
    PRIMARY KEY (seq)
    )
    """,
    """
    CREATE TABLE posting (
    v INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (v, seq)
    )
    WITHOUT ROWID
    """,
    """
    CREATE TABLE token (
    v INTEGER NOT NULL,
    system TEXT NOT NULL,
    code TEXT NOT NULL,
    PRIMARY KEY (v)
    )
    """,
    "CREATE INDEX token_code ON token (code, v)",
    "CREATE INDEX token_system ON token (system, v)",
    """
    CREATE TABLE superseded (
    seq INTEGER NOT NULL,
    next_seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (seq)
    )
    """,
    "CREATE INDEX superseded_at ON superseded (at)",
    """
    CREATE TABLE blob (
    seq INTEGER NOT NULL,
    position INTEGER NOT NULL,
    size BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    PRIMARY KEY (seq)
    )
    """,
    """
    CREATE TABLE blob_chunk (
    seq BIGINT NOT NULL,
    n INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (seq, n)
    )
    """,
    """
    CREATE TABLE tick (
    last_updated INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (last_updated)
    )
    """,
    """
    CREATE TABLE clock (
    id INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    last_updated BIGINT NOT NULL,
    floor BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    extraction INTEGER NOT NULL,
    PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE type_stat (
    type SMALLINT NOT NULL,
    count BIGINT NOT NULL,
    widest BIGINT NOT NULL,
    PRIMARY KEY (type)
    )
    """,
    """
    CREATE TABLE secret (
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE parameter (
    number INTEGER NOT NULL,
    type SMALLINT NOT NULL,
    code TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    definition BLOB NOT NULL,
    PRIMARY KEY (number)
    )
    """,
    """
    CREATE TABLE reindex (
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    plan BLOB NOT NULL,
    state TEXT NOT NULL,
    place SMALLINT NOT NULL,
    after BIGINT NOT NULL,
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    owner TEXT NOT NULL,
    due BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    failure TEXT NOT NULL,
    PRIMARY KEY (id)
    )
    """,
)

POSTGRESQL = (
    """
    CREATE TABLE version (
    seq BIGINT NOT NULL,
    rid BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    last_updated BIGINT NOT NULL,
    method SMALLINT NOT NULL,
    codec SMALLINT NOT NULL,
    body BYTEA,
    PRIMARY KEY (seq)
    )
    """,
    "CREATE UNIQUE INDEX version_rid ON version (rid, version)",
    "CREATE INDEX version_type ON version (type, seq)",
    """
    CREATE TABLE number (
    seq BIGINT NOT NULL,
    p INTEGER NOT NULL,
    v BIGINT NOT NULL,
    w BIGINT NOT NULL,
    k BIGINT NOT NULL
    )
    """,
    "CREATE INDEX number_search ON number (p, v, k, seq)",
    "CREATE INDEX number_seq ON number (seq)",
    """
    CREATE TABLE text (
    seq BIGINT NOT NULL,
    p INTEGER NOT NULL,
    v TEXT COLLATE "C" NOT NULL,
    w BIGINT NOT NULL,
    k BIGINT NOT NULL
    )
    """,
    "CREATE INDEX text_search ON text (p, v, k, seq)",
    "CREATE INDEX text_seq ON text (seq)",
    """
    CREATE TABLE composite (
    seq BIGINT NOT NULL,
    p INTEGER NOT NULL,
    a BIGINT NOT NULL,
    b BIGINT NOT NULL,
    c BIGINT NOT NULL,
    t TEXT COLLATE "C" NOT NULL,
    k BIGINT NOT NULL
    )
    """,
    "CREATE INDEX composite_search ON composite (p, a, b, k, seq)",
    "CREATE INDEX composite_seq ON composite (seq)",
    """
    CREATE TABLE feature (
    seq BIGINT NOT NULL,
    items INTEGER[] NOT NULL,
    PRIMARY KEY (seq)
    )
    """,
    "CREATE INDEX feature_items ON feature USING gin (items)",
    """
    CREATE TABLE token (
    v BIGINT NOT NULL,
    system TEXT NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (v)
    )
    """,
    "CREATE INDEX token_code ON token (code, v)",
    "CREATE INDEX token_system ON token (system, v)",
    """
    CREATE TABLE superseded (
    seq BIGINT NOT NULL,
    next_seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (seq)
    )
    """,
    "CREATE INDEX superseded_at ON superseded (at)",
    """
    CREATE TABLE blob (
    seq BIGINT NOT NULL,
    position INTEGER NOT NULL,
    size BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    PRIMARY KEY (seq)
    )
    """,
    """
    CREATE TABLE blob_chunk (
    seq BIGINT NOT NULL,
    n INTEGER NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (seq, n)
    )
    """,
    """
    CREATE TABLE tick (
    last_updated BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (last_updated)
    )
    """,
    """
    CREATE TABLE clock (
    id INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    last_updated BIGINT NOT NULL,
    floor BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    extraction INTEGER NOT NULL,
    PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE type_stat (
    type SMALLINT NOT NULL,
    count BIGINT NOT NULL,
    widest BIGINT NOT NULL,
    PRIMARY KEY (type)
    )
    """,
    """
    CREATE TABLE secret (
    name TEXT NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE parameter (
    number INTEGER NOT NULL,
    type SMALLINT NOT NULL,
    code TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    definition BYTEA NOT NULL,
    PRIMARY KEY (number)
    )
    """,
    """
    CREATE TABLE reindex (
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    plan BYTEA NOT NULL,
    state TEXT NOT NULL,
    place SMALLINT NOT NULL,
    after BIGINT NOT NULL,
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    owner TEXT NOT NULL,
    due BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    failure TEXT NOT NULL,
    PRIMARY KEY (id)
    )
    """,
)


def upgrade() -> None:
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)
    op.execute("INSERT INTO clock (id, seq, last_updated, floor, epoch, extraction) VALUES (1, 0, 0, 0, 0, 0)")


def downgrade() -> None:
    """The first schema has nothing before it."""
    raise NotImplementedError("there is no schema before the first")
