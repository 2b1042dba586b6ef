"""The tables of the data manager: views, and tallies of annotations. See `storage.schema` for the conventions."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from headrace.storage.schema import BigId, metadata

views = Table(
    "views",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("dataset_id", BigInteger, nullable=False),
    Column("author_id", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_views_dataset", "dataset_id", "place", "id"),
    sqlite_autoincrement=True,
)

# What `storage.tallies` keeps: sums over the records of a dataset that the same number of people annotated, as a
# whole (author 0) and of those records that one author annotated or skipped.
tallies = Table(
    "tallies",
    metadata,
    Column("dataset_id", BigId, primary_key=True, autoincrement=False),
    Column("author_id", BigId, primary_key=True, autoincrement=False),
    Column("authors", BigId, primary_key=True, autoincrement=False),
    Column("records", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("cancelled", BigInteger, nullable=False),
    Column("ground_truth", BigInteger, nullable=False),
    Column("useful", BigInteger, nullable=False),
    Column("annotated", BigInteger, nullable=False),
)
