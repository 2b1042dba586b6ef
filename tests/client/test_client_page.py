"""The examples of the README and of docs/client.md do what they say, against a server in a process of its own."""

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from acceptance.server_process import TOKEN, ServerProcess

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that is named in the environment; the working directory is empty."""
    server = ServerProcess(tmp_path / "data")
    server.start()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HEADRACE_URL", server.url)
    monkeypatch.setenv("HEADRACE_TOKEN", TOKEN)
    yield server.url
    server.stop()


def test_every_example_prints_what_its_page_says(live: str) -> None:
    """A page's blocks run in order in one namespace; each print tells in its comment what it prints."""
    assert run(ROOT / "README.md") >= 1
    assert run(ROOT / "docs" / "client.md") > 8


def run(page: Path) -> int:
    """Run the Python blocks of a page; answers how many there are."""
    names: dict[str, object] = {"__name__": "__main__"}
    blocks = BLOCK.findall(page.read_text())
    for block in blocks:
        out = io.StringIO()
        with redirect_stdout(out):
            exec(compile(block, str(page), "exec"), names)
        assert out.getvalue().splitlines() == PRINTED.findall(block), block
    names["client"].close()  # type: ignore[attr-defined]
    return len(blocks)
