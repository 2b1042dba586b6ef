"""Conversations: persons, messages, trees and what people did with them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _message_emojis()
    _message_exclusions()
    _message_flags()
    _message_revisions()
    _messages()
    _persons()
    _ranking_places()
    _rankings()
    _text_labels()
    _trees()


def _message_emojis() -> None:
    op.create_table(
        "message_emojis",
        sa.Column(
            "record_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("emoji", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "person_id", "emoji", name=op.f("pk_message_emojis")),
    )


def _message_exclusions() -> None:
    op.create_table(
        "message_exclusions",
        sa.Column(
            "record_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("family", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "person_id", "family", name=op.f("pk_message_exclusions")),
    )


def _message_flags() -> None:
    op.create_table(
        "message_flags",
        sa.Column(
            "record_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("processed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_message_flags")),
    )
    op.create_index("ix_message_flags_date", "message_flags", ["processed", "created_at", "record_id"], unique=False)


def _message_revisions() -> None:
    op.create_table(
        "message_revisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_revisions")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_message_revisions_record", "message_revisions", ["record_id"], unique=False)


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column(
            "record_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("tree_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("lang", sa.Text(), nullable=False),
        sa.Column("depth", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("frontend_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("review_count", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=True),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("edited", sa.Boolean(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=True),
        sa.Column("rank", sa.BigInteger(), nullable=True),
        sa.Column("ranking_count", sa.BigInteger(), nullable=False),
        sa.Column("live_children", sa.BigInteger(), nullable=False),
        sa.Column("offer", sa.Text(), nullable=True),
        sa.Column("draw", sa.BigInteger(), nullable=False),
        sa.Column("emojis", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_messages")),
    )
    op.create_index("ix_messages_author", "messages", ["author_id", "created_at", "record_id"], unique=False)
    op.create_index("ix_messages_date", "messages", ["dataset_id", "created_at", "record_id"], unique=False)
    op.create_index("ix_messages_frontend", "messages", ["frontend_id", "client_id"], unique=False)
    op.create_index("ix_messages_lang", "messages", ["dataset_id", "lang", "created_at", "record_id"], unique=False)
    op.create_index(
        "ix_messages_offer",
        "messages",
        ["dataset_id", "lang", "offer", "draw", "record_id"],
        unique=False,
        sqlite_where=sa.text("offer IS NOT NULL"),
        postgresql_where=sa.text("offer IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_root",
        "messages",
        ["dataset_id", "created_at", "record_id"],
        unique=False,
        sqlite_where=sa.text("parent_id IS NULL"),
        postgresql_where=sa.text("parent_id IS NULL"),
    )
    op.create_index("ix_messages_tree", "messages", ["tree_id"], unique=False)


def _persons() -> None:
    op.create_table(
        "persons",
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("auth_method", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("show_on_leaderboard", sa.Boolean(), nullable=False),
        sa.Column("streak_days", sa.BigInteger(), nullable=True),
        sa.Column("streak_at", sa.BigInteger(), nullable=True),
        sa.Column("last_activity_at", sa.BigInteger(), nullable=True),
        sa.Column("tos_accepted_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_persons")),
        sa.UniqueConstraint(
            "client_id", "auth_method", "username", name=op.f("uq_persons_client_id_auth_method_username")
        ),
    )
    op.create_index("ix_persons_display_name", "persons", ["display_name", "user_id"], unique=False)
    op.create_index("ix_persons_username", "persons", ["username", "user_id"], unique=False)


def _ranking_places() -> None:
    op.create_table(
        "ranking_places",
        sa.Column(
            "annotation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "record_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("annotation_id", "record_id", name=op.f("pk_ranking_places")),
    )
    op.create_index("ix_ranking_places_author", "ranking_places", ["author_id", "place", "created_at"], unique=False)
    op.create_index("ix_ranking_places_record", "ranking_places", ["record_id"], unique=False)


def _rankings() -> None:
    op.create_table(
        "rankings",
        sa.Column(
            "annotation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("tree_id", sa.BigInteger(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("ranked", sa.Text(), nullable=False),
        sa.Column("not_rankable", sa.Boolean(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("annotation_id", name=op.f("pk_rankings")),
    )
    op.create_index("ix_rankings_person", "rankings", ["person_id", "created_at"], unique=False)
    op.create_index("ix_rankings_record", "rankings", ["record_id"], unique=False)
    op.create_index("ix_rankings_tree", "rankings", ["tree_id"], unique=False)


def _text_labels() -> None:
    op.create_table(
        "text_labels",
        sa.Column(
            "annotation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=True),
        sa.Column("spam", sa.Float(), nullable=True),
        sa.Column("lang_mismatch", sa.Float(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("annotation_id", name=op.f("pk_text_labels")),
    )
    op.create_index("ix_text_labels_person", "text_labels", ["person_id", "created_at"], unique=False)
    op.create_index("ix_text_labels_record", "text_labels", ["record_id", "person_id"], unique=False)


def _trees() -> None:
    op.create_table(
        "trees",
        sa.Column(
            "record_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lang", sa.Text(), nullable=False),
        sa.Column("goal", sa.BigInteger(), nullable=False),
        sa.Column("max_children", sa.BigInteger(), nullable=False),
        sa.Column("max_depth", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.Column("drawn_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_trees")),
    )
    op.create_index("ix_trees_state", "trees", ["dataset_id", "state", "lang", "record_id"], unique=False)
