"""The unmodified label-studio-sdk against a real server: only the host differs from anybody's script."""

from pathlib import Path

import pytest

from acceptance.sdk_table import PAGE, Told, page, run

CLIENT_REFUSES = "the client itself: "


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What every method of the SDK's clients came to; the stories in the script check what they are answered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_ALLOWED_HOSTS", "127.0.0.1")
        return run(tmp_path_factory.mktemp("sdk") / "data")


@pytest.mark.acceptance
def test_both_newer_clients_live_through_the_same(told: Told) -> None:
    """What LabelStudio can do, AsyncLabelStudio can, and the older Client imports, lists, annotates and exports too."""
    assert told["modern"] == told["async"]
    assert {"projects.import_tasks", "tasks.list", "projects.exports.as_pandas"} <= set(told["modern"])
    assert {"Project.import_tasks", "Project.get_labeled_tasks", "Project.export"} <= set(told["older"])


@pytest.mark.acceptance
def test_what_does_not_work_says_so(told: Told) -> None:
    """Every other method of the newer clients meets a 501 with a reason; of the older one too, where it asks at all."""
    assert [name for name, outcome in told["refused"].items() if not outcome.startswith("501: ")] == []
    strange = [
        name for name, outcome in told["refused_older"].items() if not outcome.startswith(("501: ", CLIENT_REFUSES))
    ]
    assert strange == []


@pytest.mark.acceptance
def test_the_page_tells_the_truth(told: Told) -> None:
    """docs/label-studio-sdk.md is what this run has shown; `acceptance.sdk_table` writes it anew."""
    assert Path(PAGE).read_text() == page(told)
