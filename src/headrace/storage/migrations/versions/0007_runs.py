"""Task runs: what only a run has, and feedback on it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _big_id(name: str, *, counted: bool = False) -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, autoincrement=counted, nullable=False)


def upgrade() -> None:
    """Create the tables of runs, their tags and the feedback on them."""
    op.create_table(
        "runs",
        _big_id("record_id"),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("rated", sa.Boolean(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_runs")),
    )
    op.create_index("ix_runs_parent", "runs", ["parent_id"], unique=False)
    op.create_table(
        "run_tags",
        _big_id("record_id"),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "tag", name=op.f("pk_run_tags")),
    )
    op.create_index("ix_run_tags_tag", "run_tags", ["source_id", "tag"], unique=False)
    op.create_table(
        "feedback",
        _big_id("id", counted=True),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_feedback_record", "feedback", ["record_id"], unique=False)
