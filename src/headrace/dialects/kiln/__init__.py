"""Kiln: projects, tasks, and the runs in which a model's outputs are rated, tagged and repaired."""

from headrace.dialects.kiln import (
    bulk,
    corrections,
    csv_upload,
    exports,
    feedback,
    folders,
    projects,
    run_lists,
    runs,
    tasks,
    unbuilt,
)
from headrace.dialects.kiln.boundary import PREFIX, dialect

__all__ = [
    "PREFIX",
    "bulk",
    "corrections",
    "csv_upload",
    "dialect",
    "exports",
    "feedback",
    "folders",
    "projects",
    "run_lists",
    "runs",
    "tasks",
    "unbuilt",
]

# `/runs/by_external_id/x` must be found before `/runs/{run}/feedback`.
dialect.routes.sort(key=lambda route: "{run}" in route.path)
