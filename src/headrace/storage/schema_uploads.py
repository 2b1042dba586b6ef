"""The tables of kept files and of the rows of imports. See `storage.schema` for the conventions."""

from sqlalchemy import BigInteger, Column, Index, Table, Text, UniqueConstraint

from headrace.storage.schema import BigId, metadata

file_uploads = Table(
    "file_uploads",
    metadata,
    Column("upload_id", BigId, primary_key=True, autoincrement=False),
    Column("dataset_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    UniqueConstraint("dataset_id", "name"),
)

file_records = Table(
    "file_records",
    metadata,
    Column("dataset_id", BigId, primary_key=True, autoincrement=False),
    Column("first_id", BigId, primary_key=True, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),
    Column("upload_id", BigInteger, nullable=False),
    Index("ix_file_records_upload", "upload_id"),
)

import_rows = Table(
    "import_rows",
    metadata,
    Column("import_id", BigId, primary_key=True, autoincrement=False),
    Column("row", BigId, primary_key=True, autoincrement=False),
    Column("record_id", BigInteger),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("before", Text),
)
