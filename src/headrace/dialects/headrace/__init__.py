"""What this server adds to the APIs it speaks: the event feed and model management, under /headrace/v1/."""

from headrace.dialects.headrace import events
from headrace.dialects.headrace.boundary import dialect

__all__ = ["dialect", "events"]
