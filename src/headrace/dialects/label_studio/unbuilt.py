"""The endpoints of Label Studio that this server does not have, each answered with an honest 501."""

from starlette.responses import Response

from headrace.core.errors import NotBuilt
from headrace.dialects.kit import Call
from headrace.dialects.label_studio.boundary import dialect

PROJECT = "/api/projects/{project}"

UNBUILT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("/api/token", ("GET", "POST")),
    ("/api/token/refresh", ("POST",)),
    ("/api/token/blacklist", ("POST",)),
    ("/api/token/rotate", ("POST",)),
    ("/api/jwt/settings", ("GET", "POST")),
    ("/api/current-user/token", ("GET",)),
    ("/api/users", ("GET", "POST")),
    ("/api/users/{user}", ("GET", "PATCH", "DELETE")),
    ("/api/organizations", ("GET",)),
    ("/api/organizations/{organization}/memberships", ("GET",)),
    (PROJECT, ("PUT",)),
    (f"{PROJECT}/next", ("GET",)),
    (f"{PROJECT}/label-stream-history", ("GET",)),
    (f"{PROJECT}/tasks", ("DELETE",)),
    (f"{PROJECT}/import/predictions", ("POST",)),
    (f"{PROJECT}/reimport", ("POST",)),
    (f"{PROJECT}/reimports/{{reimport}}", ("GET",)),
    (f"{PROJECT}/file-uploads", ("GET", "DELETE")),
    ("/api/import/file-upload/{upload}", ("GET", "PATCH", "DELETE")),
    ("/data/upload/{project}/{file}", ("GET",)),
    ("/api/tasks/{task}", ("PATCH",)),
    ("/api/tasks/{task}/drafts", ("GET", "POST")),
    ("/api/tasks/{task}/annotations/{annotation}/drafts", ("GET", "POST")),
    ("/api/drafts/{draft}", ("GET", "PATCH", "DELETE")),
    ("/api/annotations/bulk", ("POST",)),
    ("/api/annotations/bulk-delete", ("POST",)),
    ("/api/predictions", ("GET", "POST")),
    ("/api/predictions/{prediction}", ("GET", "PATCH", "DELETE")),
    ("/api/dm/actions", ("GET", "POST")),
    ("/api/dm/columns", ("GET",)),
    ("/api/dm/views", ("GET", "POST")),
    ("/api/dm/views/{view}", ("GET", "PATCH", "DELETE")),
    ("/api/dm/views/order", ("POST",)),
    ("/api/dm/views/reset", ("DELETE",)),
)


async def not_built(call: Call) -> Response:
    """Say that the server does not do this."""
    raise NotBuilt(f"headrace does not have {call.request.method} {call.request.scope['route'].path} yet")


for _path, _methods in UNBUILT:
    dialect.route(_methods, _path)(not_built)
