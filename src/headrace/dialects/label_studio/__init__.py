"""Label Studio: projects, tasks, annotations, and imports in the asynchronous form of its hosted edition."""

from headrace.dialects.label_studio import annotations, imports, projects, tasks, unbuilt, users
from headrace.dialects.label_studio.boundary import dialect

__all__ = ["annotations", "dialect", "imports", "projects", "tasks", "unbuilt", "users"]

# `/api/projects/counts` must be found before `/api/projects/{project}`.
dialect.routes.sort(key=lambda route: route.path.count("{"))
