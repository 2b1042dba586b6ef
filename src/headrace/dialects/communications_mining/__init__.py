"""Communications Mining (re:infer): projects, sources, comments, datasets, labellings, models and streams."""

from headrace.dialects.communications_mining import (
    comments,
    datasets,
    labellings,
    models,
    predictions,
    sources,
    streams,
    users,
)
from headrace.dialects.communications_mining.boundary import STATUS, dialect

__all__ = [
    "STATUS",
    "comments",
    "datasets",
    "dialect",
    "labellings",
    "models",
    "predictions",
    "sources",
    "streams",
    "users",
]
