"""The documentation says what the code does."""

import re
import runpy
from pathlib import Path

from starlette.testclient import TestClient

from conftest import ok
from headrace.app import DIALECTS

ROOT = Path(__file__).parent.parent


def test_the_reference_is_up_to_date() -> None:
    """docs/reference.md is what `make docs` would write."""
    rendered = runpy.run_path(str(ROOT / "tools" / "reference.py"))["render"]()
    assert (ROOT / "docs" / "reference.md").read_text() == rendered, "run `make docs`"


def test_links_between_pages_lead_somewhere() -> None:
    """Every relative link in the README and in docs/ names a file that exists."""
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_openapi_lists_every_route(api: TestClient) -> None:
    """Every method and path of every dialect is in openapi.json, once."""
    listed = {(method.upper(), path) for path, item in ok(api.get("/openapi.json"))["paths"].items() for method in item}
    routes = [route for dialect in DIALECTS for route in dialect.routes]
    declared = [(method, re.sub(r":\w+}", "}", route.shown)) for route in routes for method in route.methods]
    assert listed == set(declared)
    assert len(declared) == len(set(declared))
