"""Label Studio: projects, tasks, annotations, and imports in the asynchronous form of its hosted edition."""

from headrace.dialects.label_studio import (
    actions,
    annotations,
    bulk_annotations,
    drafts,
    exports,
    file_uploads,
    imports,
    manager,
    next,
    organizations,
    predictions,
    projects,
    snapshots,
    summaries,
    tasks,
    tokens,
    unbuilt,
    users,
    views,
    webhooks,
)
from headrace.dialects.label_studio.boundary import dialect
from headrace.dialects.label_studio.webhook_messages import messages

__all__ = [
    "actions",
    "annotations",
    "bulk_annotations",
    "dialect",
    "drafts",
    "exports",
    "file_uploads",
    "imports",
    "manager",
    "messages",
    "next",
    "organizations",
    "predictions",
    "projects",
    "snapshots",
    "summaries",
    "tasks",
    "tokens",
    "unbuilt",
    "users",
    "views",
    "webhooks",
]

# `/api/projects/counts` must be found before `/api/projects/{project}`.
dialect.routes.sort(key=lambda route: route.path.count("{"))
