"""Corrections, where objects came from, and queued patches of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _corrections()
    _origins()
    _patches()


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _corrections() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", _number(), autoincrement=True, nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_by", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_corrections_record", "corrections", ["record_id"], unique=False)
    op.create_index("ix_corrections_outcome", "corrections", ["dataset_id", "outcome", "id"], unique=False)
    unclosed = sa.text("closed_at IS NULL")
    op.create_index(
        "ix_corrections_open",
        "corrections",
        ["record_id"],
        unique=True,
        sqlite_where=unclosed,
        postgresql_where=unclosed,
    )


def _origins() -> None:
    op.create_table(
        "origins",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("object_id", _number(), autoincrement=False, nullable=False),
        sa.Column("scope_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "object_id", name=op.f("pk_origins")),
        sa.UniqueConstraint("kind", "scope_id", "external_id", name=op.f("uq_origins_kind_scope_id_external_id")),
    )


def _patches() -> None:
    op.create_table(
        "patch_batches",
        sa.Column("id", _number(), autoincrement=True, nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("dataset_id", "author_id", "job_id", "size", "done", "failed", "created_at")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patch_batches")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patch_batches_dataset", "patch_batches", ["dataset_id", "created_at"], unique=False)
    op.create_table(
        "batch_patches",
        sa.Column("batch_id", _number(), autoincrement=False, nullable=False),
        sa.Column("place", _number(), autoincrement=False, nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("batch_id", "place", name=op.f("pk_batch_patches")),
    )
