"""Objects that come from a project folder: made or changed under the ids, dates and authors that they have there."""

from typing import TYPE_CHECKING

from headrace.core import feedback, origins, projects, run_tasks
from headrace.core.feedback import Feedback
from headrace.core.origins import Origin
from headrace.core.projects import Project
from headrace.core.rights import Permission, Principal
from headrace.core.run_tasks import Definition, RunTask
from headrace.core.runs import Place

if TYPE_CHECKING:
    from headrace.core.store import Tx

NOWHERE = 0


def put_project(tx: "Tx", who: Principal, origin: Origin, *, name: str, description: str) -> Project:
    """Change the project that came from there, or make it; making one takes a server's admin."""
    known = tx.origins.find(origins.PROJECT, NOWHERE, origin.external_id)
    project = None if known is None else tx.projects.by_id(known, who.scope)
    if project is None:
        project = run_tasks.create_project(tx, who, name=name, description=description)
    elif (project.title, project.description) != (name, description):
        project = projects.update(tx, who, project.name, title=name, description=description)
    tx.origins.put(origins.PROJECT, project.id, NOWHERE, origin)
    return project


def known_task(tx: "Tx", who: Principal, project_id: int, external_id: str) -> RunTask | None:
    """The run task of a project that came from there; raises NotFound for the project."""
    project = run_tasks.load_project(tx, who, project_id)
    known = tx.origins.find(origins.TASK, project.id, external_id)
    return None if known is None else run_tasks.load(tx, who, project_id, known, Permission.DATASETS_ADMIN)


def put_task(
    tx: "Tx", who: Principal, project_id: int, known: RunTask | None, origin: Origin, definition: Definition
) -> RunTask:
    """Change the run task that came from there, or make it."""
    if known is None:
        known = run_tasks.create(tx, who, project_id, definition)
    elif dict(known.definition) != dict(definition):
        known = run_tasks.update(tx, who, known, definition)
    tx.origins.put(origins.TASK, known.dataset.id, project_id, origin)
    return known


def put_feedback(
    tx: "Tx", who: Principal, place: Place, run_id: int, origin: Origin, *, text: str, source: str
) -> Feedback:
    """The feedback on a run that came from there; what was said before is not changed, another text replaces it."""
    known_id = tx.origins.find(origins.FEEDBACK, run_id, origin.external_id)
    said = feedback.of_run(tx, who, place, run_id)[0]
    known = next((item for item in said if item.id == known_id), None)
    if known is not None and (known.text, known.origin) == (text, source):
        return known
    if known is not None:
        feedback.remove(tx, who, place, run_id, known.id)
    made = feedback.add(tx, who, place, run_id, text=text, origin=source)
    tx.origins.put(origins.FEEDBACK, made.id, run_id, origin)
    return made
