"""The tables of runs, feedback, corrections, origins and queued patches. See `storage.schema` for the conventions."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text, UniqueConstraint, text

from headrace.storage.schema import BigId, metadata

# The statements use these very words: SQLite takes a partial index only for the condition as it was declared.
UNCLOSED = text("closed_at IS NULL")

runs = Table(
    "runs",
    metadata,
    Column("record_id", BigId, primary_key=True, autoincrement=False),
    Column("source_id", BigInteger, nullable=False),
    Column("parent_id", BigInteger),
    Column("rated", Boolean, nullable=False),
    Column("labels", Text, nullable=False),
    Index("ix_runs_parent", "parent_id"),
)

run_tags = Table(
    "run_tags",
    metadata,
    Column("record_id", BigId, primary_key=True, autoincrement=False),
    Column("tag", Text, primary_key=True),
    Column("source_id", BigInteger, nullable=False),
    Index("ix_run_tags_tag", "source_id", "tag"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("record_id", BigInteger, nullable=False),
    Column("author_id", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_feedback_record", "record_id"),
    sqlite_autoincrement=True,
)

corrections = Table(
    "corrections",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("dataset_id", BigInteger, nullable=False),
    Column("record_id", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("opened_by", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("closed_by", BigInteger),
    Column("closed_at", BigInteger),
    Column("outcome", Text),
    Index("ix_corrections_record", "record_id"),
    Index("ix_corrections_outcome", "dataset_id", "outcome", "id"),
    Index("ix_corrections_open", "record_id", unique=True, sqlite_where=UNCLOSED, postgresql_where=UNCLOSED),
    sqlite_autoincrement=True,
)

origins = Table(
    "origins",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("object_id", BigId, primary_key=True, autoincrement=False),
    Column("scope_id", BigInteger, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    UniqueConstraint("kind", "scope_id", "external_id"),
)

patch_batches = Table(
    "patch_batches",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("dataset_id", BigInteger, nullable=False),
    Column("author_id", BigInteger, nullable=False),
    Column("job_id", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_patch_batches_dataset", "dataset_id", "created_at"),
    sqlite_autoincrement=True,
)

batch_patches = Table(
    "batch_patches",
    metadata,
    Column("batch_id", BigId, primary_key=True, autoincrement=False),
    Column("place", BigId, primary_key=True, autoincrement=False),
    Column("run", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("result", Text),
)
