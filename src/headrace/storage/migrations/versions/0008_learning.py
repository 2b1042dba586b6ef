"""What is worth labelling next."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of shortlists."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "shortlist",
        sa.Column("dataset_id", number, autoincrement=False, nullable=False),
        sa.Column("aim", sa.Text(), nullable=False),
        sa.Column("record_id", number, autoincrement=False, nullable=False),
        sa.Column("worth", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "aim", "record_id", name=op.f("pk_shortlist")),
    )
    op.create_index("ix_shortlist_worth", "shortlist", ["dataset_id", "aim", "worth", "record_id"], unique=False)
    op.create_index("ix_shortlist_record", "shortlist", ["record_id"], unique=False)
