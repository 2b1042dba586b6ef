"""Communications Mining (re:infer): projects, sources, comments, datasets, labellings, models and streams."""

from headrace.dialects.communications_mining import (
    attachments,
    audit,
    buckets,
    comments,
    datasets,
    emails,
    labellings,
    models,
    predictions,
    queries,
    sources,
    streams,
    users,
    voc,
)
from headrace.dialects.communications_mining.boundary import dialect

__all__ = [
    "attachments",
    "audit",
    "buckets",
    "comments",
    "datasets",
    "dialect",
    "emails",
    "labellings",
    "models",
    "predictions",
    "queries",
    "sources",
    "streams",
    "users",
    "voc",
]
