"""What scripts with the unmodified label-studio-sdk do, run by that package's own interpreter.

Takes the server's address and an admin's token, and prints as JSON what every method of its clients came to.
"""

import asyncio
import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from label_studio_sdk import AsyncLabelStudio, Client, LabelStudio
from label_studio_sdk._legacy.project import ProjectSampling
from label_studio_sdk.data_manager import Column, Filters, Operator, Type

sys.path.insert(0, str(Path(__file__).parent))

from sdk_walk import Told, methods, refused

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices>'
    '<Labels name="ner" toName="text"><Label value="PER"/><Label value="ORG"/></Labels></View>'
)
PERSON = {"from_name": "ner", "to_name": "text", "type": "labels"}
SPAN = {**PERSON, "value": {"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}}
TEXTS = ["Ada writes", "Bob reads", "Cid sleeps", "Dot waits"]
HOOK = "http://127.0.0.1:9/hook"


def mood(value: str) -> list[dict[str, Any]]:
    """The result that chooses one value."""
    return [{"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": [value]}}]


def matching(text: str) -> dict[str, Any]:
    """A filter of the tasks with a text."""
    item = Filters.item(Column.data("text"), Operator.CONTAINS, Type.String, Filters.value(text))
    return Filters.create(Filters.AND, [item])


def import_story(ls: Told, project: int) -> list[int]:
    """Tasks by JSON, their status, one by one; predictions in bulk; answers the ids."""
    sent = [{"text": text} for text in TEXTS[:3]]
    accepted = ls.projects.import_tasks(id=project, request=sent, return_task_ids=True)
    status = ls.tasks.create_many_status(id=project, import_pk=accepted.import_)
    assert (status.status, status.task_count, status.error) == ("completed", 3, None), status
    single = ls.tasks.create(project=project, data={"text": TEXTS[3]}, meta={"n": 1})
    assert single.meta == {"n": 1}, single
    ids = [*status.task_ids, single.id]
    pushed = [{"task": ids[0], "result": mood("good"), "score": 0.75, "model_version": "v1"}]
    assert ls.projects.import_predictions(id=project, request=pushed).created == 1
    return ids


def task_story(ls: Told, project: int, ids: list[int]) -> None:
    """List by page, filter, view and selection; read and change one."""
    listed = list(ls.tasks.list(project=project, page_size=3))
    assert [task.id for task in listed] == ids, listed
    assert listed[0].predictions[0].model_version == "v1", listed[0]
    query = json.dumps({"filters": matching("reads"), "ordering": ["-tasks:id"]})
    assert [task.id for task in ls.tasks.list(project=project, query=query)] == [ids[1]]
    only = list(ls.tasks.list(project=project, include="id", fields="task_only"))
    assert [task.id for task in only] == ids
    chosen = json.dumps({"all": False, "included": [ids[2]]})
    assert [task.id for task in ls.tasks.list(project=project, selected_items=chosen)] == [ids[2]]
    changed = ls.tasks.update(id=str(ids[3]), data={"text": "Dot is late"}, meta={"n": 2})
    assert (changed.data["text"], changed.meta) == ("Dot is late", {"n": 2}), changed
    assert ls.tasks.get(id=str(ids[3])).inner_id == 4
    extra = ls.tasks.create(project=project, data={"text": "too many"})
    ls.tasks.delete(id=str(extra.id))
    assert [task.id for task in ls.tasks.list(project=project, only_annotated=True)] == []


def annotation_story(ls: Told, project: int, ids: list[int]) -> None:
    """Make, read, change, skip and delete annotations, alone and in bulk."""
    made = ls.annotations.create(id=ids[0], result=[*mood("good"), SPAN], lead_time=1.5)
    assert (made.task, made.lead_time, made.was_cancelled) == (ids[0], 1.5, False), made
    assert [item.id for item in ls.annotations.list(id=ids[0])] == [made.id]
    assert ls.annotations.update(id=made.id, ground_truth=True).ground_truth is True
    assert ls.annotations.get(id=made.id).result == [*mood("good"), SPAN]
    skipped = ls.annotations.create(id=ids[1], result=[], was_cancelled=True)
    ls.annotations.delete(id=skipped.id)
    bulk = ls.annotations.create_bulk(tasks=[ids[1], ids[2]], result=mood("bad"), project=project)
    numbers = [item.id for item in bulk]
    ls.annotations.delete_bulk(ids=numbers[1:], project=project)
    task = ls.tasks.get(id=str(ids[1]))
    assert (task.is_labeled, task.total_annotations) == (True, 1), task
    assert [user.email for user in ls.projects.list_unique_annotators(id=project)] == ["admin@example.org"]


def prediction_story(ls: Told, project: int, ids: list[int]) -> None:
    """One prediction's life."""
    made = ls.predictions.create(task=ids[1], result=mood("bad"), score=0.25, model_version="v2")
    assert ls.predictions.get(id=made.id).score == 0.25
    assert ls.predictions.update(id=made.id, score=0.5).score == 0.5
    assert [item.task for item in ls.predictions.list(project=project)] == ids[:2]
    assert [item.id for item in ls.predictions.list(task=ids[1])] == [made.id]
    ls.predictions.delete(id=made.id)


def project_story(ls: Told, project: int) -> None:
    """Find, describe, change and check projects."""
    assert ls.projects.get(id=project).get_label_interface().get_control("mood").labels == ["good", "bad"]
    assert ls.projects.update(id=project, title="Renamed", maximum_annotations=1).title == "Renamed"
    assert project in [found.id for found in ls.projects.list(title="Renamed")]
    counts = {found.id: found.task_number for found in ls.projects.list_counts(ids=str(project)).results}
    assert counts == {project: 4}, counts
    ls.projects.validate_label_config(id=project, label_config=CONFIG)
    other = ls.projects.create(title="For a moment")
    ls.projects.delete(id=other.id)
    assert list(ls.projects.members.paginated.list(id=project))


def view_story(ls: Told, project: int, ids: list[int]) -> None:
    """Views, tasks and snapshots through them, and actions on what they show."""
    view = ls.views.create(project=project, data={"title": "Readers", "filters": matching("reads"), "ordering": []})
    assert [task.id for task in ls.tasks.list(view=view.id)] == [ids[1]]
    assert ls.views.get(id=str(view.id)).data["title"] == "Readers"
    ls.views.update(id=str(view.id), data={"title": "Still readers"})
    second = ls.views.create(project=project, data={"title": "All"})
    ls.views.update_order(project=project, ids=[second.id, view.id])
    assert [found.id for found in ls.views.list(project=project)] == [second.id, view.id]
    snapshot = ls.projects.exports.create(id=project, title="Readers", task_filter_options={"view": view.id})
    told = json.loads(ls.projects.exports.download(id=project, export_pk=snapshot.id))
    assert [task["id"] for task in told] == [ids[1]], told
    ls.views.delete(id=str(second.id))
    assert "delete_tasks" in [action.id for action in ls.actions.list(project=project)]
    chosen = {"all": False, "included": [ids[0]]}
    ls.actions.create(id="predictions_to_annotations", project=project, selected_items=chosen)
    assert ls.tasks.get(id=str(ids[0])).total_annotations == 2
    ls.views.delete_all(project=project)
    assert list(ls.views.list(project=project)) == []


def export_story(ls: Told, project: int) -> None:
    """Downloads in every format for text, and a snapshot's life."""
    exports = ls.projects.exports
    assert [task["data"]["text"] for task in exports.as_json(project)][:2] == TEXTS[:2]
    assert set(exports.as_pandas(project)["text"]) == {*TEXTS[:3], "Dot is late"}
    conll = exports.as_binary(project, export_type="CONLL2003")
    assert b"Ada -X- _ B-PER" in conll, conll
    assert b"mood" in exports.as_file(project, export_type="TSV").read()
    assert json.loads(exports.download_sync(id=project, export_type="JSON_MIN"))[0]["mood"] == "good"
    assert {"JSON", "CSV", "CONLL2003"} <= {item["name"] for item in exports.list_formats(id=project)}
    made = exports.create(id=project, title="Kept")
    assert exports.get(id=project, export_pk=made.id).status == "completed"
    exports.convert(id=project, export_pk=made.id, export_type="CSV")
    assert b"Ada writes" in exports.download(id=project, export_pk=made.id, export_type="CSV")
    assert made.id in [item.id for item in exports.list(id=project)]
    exports.delete(id=project, export_pk=made.id)


def file_story(ls: Told, project: int) -> None:
    """Files beside the tasks that are made of them."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "tasks.csv"
        table.write_text("text,n\nhello,1\nworld,2\n")
        Client(url=os.environ["URL"], api_key=os.environ["KEY"]).get_project(project).import_tasks(str(table))
    (upload,) = ls.files.list(id=project, all_=True)
    assert ls.files.get(id=upload.id).size == upload.size
    ls.files.download(filename=str(upload.file).removeprefix("upload/"))  # the SDK drops what it gets
    assert ls.files.update(id=upload.id, file=("other.csv", b"text,n\nhi,3\n")).id == upload.id
    ls.files.delete(id=upload.id)
    ls.files.delete_many(id=project)
    assert list(ls.files.list(id=project, all_=True)) == []


def people_story(ls: Told, name: str) -> None:
    """Who is there, who am I, and one person's life."""
    me = ls.users.whoami()
    assert (me.email, ls.users.get_current_user().id) == ("admin@example.org", me.id)
    ls.users.update_current_user(first_name="Ada")
    ls.users.update_hotkeys(custom_hotkeys={"annotation:submit": {"key": "ctrl+enter"}})
    assert ls.users.get_hotkeys().custom_hotkeys
    assert ls.users.get_token().token == os.environ["KEY"]
    made = ls.users.create(username=name, email=f"{name}@example.org", first_name="Bo")
    assert ls.users.update(id=made.id, last_name="Li").last_name == "Li"
    assert ls.users.get(id=made.id).email == f"{name}@example.org"
    organization = next(iter(ls.organizations.list())).id
    assert ls.organizations.get(id=organization).id == organization
    assert made.id in [user.id for user in ls.users.list()]
    assert ls.organizations.members.get(id=organization, user_pk=made.id).user == made.id
    assert list(ls.organizations.members.list(id=organization))
    ls.users.delete(id=made.id)


def token_story(ls: Told) -> None:
    """Personal tokens, their settings and the server's version."""
    settings = ls.jwt_settings.get()
    ls.jwt_settings.update(
        api_token_ttl_days=200, api_tokens_enabled=settings.api_tokens_enabled, legacy_api_tokens_enabled=True
    )
    first = ls.tokens.create().token
    assert ls.tokens.list()
    assert ls.tokens.refresh(refresh=first).access
    second = ls.tokens.rotate(refresh=first).refresh
    assert LabelStudio(base_url=os.environ["URL"], api_key=second).users.whoami().email == "admin@example.org"
    ls.tokens.blacklist(refresh=second)
    assert ls.versions.get().edition == "Community"


def webhook_story(ls: Told, project: int) -> None:
    """One webhook's life."""
    assert ls.webhooks.info().tasks_created
    made = ls.webhooks.create(url=HOOK, project=project, actions=["TASKS_CREATED"], send_for_all_actions=False)
    assert ls.webhooks.get(id=made.id).actions == ["TASKS_CREATED"]
    assert ls.webhooks.update(id=made.id, url=HOOK, is_active=False).is_active is False
    assert [hook.id for hook in ls.webhooks.list(project=str(project))] == [made.id]
    ls.webhooks.delete(id=made.id)


def modern(ls: Told, name: str) -> None:
    """Everything that somebody who labels text does with either of the newer clients."""
    project = ls.projects.create(title=name, label_config=CONFIG).id
    ids = import_story(ls, project)
    project_story(ls, project)
    task_story(ls, project, ids)
    annotation_story(ls, project, ids)
    prediction_story(ls, project, ids)
    view_story(ls, project, ids)
    export_story(ls, project)
    webhook_story(ls, project)
    file_story(ls, project)
    people_story(ls, name.lower())
    token_story(ls)
    ls.tasks.delete_all_tasks(id=project)
    assert list(ls.tasks.list(project=project)) == []


def older_client(client: Told) -> int:
    """What the older client itself can do; answers the id of a project with four tasks."""
    assert client.check_connection()["status"] == "UP"
    assert client.get_versions()["edition"] == "Community"
    made = client.create_project(title="Older", label_config=CONFIG)
    client.start_project(title="Older still", label_config=CONFIG)
    assert made.id in [project.id for project in client.get_projects()]
    assert client.list_projects(title="Older still")
    other = client.create_project(title="Gone")
    client.delete_project(other.id)
    assert client.get_project(made.id).id == made.id
    client.create_user({"username": "cy", "email": "cy@example.org", "first_name": "Cy"})
    assert client.create_user({"username": "cy", "email": "cy@example.org"}) is None
    assert "cy@example.org" in [user.email for user in client.get_users()]
    assert client.get_organization()["id"]
    assert client.get_url("/x").endswith("/x")
    assert client.get_session() is not None
    client.make_request("GET", "/api/version")
    return int(made.id)


def older_project(project: Told) -> None:
    """The older client's projects: tasks, filters, annotations, predictions."""
    ids = project.import_tasks([{"text": text} for text in TEXTS])
    assert len(project.import_tasks([{"text": "pre", "mood": "good"}], preannotated_from_fields=["mood"])) == 1
    assert project.get_params()["task_number"] == 5
    assert project.parsed_label_config["mood"]["labels"] == ["good", "bad"]
    project.set_params(description="described")
    project.set_sampling(ProjectSampling.UNCERTAINTY)
    project.set_sampling(ProjectSampling.SEQUENCE)
    project.set_published(True)
    project.create_prediction(ids[0], mood("good"), score=0.5, model_version="v1")
    project.create_predictions([{"task": ids[1], "result": mood("bad"), "model_version": "v1"}])
    project.set_model_version("v1")
    assert project.get_model_versions() == {"v1": 2, "preannotated": 1}, project.get_model_versions()
    assert project.get_predictions_coverage()["v1"] == 0.4
    made = project.create_annotation(ids[2], result=mood("good"))
    assert project.get_annotation(made["id"])["task"] == ids[2]
    assert project.update_annotation(made["id"], result=mood("bad"))["result"] == mood("bad")
    assert [item["id"] for item in project.list_annotations(ids[2])] == [made["id"]]
    assert project.get_labeled_tasks_ids() == [ids[2]] == [task["id"] for task in project.get_labeled_tasks()]
    assert len(project.get_unlabeled_tasks()) == len(project.get_unlabeled_tasks_ids()) == 4
    older_lists(project, ids)
    project.create_annotations_from_predictions(model_versions=["v1"])
    assert set(project.get_labeled_tasks_ids()) == {ids[0], ids[1], ids[2]}
    project.delete_annotation(made["id"])
    project.update_params()


def older_lists(project: Told, ids: list[int]) -> None:
    """Lists by filter, order, view and selection, page by page, and one task."""
    assert project.get_tasks_ids() == project.tasks_ids
    assert [task["id"] for task in project.get_tasks(filters=matching("Bob"))] == [ids[1]]
    assert project.get_tasks(ordering=["-" + Column.id], only_ids=True)[-1] == ids[0]
    assert project.get_tasks(selected_ids=[ids[3]], only_ids=True) == [ids[3]]
    assert len(project.tasks) == 5
    assert project.get_paginated_tasks(page=2, page_size=4)["total"] == 5
    assert len(project.get_paginated_tasks_ids(page=1, page_size=4)["tasks"]) == 4
    view = project.create_view(filters=matching("Cid"), ordering=[Column.id], title="Cids")
    assert [found["id"] for found in project.get_views()] == [view["id"]]
    assert project.get_tasks_ids(view_id=view["id"]) == [ids[2]]
    project.delete_view(view["id"])
    assert project.get_task(ids[0])["data"] == {"text": TEXTS[0]}
    assert project.update_task(ids[0], data={"text": "Ada again"})["data"] == {"text": "Ada again"}
    assert project.get_files_from_tasks([]) == []


def older_exports(project: Told) -> None:
    """Exports and snapshots, and then deletion by and by."""
    assert len(project.export_tasks()) == 2
    assert len(project.export_tasks(export_type="JSON_MIN", download_all_tasks=True)) == 5
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "tasks.csv"
        project.export_tasks(export_type="CSV", export_location=str(table))
        assert "Ada again" in table.read_text()
        told = project.export(filters=matching("Bob"), output_dir=folder)
        assert len(json.loads((Path(folder) / told["filename"]).read_text())) == 1
        made = project.export_snapshot_create("Kept", task_filter_options={"annotated": "only"})
        assert project.export_snapshot_status(made["id"]).is_completed()
        status, name = project.export_snapshot_download(made["id"], path=folder)
        assert (status, len(json.loads((Path(folder) / name).read_text()))) == (200, 2)
    assert made["id"] in [item["id"] for item in project.export_snapshot_list()]
    assert project.export_snapshot_delete(made["id"]) == 204
    ids = project.get_tasks_ids()
    project.delete_task(ids[0])
    project.delete_tasks(ids[1:2])
    project.delete_all_tasks(excluded_ids=ids[2:3])
    assert project.get_tasks_ids() == ids[2:3]


def others(client: Any, used: set[str], at: str = "", without: type = object) -> dict[str, str]:
    """What is said to every method that no story has used, but for helpers of the client and those it inherits."""
    options = {
        "request_options": {"max_retries": 0},
        "google_application_credentials": __file__,
        "local_store_path": tempfile.gettempdir(),
        "external_id": "x",
    }
    asked = {name: method for name, method in methods(client, at) if name not in used}
    inherited = {at + name for name in dir(without)} | {"Client.log_response_error"}
    return {name: refused(method, options) for name, method in asked.items() if name not in inherited}


def reset_story(url: str, key: str, used: dict[str, set[str]]) -> None:
    """The opaque token reset by itself, twice: each time the old one ends; then all projects deleted."""
    second = Told(LabelStudio(base_url=url, api_key=key), used["modern"]).users.reset_token().token
    also = AsyncLabelStudio(base_url=url, api_key=second)
    third = Told(also, used["async"], asyncio.new_event_loop()).users.reset_token().token
    client = Client(url=url, api_key=third)
    Told(client, used["older"], at="Client.").delete_all_projects()
    assert client.get_projects() == []


def main(url: str, key: str) -> dict[str, object]:
    """Live through all stories with all clients, then ask for all the rest."""
    os.environ |= {"URL": url, "KEY": key, "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": "/"}
    used: dict[str, set[str]] = {"modern": {"users.reset_token"}, "async": set(), "older": set()}
    ls = LabelStudio(base_url=url, api_key=key)
    modern(Told(ls, used["modern"]), "Modern")
    also = AsyncLabelStudio(base_url=url, api_key=key)
    modern(Told(also, used["async"], asyncio.new_event_loop()), "Async")
    older = Client(url=url, api_key=key)
    project = older.get_project(older_client(Told(older, used["older"], at="Client.")))
    told = Told(project, used["older"], at="Project.")
    older_project(told)
    older_exports(told)
    used["older"].add("Client.delete_all_projects")
    refused_by = others(ls, used["modern"]), others(older, used["older"], "Client.")
    refused_by[1].update(others(project, used["older"], "Project.", Client))
    reset_story(url, key, used)
    return {"modern": sorted(used["modern"]), "async": sorted(used["async"]), "older": sorted(used["older"])} | {
        "refused": refused_by[0],
        "refused_older": refused_by[1],
        "version": version("label-studio-sdk"),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:]), indent=1))
