"""The tables. One word per noun; ids are never reused; JSON is text; times are microseconds since the epoch.

`x` and `n` are a row's position in the log (see `core.positions`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

BigId = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Column[int]:
    return Column("id", BigId, primary_key=True, autoincrement=True)


def _int(name: str, **options: object) -> Column[int]:
    return Column(name, BigInteger, nullable=False, **options)  # type: ignore[arg-type]


def _maybe_int(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _maybe_text(name: str) -> Column[str]:
    return Column(name, Text, nullable=True)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


meta = Table("meta", metadata, Column("key", Text, primary_key=True), _text("value"))

sequences = Table("sequences", metadata, Column("name", Text, primary_key=True), _int("value"))

users = Table(
    "users",
    metadata,
    _id(),
    _text("username"),
    _text("email"),
    _text("global_permissions"),
    _int("created_at"),
    UniqueConstraint("username"),
    sqlite_autoincrement=True,
)

grants = Table(
    "grants",
    metadata,
    Column("user_id", BigId, primary_key=True, autoincrement=False),
    Column("project_id", BigId, primary_key=True, autoincrement=False),
    _text("permissions"),
)

tokens = Table(
    "tokens",
    metadata,
    _id(),
    _int("user_id"),
    _text("key_id"),
    Column("digest", LargeBinary, nullable=False),
    _text("label"),
    _int("created_at"),
    _maybe_int("revoked_at"),
    UniqueConstraint("key_id"),
    sqlite_autoincrement=True,
)

projects = Table(
    "projects",
    metadata,
    _id(),
    _text("name"),
    _text("title"),
    _text("description"),
    _int("created_at"),
    _int("updated_at"),
    UniqueConstraint("name"),
    sqlite_autoincrement=True,
)

buckets = Table(
    "buckets",
    metadata,
    _id(),
    _int("project_id"),
    _text("name"),
    _text("title"),
    _text("kind"),
    _maybe_text("transform_tag"),
    _int("created_at"),
    _int("updated_at"),
    UniqueConstraint("project_id", "name"),
    sqlite_autoincrement=True,
)

sources = Table(
    "sources",
    metadata,
    _id(),
    _int("project_id"),
    _text("name"),
    _text("title"),
    _text("description"),
    _text("settings"),
    _text("text_keys"),
    _int("record_count"),
    _int("next_number"),
    _int("created_at"),
    _int("updated_at"),
    UniqueConstraint("project_id", "name"),
    sqlite_autoincrement=True,
)

records = Table(
    "records",
    metadata,
    _id(),
    _int("source_id"),
    _maybe_text("external_id"),
    _text("kind"),
    _text("body"),
    _maybe_text("meta"),
    _int("number"),
    _int("timestamp"),
    _int("created_at"),
    _int("modified_at"),
    _int("version"),
    _int("annotated"),
    _int("x"),
    _int("n"),
    Index("ix_records_key", "source_id", "external_id", unique=True),
    Index("ix_records_position", "source_id", "x", "n"),
    Index("ix_records_timestamp", "source_id", "timestamp", "id"),
    Index("ix_records_created", "source_id", "created_at", "id"),
    Index("ix_records_number", "source_id", "number"),
    sqlite_autoincrement=True,
)

attachments = Table(
    "attachments",
    metadata,
    _id(),
    _int("record_id"),
    _int("number"),
    _text("digest"),
    _int("size"),
    _int("created_at"),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("record_id", "number"),
    sqlite_autoincrement=True,
)

datasets = Table(
    "datasets",
    metadata,
    _id(),
    _int("project_id"),
    _text("name"),
    _text("title"),
    _text("description"),
    _text("model_family"),
    _flag("has_sentiment"),
    _maybe_int("own_source_id"),
    _text("label_config"),
    _text("settings"),
    _int("next_version"),
    _int("created_at"),
    _int("updated_at"),
    UniqueConstraint("project_id", "name"),
    Index("ix_datasets_own_source", "own_source_id"),
    sqlite_autoincrement=True,
)

dataset_sources = Table(
    "dataset_sources",
    metadata,
    Column("dataset_id", BigId, primary_key=True, autoincrement=False),
    Column("source_id", BigId, primary_key=True, autoincrement=False),
    _int("place"),
    Index("ix_dataset_sources_source", "source_id"),
)

labels = Table(
    "labels",
    metadata,
    _id(),
    _int("dataset_id"),
    _text("name"),
    _text("title"),
    _text("instructions"),
    _text("definition"),
    UniqueConstraint("dataset_id", "name"),
    sqlite_autoincrement=True,
)

SKIPPED = text("cancelled")

annotations = Table(
    "annotations",
    metadata,
    _id(),
    _int("dataset_id"),
    _int("record_id"),
    _int("author_id"),
    _text("labels"),
    _text("dismissed"),
    _maybe_text("result"),
    _maybe_text("extra"),
    _flag("cancelled"),
    _flag("ground_truth"),
    Column("lead_time", Float, nullable=True),
    _maybe_text("unique_id"),
    _maybe_int("import_id"),
    _flag("blank"),
    _flag("current"),
    _int("created_at"),
    _int("updated_at"),
    _int("x"),
    _int("n"),
    _maybe_int("draft_created_at"),
    _maybe_text("skip_reason"),
    Index("ix_annotations_record", "record_id", "dataset_id"),
    Index("ix_annotations_author", "dataset_id", "author_id", "id"),
    Index("ix_annotations_skipped", "dataset_id", "author_id", sqlite_where=SKIPPED, postgresql_where=SKIPPED),
    Index("ix_annotations_counts", "dataset_id", "record_id", "author_id", "cancelled", "ground_truth", "blank"),
    Index(
        "ix_annotations_current",
        "dataset_id",
        "record_id",
        unique=True,
        sqlite_where=text("current"),
        postgresql_where=text("current"),
    ),
    sqlite_autoincrement=True,
)

models = Table(
    "models",
    metadata,
    _id(),
    _int("dataset_id"),
    _int("version"),
    _text("family"),
    _text("labels"),
    _text("digest"),
    _text("metrics"),
    _int("reviewed_size"),
    _flag("pinned"),
    _int("trained_at"),
    _int("predicted_x"),
    _int("predicted_n"),
    UniqueConstraint("dataset_id", "version"),
    sqlite_autoincrement=True,
)

artefacts = Table(
    "artefacts",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

model_tags = Table(
    "model_tags",
    metadata,
    Column("dataset_id", BigId, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    _int("version"),
    _int("updated_at"),
)

predictions = Table(
    "predictions",
    metadata,
    _id(),
    _int("dataset_id"),
    _int("record_id"),
    _maybe_int("model_id"),
    Column("probabilities", LargeBinary, nullable=True),
    Column("sentiment", Float, nullable=True),
    _maybe_text("model_version"),
    _maybe_text("result"),
    Column("score", Float, nullable=True),
    _int("created_at"),
    _maybe_int("updated_at"),
    Index(
        "ix_predictions_model",
        "model_id",
        "record_id",
        unique=True,
        sqlite_where=text("model_id IS NOT NULL"),
        postgresql_where=text("model_id IS NOT NULL"),
    ),
    Index("ix_predictions_record", "record_id"),
    Index(
        "ix_predictions_pushed",
        "dataset_id",
        "record_id",
        "model_id",
        sqlite_where=text("model_id IS NULL"),
        postgresql_where=text("model_id IS NULL"),
    ),
    sqlite_autoincrement=True,
)

streams = Table(
    "streams",
    metadata,
    _id(),
    _int("dataset_id"),
    _text("name"),
    _text("title"),
    _text("description"),
    _maybe_text("filter"),
    _maybe_int("version"),
    _text("thresholds"),
    _int("cursor_x"),
    _int("cursor_n"),
    _int("changes"),
    _int("created_at"),
    _int("updated_at"),
    UniqueConstraint("dataset_id", "name"),
    sqlite_autoincrement=True,
)

exceptions = Table(
    "exceptions",
    metadata,
    _id(),
    _int("stream_id"),
    _int("dataset_id"),
    _int("record_id"),
    _text("type"),
    _int("created_at"),
    _maybe_int("answered_at"),
    UniqueConstraint("stream_id", "record_id"),
    Index("ix_exceptions_record", "record_id"),
    Index("ix_exceptions_dataset", "dataset_id", "answered_at"),
    sqlite_autoincrement=True,
)

imports = Table(
    "imports",
    metadata,
    _id(),
    _int("dataset_id"),
    _int("source_id"),
    _int("author_id"),
    _int("job_id"),
    _text("state"),
    _text("options"),
    _text("found"),
    _maybe_text("error"),
    _int("record_count"),
    _int("annotation_count"),
    _int("prediction_count"),
    _text("id_ranges"),
    _int("created_at"),
    _int("updated_at"),
    _maybe_int("finished_at"),
    Index("ix_imports_dataset", "dataset_id"),
    sqlite_autoincrement=True,
)

uploads = Table(
    "uploads",
    metadata,
    _id(),
    _maybe_int("import_id"),
    _text("name"),
    _int("size"),
    _int("created_at"),
    Index("ix_uploads_import", "import_id"),
    sqlite_autoincrement=True,
)

upload_pieces = Table(
    "upload_pieces",
    metadata,
    Column("upload_id", BigId, primary_key=True, autoincrement=False),
    Column("sequence", BigId, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    _id(),
    _int("dataset_id"),
    _int("author_id"),
    _text("title"),
    _text("options"),
    _int("task_count"),
    _int("created_at"),
    _maybe_int("finished_at"),
    Index("ix_snapshots_dataset", "dataset_id"),
    sqlite_autoincrement=True,
)

snapshot_files = Table(
    "snapshot_files",
    metadata,
    _id(),
    _int("snapshot_id"),
    _text("format"),
    _text("state"),
    _int("job_id"),
    _maybe_text("md5"),
    _int("size"),
    _maybe_text("error"),
    UniqueConstraint("snapshot_id", "format"),
    sqlite_autoincrement=True,
)

snapshot_pieces = Table(
    "snapshot_pieces",
    metadata,
    Column("file_id", BigId, primary_key=True, autoincrement=False),
    Column("sequence", BigId, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    _id(),
    _text("kind"),
    _text("payload"),
    _maybe_text("key"),
    _text("state"),
    _int("attempt"),
    _maybe_text("owner"),
    Column("due", Float, nullable=False),
    _int("done"),
    _int("total"),
    _maybe_text("error"),
    _int("created_at"),
    _int("updated_at"),
    Index("ix_jobs_due", "state", "due"),
    Index(
        "ix_jobs_key",
        "key",
        unique=True,
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    _id(),
    _int("x"),
    _int("n"),
    _int("at"),
    _maybe_int("actor_id"),
    _text("kind"),
    _maybe_int("project_id"),
    _maybe_int("dataset_id"),
    _maybe_int("subject_id"),
    _text("data"),
    Index("ix_events_position", "x", "n"),
    sqlite_autoincrement=True,
)

replies = Table(
    "replies",
    metadata,
    Column("user_id", BigId, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    _int("status"),
    Column("body", LargeBinary, nullable=False),
    _int("created_at"),
    Index("ix_replies_created", "created_at"),
)

webhooks = Table(
    "webhooks",
    metadata,
    _id(),
    _maybe_int("project_id"),
    _maybe_int("dataset_id"),
    _int("author_id"),
    _text("url"),
    _text("headers"),
    _flag("send_payload"),
    _flag("send_for_all_actions"),
    _flag("is_active"),
    _text("actions"),
    _text("secret"),
    _int("cursor_x"),
    _int("cursor_n"),
    _int("part"),
    _int("failures"),
    _maybe_int("retry_at"),
    _maybe_int("job_id"),
    _int("created_at"),
    _int("updated_at"),
    Index("ix_webhooks_dataset", "dataset_id"),
    sqlite_autoincrement=True,
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    _id(),
    _int("webhook_id"),
    _int("event_id"),
    _int("x"),
    _int("n"),
    _text("action"),
    _int("number"),
    _int("at"),
    _maybe_int("status"),
    _maybe_text("error"),
    _int("millis"),
    Index("ix_webhook_attempts_webhook", "webhook_id", "id"),
    sqlite_autoincrement=True,
)

dead_letters = Table(
    "dead_letters",
    metadata,
    _id(),
    _int("webhook_id"),
    _int("event_id"),
    _int("x"),
    _int("n"),
    _int("part"),
    _text("action"),
    _int("attempts"),
    _text("error"),
    _int("created_at"),
    _flag("due"),
    Index("ix_dead_letters_webhook", "webhook_id", "id"),
    sqlite_autoincrement=True,
)

personal_tokens = Table(
    "personal_tokens",
    metadata,
    _id(),
    _int("user_id"),
    _text("key_id"),
    _int("created_at"),
    _int("expires_at"),
    _maybe_int("revoked_at"),
    UniqueConstraint("key_id"),
    Index(
        "ix_personal_tokens_live",
        "user_id",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

profiles = Table(
    "profiles",
    metadata,
    Column("user_id", BigId, primary_key=True, autoincrement=False),
    _text("first_name"),
    _text("last_name"),
    _text("phone"),
    _text("hotkeys"),
)
