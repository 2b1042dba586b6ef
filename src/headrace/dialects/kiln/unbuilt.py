"""What Kiln has and this server does not: it says so."""

from starlette.responses import Response

from headrace.core.errors import NotBuilt
from headrace.dialects.kiln.boundary import TASK, dialect
from headrace.dialects.kit import Call


@dialect.route("POST", TASK + "/run")
async def run_model(call: Call) -> Response:
    """Run a model on an input."""
    raise NotBuilt("headrace does not run language models; make the call yourself and POST its result to runs")


@dialect.route("POST", "/api/import_project")
async def import_project(call: Call) -> Response:
    """Read a project from a path on the server."""
    raise NotBuilt("headrace does not read projects from paths on its server; send the runs over the API")
