"""Files that are kept: uploads without tasks, listing, bytes, deletion, and importing anew."""

from typing import Any

import pytest
from label_studio_api import CONFIG, errors_of, import_path, make_project, status_of, task_count
from starlette.testclient import TestClient

from conftest import ok

pytestmark = pytest.mark.server("shared")

CSV = "text,n\nx,1\ny,2\n"


def upload(api: TestClient, project: int, name: str = "n.csv", text: str = CSV, query: str = "") -> dict[str, Any]:
    """The answer to a small upload of one file."""
    answer: dict[str, Any] = ok(api.post(import_path(project, query), files={"file": (name, text.encode())}))
    return answer


def files_of(api: TestClient, project: int, **query: Any) -> list[dict[str, Any]]:
    """The project's files."""
    found: list[dict[str, Any]] = ok(api.get(f"/api/projects/{project}/file-uploads", params=query or {"all": "true"}))
    return found


def tasks_of(api: TestClient, project: int) -> list[dict[str, Any]]:
    """The project's tasks in id order."""
    listed = ok(api.get("/api/tasks/", params={"project": project, "fields": "all", "page_size": -1}))
    found: list[dict[str, Any]] = listed["tasks"]
    return found


def test_an_upload_may_be_kept_without_tasks(both: TestClient) -> None:
    """The tasks are counted and not made, whatever the label config asks for; the two other counts are null."""
    project = make_project(both, label_config=CONFIG.replace("$text", "$other"))
    answer = upload(both, project, query="?commit_to_project=false&return_task_ids=true")
    assert (answer["task_count"], answer["annotation_count"], answer["prediction_count"]) == (2, None, None)
    assert (answer["found_formats"], answer["data_columns"], "task_ids" in answer) == (
        {".csv": 1},
        ["text", "n"],
        False,
    )
    status = status_of(both, project, answer["import"])
    assert (status["status"], status["commit_to_project"], status["task_ids"]) == ("completed", False, [])
    assert task_count(both, project) == 0
    assert [file["id"] for file in files_of(both, project)] == answer["file_upload_ids"]


def test_a_json_body_that_is_not_committed_leaves_nothing(api: TestClient) -> None:
    """Only files are kept."""
    project = make_project(api)
    answer = ok(api.post(import_path(project, "?commit_to_project=false"), json=[{"a": 1}]))
    assert (answer["task_count"], answer["file_upload_ids"]) == (1, [])
    assert (files_of(api, project), task_count(api, project)) == ([], 0)


def test_files_are_listed_by_id_or_all(api: TestClient) -> None:
    """Without a query nothing is listed, of a draft project everything; the name has eight digits before it."""
    project = make_project(api)
    first, second = upload(api, project)["file_upload_ids"][0], upload(api, project, "b c.csv")["file_upload_ids"][0]
    assert [file["id"] for file in files_of(api, project)] == [first, second]
    assert [file["id"] for file in files_of(api, project, ids=f"[{second}]")] == [second]
    assert [file["id"] for file in files_of(api, project, ids=[first, second])] == [first, second]
    assert files_of(api, project, ids="") == []
    shown = ok(api.get(f"/api/import/file-upload/{second}"))
    assert shown["size"] == len(CSV)
    assert shown["file"].startswith(f"upload/{project}/")
    assert shown["file"].endswith("-b_c.csv")
    ok(api.patch(f"/api/projects/{project}/", json={"is_draft": True}))
    assert len(ok(api.get(f"/api/projects/{project}/file-uploads"))) == 2


def test_tasks_know_their_file(both: TestClient) -> None:
    """Each task names the file it was made of, in lists, alone and in an export; a task of a JSON body names none."""
    project = make_project(both)
    ok(both.post(import_path(project), json=[{"text": "body"}]))
    names = [
        ok(both.get(f"/api/import/file-upload/{upload(both, project, n)['file_upload_ids'][0]}"))["file"]
        for n in ("a.csv", "b.csv")
    ]
    stored = [name.rpartition("/")[2] for name in names]
    expected = [None, stored[0], stored[0], stored[1], stored[1]]
    found = tasks_of(both, project)
    assert [task["file_upload"] for task in found] == expected
    assert ok(both.get(f"/api/tasks/{found[3]['id']}/"))["file_upload"] == stored[1]
    exported = ok(both.get(f"/api/projects/{project}/export", params={"download_all_tasks": "true"}))
    assert [task["file_upload"] for task in exported] == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [("p.png", "image/png"), ("p.svg", "application/octet-stream"), ("p.mp3", "audio/mpeg"), ("é .jpg", "image/jpeg")],
)
def test_other_files_are_one_task_each(api: TestClient, name: str, kind: str) -> None:
    """An image or a recording is a task with the address of its bytes, which come as a download."""
    project = make_project(api)
    answer = ok(api.post(import_path(project), files={"file": (name, b"<svg onload=x>")}))
    assert answer["task_count"] == 1
    address = tasks_of(api, project)[0]["data"]["text"]
    assert address.startswith(f"/data/upload/{project}/")
    got = api.get(address)
    assert (got.content, got.headers["content-type"]) == (b"<svg onload=x>", kind)
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["x-content-type-options"] == "nosniff"


def test_other_files_need_a_single_data_key(api: TestClient) -> None:
    """With two data keys nobody knows where the address would go."""
    config = '<View><Text name="a" value="$a"/><Text name="b" value="$b"/></View>'
    project = make_project(api, label_config=config)
    answer = ok(api.post(import_path(project), files={"file": ("p.png", b"x")}))
    assert status_of(api, project, answer["import"])["error"].startswith("Your label config has more than one data key")
    assert files_of(api, project) == []


def test_the_bytes_are_for_members_only(api: TestClient, person: Any) -> None:
    """A stranger learns neither of the file nor of its bytes; a viewer may read and not delete."""
    project = make_project(api)
    number = upload(api, project)["file_upload_ids"][0]
    path = f"/data/{files_of(api, project)[0]['file']}"
    stranger, viewer = person("stranger"), person("viewer", default=["viewer"])
    for address in (path, f"/api/import/file-upload/{number}", f"/api/projects/{project}/file-uploads?all=true"):
        assert stranger.get(address).status_code == 404
        assert viewer.get(address).status_code == 200
    for client, status in ((stranger, 404), (viewer, 403)):
        assert client.delete(f"/api/import/file-upload/{number}").status_code == status
        assert client.delete(f"/api/projects/{project}/file-uploads").status_code == status
        reimport = client.post(f"/api/projects/{project}/reimport", json={"file_upload_ids": [number]})
        assert reimport.status_code == status
    assert len(files_of(api, project)) == 1


def test_deleting_files_keeps_their_tasks(api: TestClient) -> None:
    """One file, some, or all go; the tasks stay and name no file any more."""
    project, other = make_project(api), make_project(api)
    ids = [upload(api, project)["file_upload_ids"][0] for _ in range(4)]
    foreign = upload(api, other)["file_upload_ids"][0]
    path = f"/api/projects/{project}/file-uploads"
    assert ok(api.request("DELETE", path, json={"file_upload_ids": [ids[0], foreign]})) == {"deleted": 1}
    assert api.delete(f"/api/import/file-upload/{ids[1]}").status_code == 204
    assert [file["id"] for file in files_of(api, project)] == ids[2:]
    assert ok(api.delete(path)) == {"deleted": 2}
    assert (task_count(api, project), {task["file_upload"] for task in tasks_of(api, project)}) == (8, {None})
    errors_of(api.get(f"/api/import/file-upload/{ids[0]}"), 404)
    assert len(files_of(api, other)) == 1


def test_a_file_is_imported_anew_in_the_place_of_its_tasks(both: TestClient) -> None:
    """A changed label config is judged again; the old tasks go, other tasks stay, and the file stays."""
    project = make_project(both)
    ok(both.post(import_path(project), json=[{"text": "body"}]))
    number = upload(both, project)["file_upload_ids"][0]
    before = [task["id"] for task in tasks_of(both, project)]
    for _ in range(2):
        answer = ok(both.post(f"/api/projects/{project}/reimport", json={"file_upload_ids": [number]}))
    assert (answer["task_count"], answer["file_upload_ids"]) == (2, [number])
    status = ok(both.get(f"/api/projects/{project}/reimports/{answer['reimport']}/"))
    assert (status["status"], status["task_count"], status["files_as_tasks_list"]) == ("completed", 2, True)
    found = tasks_of(both, project)
    assert [task["data"]["text"] for task in found] == ["body", "x", "y"]
    assert found[0]["id"] == before[0]
    assert min(task["id"] for task in found[1:]) > max(before)
    assert found[1]["file_upload"] == files_of(both, project)[0]["file"].rpartition("/")[2]
    assert both.get(f"/api/projects/{project}/imports/{answer['reimport']}/").status_code == 404


def test_a_reimport_that_fails_changes_nothing(api: TestClient) -> None:
    """All or nothing: the old tasks and the file are as before when the file does not fit the new label config."""
    project = make_project(api)
    number = upload(api, project)["file_upload_ids"][0]
    before = tasks_of(api, project)
    ok(api.patch(f"/api/projects/{project}/", json={"label_config": CONFIG.replace("$text", "$new")}))
    made = ok(api.post(f"/api/projects/{project}/reimport", json={"file_upload_ids": [number]}))
    status = ok(api.get(f"/api/projects/{project}/reimports/{made['reimport']}/"))
    assert (status["status"], status["file_upload_ids"]) == ("failed", [number])
    assert tasks_of(api, project) == before
    assert len(files_of(api, project)) == 1


def test_a_table_may_be_one_task(api: TestClient) -> None:
    """With files_as_tasks_list false a CSV file is a task that holds the file's address."""
    project = make_project(api)
    number = upload(api, project)["file_upload_ids"][0]
    body = {"file_upload_ids": [number], "files_as_tasks_list": False}
    assert ok(api.post(f"/api/projects/{project}/reimport", json=body))["task_count"] == 1
    assert tasks_of(api, project)[0]["data"]["text"] == f"/data/{files_of(api, project)[0]['file']}"


def test_reimports_of_nothing_and_of_strangers_files(api: TestClient) -> None:
    """No files is no work; somebody else's file is not found."""
    project, other = make_project(api), make_project(api)
    assert ok(api.post(f"/api/projects/{project}/reimport", json={}))["task_count"] == 0
    foreign = upload(api, other)["file_upload_ids"][0]
    errors_of(api.post(f"/api/projects/{project}/reimport", json={"file_upload_ids": [foreign]}), 404)
    assert task_count(api, other) == 2


def test_a_file_can_be_replaced(api: TestClient) -> None:
    """PATCH puts other bytes under the same id, which the next reimport reads."""
    project = make_project(api)
    number = upload(api, project)["file_upload_ids"][0]
    same = ok(api.patch(f"/api/import/file-upload/{number}", files={"x": (None, b"")}))
    changed = ok(api.patch(f"/api/import/file-upload/{number}", files={"file": ("m.csv", b"text\nz\n")}))
    assert (same["size"], changed["id"], changed["size"]) == (len(CSV), number, 7)
    ok(api.post(f"/api/projects/{project}/reimport", json={"file_upload_ids": [number]}))
    assert [task["data"] for task in tasks_of(api, project)] == [{"text": "z"}]


def test_more_files_than_allowed_are_too_large(api: TestClient) -> None:
    """A hundred files is the limit, and one more is 413."""
    parts = [("file", (f"{number}.txt", b"x")) for number in range(101)]
    errors_of(api.post(import_path(make_project(api)), files=parts), 413)
