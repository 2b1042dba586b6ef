"""The tables of what is worth labelling next, and of models trained elsewhere. See `storage.schema`."""

from sqlalchemy import BigInteger, Column, Float, Index, Table, Text

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

registered_models = Table(
    "registered_models",
    metadata,
    Column("model_id", BigId, primary_key=True, autoincrement=False),
    Column("dataset_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Index("ix_registered_models_name", "dataset_id", "name"),
)
