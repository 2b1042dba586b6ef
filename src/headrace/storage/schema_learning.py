"""The table of what is worth labelling next. See `storage.schema` for the conventions."""

from sqlalchemy import Column, Float, Index, Table, Text

from headrace.storage.schema import BigId, metadata

shortlist = Table(
    "shortlist",
    metadata,
    Column("dataset_id", BigId, primary_key=True, autoincrement=False),
    Column("aim", Text, primary_key=True),
    Column("record_id", BigId, primary_key=True, autoincrement=False),
    Column("worth", Float, nullable=False),
    Index("ix_shortlist_worth", "dataset_id", "aim", "worth", "record_id"),
    Index("ix_shortlist_record", "record_id"),
)
