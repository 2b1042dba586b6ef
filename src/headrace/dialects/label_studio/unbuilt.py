"""The endpoints of Label Studio that this server does not have, each answered with an honest 501."""

from starlette.responses import Response

from headrace.core.errors import NotBuilt
from headrace.dialects.kit import Call
from headrace.dialects.label_studio.boundary import dialect

PROJECT = "/api/projects/{project}"

UNBUILT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("/api/organizations/{organization}", ("PATCH",)),
    ("/api/organizations/{organization}/memberships", ("PATCH",)),
    ("/api/organizations/{organization}/memberships/{user}", ("DELETE",)),
    (f"{PROJECT}/members", ("POST", "DELETE")),
    (PROJECT, ("PUT",)),
)


async def not_built(call: Call) -> Response:
    """Say that the server does not do this."""
    raise NotBuilt(f"headrace does not have {call.request.method} {call.request.scope['route'].path} yet")


for _path, _methods in UNBUILT:
    dialect.route(_methods, _path)(not_built)
