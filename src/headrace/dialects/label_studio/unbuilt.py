"""What Label Studio does and this server does not, each answered with an honest 501 and a reason."""

from collections.abc import Mapping
from typing import NamedTuple

from starlette.responses import Response

from headrace.core.errors import NotBuilt
from headrace.dialects.kit import Call
from headrace.dialects.label_studio.boundary import dialect

ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")
PROJECT = "/api/projects/{project}"
ORGANIZATION = "/api/organizations/{organization}"
TASK = PROJECT + "/tasks/{task}"

RIGHTS = "rights are given per project with the headrace command"
NO_INTERFACE = "there is no labelling interface of this kind to keep code for"


class Unbuilt(NamedTuple):
    """Why some paths, and all below those that end with a slash, answer nothing else to these methods.

    What does `not_apply` is about something that this server is not; the rest could be there and is not.
    """

    reason: str
    paths: tuple[str, ...]
    methods: tuple[str, ...] = ANY
    not_apply: bool = True


UNBUILT: tuple[Unbuilt, ...] = (
    Unbuilt("it connects to no cloud storage; import files or addresses, and fetch exports", ("/api/storages/",)),
    Unbuilt("it calls no ML backend; push predictions, or use the project's own model", ("/api/ml/",)),
    Unbuilt(
        "it runs no language models; push their predictions",
        (
            "/api/prompts/",
            "/api/model-run/",
            "/api/inference-runs/",
            "/api/model-provider-connections/",
            f"{PROJECT}/subset-tasks",
            f"{PROJECT}/subsets",
        ),
    ),
    Unbuilt(NO_INTERFACE, ("/api/interfaces/",)),
    Unbuilt("projects lie in headrace's projects, which carry the rights", ("/api/workspaces/",)),
    Unbuilt(
        "it keeps no passwords and no sessions, and sends no mail; people use tokens",
        ("/api/saml/", "/api/scim/", "/api/session-policy/", "/api/invite/"),
    ),
    Unbuilt("there is nothing to pay", ("/api/billing/",)),
    Unbuilt(
        "it runs no code of its users",
        tuple(
            f"{PROJECT}/{name}"
            for name in (
                "check-function",
                "custom-function",
                "custom-function-logs",
                "gcp-custom-function",
                "aws-custom-function",
                "aws-custom-function-logs",
                "metricparam",
            )
        ),
    ),
    Unbuilt("it does not keep states apart from tasks and annotations", ("/api/fsm/", "/api/dimensions/")),
    Unbuilt(
        "tasks are not assigned; the label stream leases them",
        (
            f"{TASK}/assignees",
            f"{PROJECT}/members/{{user}}/pauses/",
        ),
    ),
    Unbuilt("tasks are not assigned; the label stream leases them", (f"{PROJECT}/tasks/assignees",), ("POST",)),
    Unbuilt(
        RIGHTS,
        (
            "/api/projects/roles/",
            f"{PROJECT}/roles",
            f"{PROJECT}/members/bulk",
            f"{PROJECT}/members/export",
            f"{ORGANIZATION}/permissions/",
            f"{ORGANIZATION}/set-default-role",
            f"{ORGANIZATION}/member-tags/",
            f"{ORGANIZATION}/memberships/filter-options/",
            f"{ORGANIZATION}/memberships/filter-schema",
            f"{ORGANIZATION}/memberships/search",
        ),
    ),
    Unbuilt(RIGHTS, (f"{PROJECT}/members",), ("POST", "DELETE")),
    Unbuilt(RIGHTS, (f"{ORGANIZATION}/memberships",), ("PATCH",)),
    Unbuilt(RIGHTS, (f"{ORGANIZATION}/memberships/{{user}}",), ("DELETE",)),
    Unbuilt("the organization is the server itself", (ORGANIZATION,), ("PATCH",)),
    Unbuilt(
        "reviews of annotations are not built",
        ("/api/annotation-reviews/", f"{PROJECT}/review-routing-rules/"),
        not_apply=False,
    ),
    Unbuilt("comments on tasks are not built", ("/api/comments/",), not_apply=False),
    Unbuilt(
        "the history is in the log of events; GET /headrace/v1/events reads it",
        (
            "/api/annotation-history/",
            "/api/activity-logs/",
            f"{PROJECT}/annotation-history",
            "/api/tasks/{task}/events",
        ),
        not_apply=False,
    ),
    Unbuilt(
        "statistics in this shape are not built; summary/ and counts/ have the numbers",
        (
            "/api/analytics/",
            f"{PROJECT}/stats/",
            f"{PROJECT}/analytics/",
            f"{PROJECT}/model-stats/",
            f"{PROJECT}/user-stats/",
            f"{PROJECT}/users/{{user}}/stats/",
            f"{PROJECT}/update-stats",
            f"{PROJECT}/dimensions/",
            f"{TASK}/agreement-matrix",
        ),
        not_apply=False,
    ),
    Unbuilt("templates of projects are not built", ("/api/project-templates/",), not_apply=False),
    Unbuilt("create a project and import this one's export", (f"{PROJECT}/duplicate",), ("POST",), not_apply=False),
    Unbuilt("PATCH changes a project", (PROJECT,), ("PUT",), not_apply=False),
)


UNBUILT_ACTIONS: Mapping[str, str] = {
    "delete_annotators": "tasks are not assigned; the label stream leases them",
    "delete_reviewers": "tasks are not assigned, and reviews of annotations are not built",
    "delete_tasks_reviews": "reviews of annotations are not built",
    "delete_ground_truths": "PATCH the annotations, or delete them",
}
"""Actions of the data manager that only the Enterprise edition has, and why this server has not."""


def _refuse(unbuilt: Unbuilt) -> None:
    opening = "This does not apply to headrace" if unbuilt.not_apply else "headrace does not have this"

    async def not_built(call: Call) -> Response:
        """Say that the server does not do this, and why."""
        raise NotBuilt(f"{opening}: {unbuilt.reason}")

    for path in unbuilt.paths:
        dialect.route(unbuilt.methods, path.rstrip("/"))(not_built)
        if path.endswith("/"):
            dialect.route(unbuilt.methods, path + "{rest:path}")(not_built)


@dialect.route(("GET", "POST"), "/user/login", public=True)
async def refuse_login(call: Call) -> Response:
    """Say that nobody signs in with a password."""
    raise NotBuilt("This does not apply to headrace: it keeps no passwords; give your client a token as its api_key")


for _unbuilt in UNBUILT:
    _refuse(_unbuilt)
