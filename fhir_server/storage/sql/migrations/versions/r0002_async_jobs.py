"""Long requests and what they have made."""

from alembic import op

revision = "0002"
down_revision = "0001"

JOB = """
    CREATE TABLE async_job (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    principal TEXT NOT NULL,
    request TEXT NOT NULL,
    plan {bytes} NOT NULL,
    place {bytes} NOT NULL,
    state TEXT NOT NULL,
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    owner TEXT NOT NULL,
    due BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    failure TEXT NOT NULL,
    PRIMARY KEY (id)
    )
    """
OUTPUT = """
    CREATE TABLE async_output (
    job TEXT NOT NULL,
    file TEXT NOT NULL,
    n INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    content {bytes} NOT NULL,
    PRIMARY KEY (job, file, n)
    )
    """


def upgrade() -> None:
    of_bytes = "BYTEA" if op.get_bind().dialect.name == "postgresql" else "BLOB"
    for statement in (JOB, OUTPUT):
        op.execute(statement.format(bytes=of_bytes))


def downgrade() -> None:
    op.execute("DROP TABLE async_output")
    op.execute("DROP TABLE async_job")
