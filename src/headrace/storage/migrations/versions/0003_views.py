"""The data manager's views, and the tallies of annotations, counted once of what is there."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BY_RECORD = """
    SELECT dataset_id, record_id,
        count(DISTINCT CASE WHEN NOT cancelled THEN author_id END) AS authors,
        sum(CASE WHEN cancelled THEN 0 ELSE 1 END) AS total,
        sum(CASE WHEN cancelled THEN 1 ELSE 0 END) AS cancelled,
        sum(CASE WHEN ground_truth THEN 1 ELSE 0 END) AS ground_truth,
        sum(CASE WHEN cancelled OR ground_truth THEN 0 ELSE 1 END) AS useful
    FROM annotations WHERE NOT blank GROUP BY dataset_id, record_id
"""
OF_DATASETS = f"""
    INSERT INTO tallies
    SELECT dataset_id, 0, authors, count(*), sum(total), sum(cancelled), sum(ground_truth), sum(useful),
        sum(CASE WHEN useful > 0 THEN 1 ELSE 0 END)
    FROM ({BY_RECORD}) AS by_record GROUP BY dataset_id, authors
"""
OF_AUTHORS = f"""
    INSERT INTO tallies
    SELECT said.dataset_id, said.author_id, by_record.authors, count(*), 0, 0, 0, 0, 0
    FROM (SELECT DISTINCT dataset_id, record_id, author_id FROM annotations WHERE NOT blank) AS said
    JOIN ({BY_RECORD}) AS by_record
        ON by_record.dataset_id = said.dataset_id AND by_record.record_id = said.record_id
    GROUP BY said.dataset_id, said.author_id, by_record.authors
"""


def upgrade() -> None:
    """Create both tables and count."""
    op.create_table(
        "views",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_views"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_views_dataset", "views", ["dataset_id", "place", "id"])
    keys = ("dataset_id", "author_id", "authors")
    sums = ("records", "total", "cancelled", "ground_truth", "useful", "annotated")
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "tallies",
        *(sa.Column(name, big, autoincrement=False, nullable=False) for name in keys),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in sums),
        sa.PrimaryKeyConstraint(*keys, name="pk_tallies"),
    )
    op.execute(OF_DATASETS)
    op.execute(OF_AUTHORS)
