"""The tables of conversations: persons, trees, messages, what people do with them. See `storage.schema`."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Table, Text, UniqueConstraint, text, update

from headrace.storage.schema import BigId, metadata

persons = Table(
    "persons",
    metadata,
    Column("user_id", BigId, primary_key=True, autoincrement=False),
    Column("client_id", BigInteger, nullable=False),
    Column("auth_method", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("notes", Text, nullable=False),
    Column("show_on_leaderboard", Boolean, nullable=False),
    Column("streak_days", BigInteger),
    Column("streak_at", BigInteger),
    Column("last_activity_at", BigInteger),
    Column("tos_accepted_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("client_id", "auth_method", "username"),
    Index("ix_persons_username", "username", "user_id"),
    Index("ix_persons_display_name", "display_name", "user_id"),
)

trees = Table(
    "trees",
    metadata,
    Column("record_id", BigId, primary_key=True, autoincrement=False),
    Column("dataset_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("goal", BigInteger, nullable=False),
    Column("max_children", BigInteger, nullable=False),
    Column("max_depth", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("origin", Text),
    Column("drawn_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_trees_state", "dataset_id", "state", "lang", "record_id"),
)

OFFERING = text("offer IS NOT NULL")
ROOTS = text("parent_id IS NULL")

messages = Table(
    "messages",
    metadata,
    Column("record_id", BigId, primary_key=True, autoincrement=False),
    Column("dataset_id", BigInteger, nullable=False),
    Column("tree_id", BigInteger, nullable=False),
    Column("parent_id", BigInteger),
    Column("role", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("depth", BigInteger, nullable=False),
    Column("author_id", BigInteger, nullable=False),
    Column("client_id", BigInteger, nullable=False),
    Column("frontend_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("review_count", BigInteger, nullable=False),
    Column("accepted", Boolean),
    Column("deleted", Boolean, nullable=False),
    Column("edited", Boolean, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    Column("model_name", Text),
    Column("rank", BigInteger),
    Column("ranking_count", BigInteger, nullable=False),
    Column("live_children", BigInteger, nullable=False),
    Column("offer", Text),
    Column("draw", BigInteger, nullable=False),
    Column("emojis", Text, nullable=False),
    Index("ix_messages_tree", "tree_id"),
    Index("ix_messages_date", "dataset_id", "created_at", "record_id"),
    Index("ix_messages_lang", "dataset_id", "lang", "created_at", "record_id"),
    Index("ix_messages_author", "author_id", "created_at", "record_id"),
    Index("ix_messages_frontend", "frontend_id", "client_id"),
    Index("ix_messages_root", "dataset_id", "created_at", "record_id", sqlite_where=ROOTS, postgresql_where=ROOTS),
    Index(
        "ix_messages_offer",
        "dataset_id",
        "lang",
        "offer",
        "draw",
        "record_id",
        sqlite_where=OFFERING,
        postgresql_where=OFFERING,
    ),
)

message_exclusions = Table(
    "message_exclusions",
    metadata,
    Column("record_id", BigId, primary_key=True, autoincrement=False),
    Column("person_id", BigId, primary_key=True, autoincrement=False),
    Column("family", Text, primary_key=True),
)

message_emojis = Table(
    "message_emojis",
    metadata,
    Column("record_id", BigId, primary_key=True, autoincrement=False),
    Column("person_id", BigId, primary_key=True, autoincrement=False),
    Column("emoji", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
)

message_flags = Table(
    "message_flags",
    metadata,
    Column("record_id", BigId, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    Column("processed", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_message_flags_date", "processed", "created_at", "record_id"),
)

message_revisions = Table(
    "message_revisions",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("record_id", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("author_id", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_message_revisions_record", "record_id"),
    sqlite_autoincrement=True,
)

text_labels = Table(
    "text_labels",
    metadata,
    Column("annotation_id", BigId, primary_key=True, autoincrement=False),
    Column("record_id", BigInteger, nullable=False),
    Column("person_id", BigInteger, nullable=False),
    Column("mode", Text),
    Column("spam", Float),
    Column("lang_mismatch", Float),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_text_labels_record", "record_id", "person_id"),
    Index("ix_text_labels_person", "person_id", "created_at"),
)

rankings = Table(
    "rankings",
    metadata,
    Column("annotation_id", BigId, primary_key=True, autoincrement=False),
    Column("tree_id", BigInteger, nullable=False),
    Column("record_id", BigInteger, nullable=False),
    Column("person_id", BigInteger, nullable=False),
    Column("ranked", Text, nullable=False),
    Column("not_rankable", Boolean),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_rankings_tree", "tree_id"),
    Index("ix_rankings_record", "record_id"),
    Index("ix_rankings_person", "person_id", "created_at"),
)

ranking_places = Table(
    "ranking_places",
    metadata,
    Column("annotation_id", BigId, primary_key=True, autoincrement=False),
    Column("record_id", BigId, primary_key=True, autoincrement=False),
    Column("author_id", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_ranking_places_author", "author_id", "place", "created_at"),
    Index("ix_ranking_places_record", "record_id"),
)

OF_RECORDS = (
    trees,
    messages,
    message_exclusions,
    message_emojis,
    message_flags,
    message_revisions,
    text_labels,
    rankings,
    ranking_places,
)
"""What goes when a record goes."""

ORPHAN = update(messages).values(offer=None, deleted=True)
"""What happens to the replies of a prompt whose record goes."""
