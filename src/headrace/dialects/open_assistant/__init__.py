"""Open-Assistant: people write, review and rank messages in conversation trees."""

from headrace.dialects.open_assistant import (
    admin,
    changes,
    frontend_users,
    interactions,
    labels,
    messages,
    openapi,
    scores,
    stats,
    tasks,
    trees,
    unbuilt,
    users,
)
from headrace.dialects.open_assistant.boundary import dialect

__all__ = [
    "admin",
    "changes",
    "dialect",
    "frontend_users",
    "interactions",
    "labels",
    "messages",
    "openapi",
    "scores",
    "stats",
    "tasks",
    "trees",
    "unbuilt",
    "users",
]
