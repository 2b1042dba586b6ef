"""What is worth labelling next, and models trained elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of shortlists and of registered models."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "shortlist",
        sa.Column("dataset_id", number, autoincrement=False, nullable=False),
        sa.Column("aim", sa.Text(), nullable=False),
        sa.Column("record_id", number, autoincrement=False, nullable=False),
        sa.Column("worth", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "aim", "record_id", name=op.f("pk_shortlist")),
    )
    op.create_index("ix_shortlist_worth", "shortlist", ["dataset_id", "aim", "worth", "record_id"])
    op.create_index("ix_shortlist_record", "shortlist", ["record_id"])
    op.create_table(
        "registered_models",
        sa.Column("model_id", number, autoincrement=False, nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_registered_models")),
    )
    op.create_index("ix_registered_models_name", "registered_models", ["dataset_id", "name"])
