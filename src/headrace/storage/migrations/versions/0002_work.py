"""Human work under leases, and drafts."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of work, of the queue and of drafts, and queue the tasks that are not finished."""
    _work()
    _queue()
    _drafts()
    _annotations()
    _fill()


def _work() -> None:
    op.create_table(
        "work",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=True),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("collective", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("result_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_work_record", "work", ["record_id", "person_id"], unique=False)
    named = sa.text("key IS NOT NULL")
    op.create_index("ix_work_key", "work", ["dataset_id", "key"], sqlite_where=named, postgresql_where=named)
    opened = sa.text("state IN ('offered', 'acknowledged')")
    for name, column in (("ix_work_open", "record_id"), ("ix_work_person", "person_id")):
        op.create_index(name, "work", ["dataset_id", column], sqlite_where=opened, postgresql_where=opened)
    idle = sa.text("state IN ('offered', 'acknowledged', 'released')")
    op.create_index("ix_work_lease", "work", ["lease_until"], sqlite_where=idle, postgresql_where=idle)


def _queue() -> None:
    op.create_table(
        "queue",
        sa.Column(
            "dataset_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "record_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "record_id", name=op.f("pk_queue")),
        sqlite_with_rowid=False,
    )
    begun = sa.text("people > 0")
    op.create_index("ix_queue_begun", "queue", ["dataset_id", "record_id"], sqlite_where=begun, postgresql_where=begun)
    op.create_table(
        "queue_places",
        sa.Column(
            "dataset_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "person_id", name=op.f("pk_queue_places")),
    )


def _drafts() -> None:
    op.create_table(
        "drafts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("annotation_id", sa.BigInteger(), nullable=True),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("lead_time", sa.Float(), nullable=True),
        sa.Column("postponed", sa.Boolean(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_drafts_record", "drafts", ["record_id", "author_id"])
    known = sa.text("annotation_id IS NOT NULL")
    op.create_index("ix_drafts_annotation", "drafts", ["annotation_id"], sqlite_where=known, postgresql_where=known)
    later = sa.text("postponed")
    columns = ["dataset_id", "author_id"]
    op.create_index("ix_drafts_postponed", "drafts", columns, sqlite_where=later, postgresql_where=later)


def _annotations() -> None:
    op.add_column("annotations", sa.Column("draft_created_at", sa.BigInteger(), nullable=True))
    op.add_column("annotations", sa.Column("skip_reason", sa.Text(), nullable=True))
    op.create_index("ix_annotations_author", "annotations", ["dataset_id", "author_id", "id"])
    skipped, columns = sa.text("cancelled"), ["dataset_id", "author_id"]
    op.create_index("ix_annotations_skipped", "annotations", columns, sqlite_where=skipped, postgresql_where=skipped)


def _fill() -> None:
    """Queue the tasks of every dataset with a source of its own that too few different people have annotated."""
    conn = op.get_bind()
    known = "SELECT id, own_source_id, settings FROM datasets WHERE own_source_id IS NOT NULL"
    fill = sa.text(
        "INSERT INTO queue (dataset_id, record_id, people) "
        "SELECT :dataset, r.id, coalesce(said.people, 0) FROM records r LEFT JOIN ("
        " SELECT record_id, count(DISTINCT author_id) AS people FROM annotations"
        " WHERE dataset_id = :dataset AND NOT blank AND (:skips OR NOT cancelled) GROUP BY record_id"
        ") said ON said.record_id = r.id WHERE r.source_id = :source AND coalesce(said.people, 0) < :overlap"
    )
    for dataset, source, text in conn.exec_driver_sql(known).fetchall():
        settings = json.loads(text)
        overlap, skips = settings.get("maximum_annotations") or 1, settings.get("skip_queue") == "IGNORE_SKIPPED"
        conn.execute(fill, {"dataset": dataset, "source": source, "overlap": overlap, "skips": skips})
