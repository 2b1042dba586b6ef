"""What this server adds to the APIs it speaks: the event feed and model management, under /headrace/v1/."""

from headrace.dialects.headrace import conversations, events, models, tasks
from headrace.dialects.headrace.boundary import dialect

__all__ = ["conversations", "dialect", "events", "models", "tasks"]
