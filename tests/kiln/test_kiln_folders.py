"""Project folders: a folder that Kiln's library wrote goes into a server and comes out of another one unchanged."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest
from click.testing import CliRunner
from kiln_api import make_run, make_task, rated, run_path
from starlette.testclient import TestClient

from conftest import ADMIN_TOKEN, Application, ok
from headrace.cli.kiln import definitions, files, merging
from headrace.cli.kiln.commands import Round
from headrace.cli.kiln.definitions import Mode
from headrace.cli.kiln.files import Folder, FolderError
from headrace.cli.kiln.remote import Remote
from headrace.cli.kiln.state import State
from headrace.cli.main import main
from headrace.client import Client
from inprocess import OneStep
from mining import serving

pytest_plugins = ["kiln_fixtures"]

RECORDED = Path(__file__).parent / "fixtures" / "folder"
URL = "http://server.example.org"


@contextmanager
def remote_of(application: Application) -> Iterator[Remote]:
    """The server as the command line sees it."""
    portal = TestClient(application.asgi)._portal_factory
    with Client(URL, ADMIN_TOKEN, transport=OneStep(application.asgi, portal)) as client:
        yield Remote(client)


def moved(application: Application, path: Path, mode: Mode, project: str = "", state: State | None = None) -> int:
    """One round of an export, import or watch; answers how much was refused."""
    path.mkdir(exist_ok=True)
    folder = Folder(path)
    with remote_of(application) as remote:
        if mode is Mode.IMPORT or not project:
            project_id = definitions.project_to_import(remote, folder, project or None)
        else:
            project_id = definitions.project_to_export(remote, folder, project)
        return Round(remote, folder, project_id, mode, state or State(URL)).run(shown=False)


def held(path: Path) -> dict[str, str]:
    """The files of a folder."""
    return {str(file.relative_to(path)): file.read_text() for file in sorted(path.rglob("*.kiln"))}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """Another server."""
    with serving(tmp_path_factory.mktemp("elsewhere") / "data") as application:
        yield application


def test_a_recorded_folder_goes_round(
    server: Application, elsewhere: Application, kiln: TestClient, tmp_path: Path
) -> None:
    """What the library wrote is exported as it was, also by a second server; importing it again changes nothing."""
    assert moved(server, RECORDED, Mode.IMPORT) == 0
    assert moved(server, tmp_path / "one", Mode.EXPORT, "Folder Project") == 0
    assert held(tmp_path / "one") == held(RECORDED)
    cursor = log(kiln)
    assert moved(server, RECORDED, Mode.IMPORT) == 0
    assert log(kiln) == cursor
    assert moved(elsewhere, tmp_path / "one", Mode.IMPORT) == 0
    assert moved(elsewhere, tmp_path / "two", Mode.EXPORT, "Folder Project") == 0
    assert held(tmp_path / "two") == held(RECORDED)


def log(kiln: TestClient) -> Any:
    """The end of the log of events."""
    return ok(kiln.get("/headrace/v1/events?after=now"))["cursor"]


def test_conversations_keep_their_parents(server: Application, kiln: TestClient) -> None:
    """Turns of an imported conversation follow one another by this server's ids."""
    moved(server, RECORDED, Mode.IMPORT)
    project = next(item for item in ok(kiln.get("/api/projects")) if item["name"] == "Folder Project")
    tasks = ok(kiln.get(f"/api/projects/{project['id']}/tasks"))
    talk = next(task["id"] for task in tasks if task["name"] == "Talk")
    path = f"/api/projects/{project['id']}/tasks/{talk}"
    [last] = ok(kiln.get(f"{path}/runs"))
    assert len(ok(kiln.get(f"{path}/runs/{last['id']}/chain"))["chain"]) == 3


def own_project(kiln: TestClient) -> tuple[str, str]:
    """The id of a new project, and the path of its task."""
    task = make_task(kiln)
    return task.split("/")[3], task


def test_ids_of_two_servers_never_mix(
    server: Application, elsewhere: Application, kiln: TestClient, tmp_path: Path
) -> None:
    """A run that has the number of an imported one is another run: in the folder it gets a name of its own."""
    project, task = own_project(kiln)
    runs = [make_run(kiln, task, input=f"from here {number}") for number in range(8)]
    moved(server, tmp_path / "one", Mode.EXPORT, project)
    name = ok(kiln.get(f"/api/projects/{project}"))["name"]
    other = TestClient(elsewhere.asgi, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    mine = make_task(other, ok(other.post("/api/projects", json={"name": name}))["id"])
    for _ in range(30):
        make_run(other, mine, input="from there")
    folder = next((tmp_path / "one" / "tasks").iterdir())
    moved(elsewhere, tmp_path / "one", Mode.IMPORT)
    texts = [json.loads(path.read_text())["input"] for path in folder.glob("runs/*/task_run.kiln")]
    assert sorted(texts) == [f"from here {number}" for number in range(len(runs))]
    tasks = ok(other.get(f"/api/projects/{mine.split('/')[3]}/tasks?include=origin"))
    counts = [len(ok(other.get(f"/api/projects/{mine.split('/')[3]}/tasks/{task['id']}/runs"))) for task in tasks]
    assert sorted(counts) == [8, 30]


@pytest.fixture
def watched(server: Application, kiln: TestClient, tmp_path: Path) -> Iterator[tuple[Any, str, Path]]:
    """A round of watching, the path of the task, and the folder after the first round; three runs are in step."""
    project, task = own_project(kiln)
    for _ in range(3):
        make_run(kiln, task)
    path = tmp_path / "watched"
    path.mkdir()
    state = State(URL, path)
    step = partial(moved, server, path, Mode.WATCH, project, state)
    assert step() == 0
    yield step, task, path
    state.close()


def edit(path: Path, run: str, **changes: Any) -> None:
    """Change a run's file as the library does."""
    [file] = path.glob(f"tasks/*/runs/{run}/task_run.kiln")
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def filed(path: Path, run: str) -> Any:
    """A run in the folder."""
    [file] = path.glob(f"tasks/*/runs/{run}/task_run.kiln")
    return json.loads(file.read_text())


def test_changes_of_both_sides_meet(kiln: TestClient, watched: tuple[Any, str, Path]) -> None:
    """Different fields of one run that both sides changed are kept; of the same field the newest counts."""
    step, task, path = watched
    run = ok(kiln.get(f"{task}/runs"))[0]
    ok(kiln.patch(run_path(task, run), json=rated(4) | {"input": "old"}))
    edit(path, run["id"], tags=["from-file"], input="newer")
    assert step() == 0
    known = ok(kiln.get(run_path(task, run)))
    assert (known["tags"], known["input"], known["output"]["rating"]["value"]) == (["from-file"], "newer", 4.0)
    assert {**filed(path, run["id"]), "path": None} == known
    edit(path, run["id"], input="older")
    ok(kiln.patch(run_path(task, run), json={"input": "newest"}))
    assert step() == 0
    assert (filed(path, run["id"])["input"], ok(kiln.get(run_path(task, run)))["input"]) == ("newest", "newest")


def test_runs_come_and_go_on_both_sides(kiln: TestClient, watched: tuple[Any, str, Path]) -> None:
    """What is removed on one side and unchanged on the other goes; what was changed there stays; new runs appear."""
    step, task, path = watched
    here, there, changed = ok(kiln.get(f"{task}/runs"))
    ok(kiln.delete(run_path(task, here)))
    for run in (there, changed):
        [folder] = path.glob(f"tasks/*/runs/{run['id']}")
        rmtree(folder)
    ok(kiln.patch(run_path(task, changed), json={"tags": ["kept"]}))
    new = next(iter(RECORDED.glob("tasks/*Answer*/runs/*")))
    copytree(new, folder.parent / new.name)
    assert step() == 0
    runs = ok(kiln.get(f"{task}/runs?include=external_id"))
    assert {run["external_id"] or run["id"] for run in runs} == {changed["id"], new.name}
    assert {item.name for item in folder.parent.iterdir()} == {changed["id"], new.name}


def test_a_round_without_changes_writes_nothing(kiln: TestClient, watched: tuple[Any, str, Path]) -> None:
    """In step already, neither the files nor the log of the server move."""
    step, _, path = watched
    assert step() == 0
    before = {file: files.stamp(file) for file in path.rglob("*.kiln")}, log(kiln)
    assert step() == 0
    assert ({file: files.stamp(file) for file in path.rglob("*.kiln")}, log(kiln)) == before


def test_a_crash_between_the_two_sides_loses_nothing(kiln: TestClient, watched: tuple[Any, str, Path]) -> None:
    """When the server was told and the folder not, the next round finds the same, and keeps what came meanwhile."""
    step, task, path = watched
    run = ok(kiln.get(f"{task}/runs"))[0]
    edit(path, run["id"], tags=["mine"])
    ok(kiln.patch(run_path(task, run), json={"tags": ["mine"]}))
    ok(kiln.patch(run_path(task, run), json=rated(2)))
    assert step() == 0
    assert filed(path, run["id"])["output"]["rating"]["value"] == 2.0
    assert ok(kiln.get(run_path(task, run)))["tags"] == ["mine"]


def test_feedback_follows(kiln: TestClient, watched: tuple[Any, str, Path]) -> None:
    """Feedback given on one side is given on the other, and taken back with it."""
    step, task, path = watched
    run = ok(kiln.get(f"{task}/runs"))[0]
    ok(kiln.post(f"{run_path(task, run)}/feedback", json={"feedback": "there", "source": "run-page"}))
    said = next(RECORDED.glob("tasks/*/runs/*/feedback/*"))
    [folder] = path.glob(f"tasks/*/runs/{run['id']}")
    copytree(said, folder / "feedback" / said.name)
    assert step() == 0
    texts = [item["feedback"] for item in ok(kiln.get(f"{run_path(task, run)}/feedback"))]
    assert (len(texts), texts[0], len(list(folder.glob("feedback/*/feedback.kiln")))) == (2, "there", 2)
    rmtree(folder / "feedback" / said.name)
    assert step() == 0
    assert [item["feedback"] for item in ok(kiln.get(f"{run_path(task, run)}/feedback"))] == ["there"]


def test_what_cannot_be_read_is_told(server: Application, tmp_path: Path) -> None:
    """A damaged run is left out and told, the others are imported; a newer format of the project is refused."""
    path = tmp_path / "damaged"
    copytree(RECORDED, path)
    next(path.glob("tasks/*/runs/*/task_run.kiln")).write_text("{")
    assert moved(server, path, Mode.IMPORT) == 1
    (path / "project.kiln").write_text('{"v": 2, "id": "1", "model_type": "project"}')
    with pytest.raises(FolderError, match="format 2"):
        moved(server, path, Mode.IMPORT)


def test_merging() -> None:
    """Of a field that both changed the newer side counts; a patch that says nothing new is none."""
    base, mine, theirs = {"a": 1, "b": {"c": 1}}, {"a": 2, "b": {"c": 2}}, {"a": 3, "b": {"c": 1, "d": 1}}
    assert merging.merge(base, mine, theirs, mine_newer=True).document == {"a": 2, "b": {"c": 2, "d": 1}}
    assert merging.merge(base, mine, theirs, mine_newer=False).patch == {"b": {"c": 2}}
    assert merging.merge(base, mine, mine, mine_newer=True).patch == {}
    assert merging.additions({"a": None, "b": {"c": 1}}, {"a": 1, "b": {"c": 1, "d": 1}}) == {}


def test_command_without_a_server_says_so(tmp_path: Path) -> None:
    """The command tells in one line what is wrong with the URL."""
    told = CliRunner().invoke(main, ["export", "kiln-project", "--project", "p", "--url", "nowhere", str(tmp_path)])
    assert (told.exit_code, "is not the URL of a server" in told.output) == (1, True)
