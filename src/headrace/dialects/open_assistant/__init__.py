"""Open-Assistant: people write, review and rank messages in conversation trees."""

from headrace.dialects.open_assistant import frontend_users, interactions, labels, messages, openapi, tasks
from headrace.dialects.open_assistant.boundary import dialect

__all__ = ["dialect", "frontend_users", "interactions", "labels", "messages", "openapi", "tasks"]
