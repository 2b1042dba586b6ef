"""The short cut through the routing table finds what the whole table holds."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from headrace.app import Application
from headrace.dialects import communications_mining, label_studio
from headrace.dialects.kit import by_precedence
from headrace.routing import ShortCut


async def told(request: Request) -> Response:
    """Say which route answers, and with what."""
    return PlainTextResponse(f"{request.scope['route'].path} {request.path_params}")


@pytest.fixture
def clients() -> tuple[TestClient, TestClient]:
    """A small table behind the short cut, and the same without it."""
    paths = ["/things/id:{number}", "/things/{name}", "/things", "/files/{rest:path}", "/"]
    routes = [Route(path, told, methods=["GET"]) for path in paths] + [Route("/things", told, methods=["POST"])]
    return TestClient(Starlette(routes=[ShortCut(routes), *routes])), TestClient(Starlette(routes=routes))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/things", "/things/id:7", "/things/x", "/files/a/b/c", "/none", "/things/a/b"])
def test_the_short_cut_changes_no_answer(clients: tuple[TestClient, TestClient], method: str, path: str) -> None:
    """Found, absent and wrong methods are the same with the short cut as without."""
    short, whole = (client.request(method, path) for client in clients)
    assert (short.status_code, short.text, dict(short.headers)) == (whole.status_code, whole.text, dict(whole.headers))


def test_every_route_of_every_dialect_is_found_at_once(application: Application) -> None:
    """No declared route is left to the scan of the whole table, but for those that take all below a path."""
    known = [*communications_mining.dialect.routes, *label_studio.dialect.routes]
    declared = [route for route in known if ":path}" not in route.path]
    found = ShortCut([Route(route.path, told, methods=list(route.methods)) for route in by_precedence(declared)])
    for route in declared:
        path = route.path.replace("{", "").replace("}", "")
        for method in route.methods:
            match, _ = found.matches({"type": "http", "method": method, "path": path})
            assert match.name == "FULL", (method, route.path)
