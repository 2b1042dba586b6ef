"""The pages: where somebody lands, and whether the server is up."""

from pathlib import Path

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from headrace import __version__

HERE = Path(__file__).parent
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def mount(app: FastAPI) -> None:
    """Add the pages to the app."""
    templates = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)

    async def health(request: Request) -> Response:
        """Up, once requests are answered at all."""
        return JSONResponse({"status": "UP"})

    async def home(request: Request) -> Response:
        """How to connect each kind of client to this server."""
        page = templates.get_template("home.html").render(version=__version__, host=str(request.base_url).rstrip("/"))
        return HTMLResponse(page, headers=SECURITY)

    async def style(request: Request) -> Response:
        """The style sheet."""
        return FileResponse(HERE / "static" / "style.css", media_type="text/css", headers=SECURITY)

    app.add_api_route("/health", health, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/", home, methods=["GET"], include_in_schema=False)
    app.add_api_route("/static/style.css", style, methods=["GET"], include_in_schema=False)
