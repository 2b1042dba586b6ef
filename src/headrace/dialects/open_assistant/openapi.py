"""The dialect's own description, at the address where its clients look for it."""

from functools import cache

from starlette.responses import Response

from headrace.dialects.describing import description
from headrace.dialects.kit import Call, json_bytes
from headrace.dialects.open_assistant.boundary import BASE, dialect, encoded

TITLE, VERSION = "open-assistant backend", "0.1.0"


@cache
def _document() -> bytes:
    return encoded(description([dialect], title=TITLE, version=VERSION))


@dialect.route("GET", BASE + "/openapi.json", public=True)
async def openapi(call: Call) -> Response:
    """This dialect's part of the server's description."""
    return json_bytes(_document())
