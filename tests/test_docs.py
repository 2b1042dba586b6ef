"""The documentation says what the code does."""

import re
import runpy
from pathlib import Path

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
