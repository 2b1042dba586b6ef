"""Label Studio: projects, tasks, annotations, and imports in the asynchronous form of its hosted edition."""

from headrace.dialects.label_studio import (
    annotations,
    exports,
    imports,
    projects,
    snapshots,
    summaries,
    tasks,
    unbuilt,
    users,
    webhooks,
)
from headrace.dialects.label_studio.boundary import dialect
from headrace.dialects.label_studio.webhook_messages import messages

__all__ = [
    "annotations",
    "dialect",
    "exports",
    "imports",
    "messages",
    "projects",
    "snapshots",
    "summaries",
    "tasks",
    "unbuilt",
    "users",
    "webhooks",
]

# `/api/projects/counts` must be found before `/api/projects/{project}`.
dialect.routes.sort(key=lambda route: route.path.count("{"))
