"""An index of the versions that replaced others: what an export asks of each version."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("CREATE INDEX version_later ON version (rid, version) WHERE version > 1")


def downgrade() -> None:
    op.execute("DROP INDEX version_later")
