"""The tables of human work: leases, the queue of unfinished tasks, drafts. See `storage.schema` for the conventions."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Table, Text, text

from headrace.storage.schema import BigId, metadata

# The statements use these very words: SQLite takes a partial index only for the condition as it was declared.
OPEN_WORK = text("state IN ('offered', 'acknowledged')")
ANSWERABLE_WORK = text("state IN ('offered', 'acknowledged', 'refused')")
IDLE_WORK = text("state IN ('offered', 'acknowledged', 'released')")
NAMED = text("key IS NOT NULL")
BEGUN = text("people > 0")
POSTPONED = text("postponed")
OF_ANNOTATION = text("annotation_id IS NOT NULL")

work = Table(
    "work",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("dataset_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("record_id", BigInteger),
    Column("person_id", BigInteger),
    Column("state", Text, nullable=False),
    Column("lease_until", BigInteger),
    Column("collective", Boolean, nullable=False),
    Column("key", Text),
    Column("payload", Text),
    Column("reason", Text),
    Column("result_id", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_work_record", "record_id", "person_id"),
    Index("ix_work_key", "dataset_id", "key", sqlite_where=NAMED, postgresql_where=NAMED),
    Index("ix_work_open", "dataset_id", "record_id", sqlite_where=OPEN_WORK, postgresql_where=OPEN_WORK),
    Index("ix_work_person", "dataset_id", "person_id", sqlite_where=OPEN_WORK, postgresql_where=OPEN_WORK),
    Index("ix_work_lease", "lease_until", sqlite_where=IDLE_WORK, postgresql_where=IDLE_WORK),
    sqlite_autoincrement=True,
)

queue = Table(
    "queue",
    metadata,
    Column("dataset_id", BigId, primary_key=True, autoincrement=False),
    Column("record_id", BigId, primary_key=True, autoincrement=False),
    Column("people", BigInteger, nullable=False),
    Index("ix_queue_begun", "dataset_id", "record_id", sqlite_where=BEGUN, postgresql_where=BEGUN),
    sqlite_with_rowid=False,
)

queue_places = Table(
    "queue_places",
    metadata,
    Column("dataset_id", BigId, primary_key=True, autoincrement=False),
    Column("person_id", BigId, primary_key=True, autoincrement=False),
    Column("place", BigInteger, nullable=False),
)

drafts = Table(
    "drafts",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("dataset_id", BigInteger, nullable=False),
    Column("record_id", BigInteger, nullable=False),
    Column("annotation_id", BigInteger),
    Column("author_id", BigInteger, nullable=False),
    Column("result", Text, nullable=False),
    Column("lead_time", Float),
    Column("postponed", Boolean, nullable=False),
    Column("import_id", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_drafts_record", "record_id", "author_id"),
    Index("ix_drafts_annotation", "annotation_id", sqlite_where=OF_ANNOTATION, postgresql_where=OF_ANNOTATION),
    Index("ix_drafts_postponed", "dataset_id", "author_id", sqlite_where=POSTPONED, postgresql_where=POSTPONED),
    sqlite_autoincrement=True,
)
