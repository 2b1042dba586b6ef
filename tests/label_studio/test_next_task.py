"""The next task: who is offered which, under a lease, and why nobody is."""

from collections.abc import Callable
from typing import Any

import pytest
from label_studio_api import choice, imported, make_project
from sqlalchemy import update
from starlette.testclient import TestClient

from conftest import ok
from headrace.app import Application
from headrace.core.shortlist import Aim
from headrace.core.store import Tx
from headrace.storage.schema_work import work

pytestmark = pytest.mark.server("shared")

Person = Callable[..., TestClient]
ANNOTATOR = {"default": ["annotator"]}


def tasks_of(api: TestClient, count: int, **fields: Any) -> tuple[int, list[int]]:
    """A project with so many tasks, and their ids."""
    project = make_project(api, **fields)
    return project, imported(api, project, [{"text": f"text {number}"} for number in range(count)])["task_ids"]


def asked(api: TestClient, project: int) -> Any:
    """What the next task is: the answer as it is."""
    return api.get(f"/api/projects/{project}/next/")


def next_id(api: TestClient, project: int) -> int | None:
    """The id of the next task, None when there is none."""
    answer = asked(api, project)
    return None if answer.status_code == 404 else ok(answer)["id"]


def annotate(api: TestClient, task: int | None, **fields: Any) -> Any:
    """Annotate a task."""
    return ok(api.post(f"/api/tasks/{task}/annotations/", json={"result": choice("Positive"), **fields}))


def skip(api: TestClient, task: int | None, **fields: Any) -> Any:
    """Skip a task."""
    return annotate(api, task, was_cancelled=True, result=[], **fields)


def expire(application: Application) -> None:
    """Let every lease run out."""
    over = update(work).values(lease_until=1)
    application.store.write(lambda tx: tx.session.run(over))  # type: ignore[attr-defined]


def test_tasks_come_in_the_order_of_their_ids(api: TestClient) -> None:
    """Each annotation makes way for the next task, and at the end a 404 says why there is none."""
    project, ids = tasks_of(api, 3)
    seen = []
    while (task := next_id(api, project)) is not None:
        seen.append(task)
        annotate(api, task)
    assert seen == ids
    body = asked(api, project).json()
    assert body["detail"] == "There are no tasks for admin@example.org"
    assert "validation_errors" not in body
    assert body["reason"] == {"task_number": 3, "finished": 3, "done_by_you": 0, "leased_by_others": 0}


def test_next_task_is_the_task_with_its_lease(api: TestClient) -> None:
    """The answer is the task as it is shown alone, with the queue it came from and the lock; asked again, the same."""
    project, ids = tasks_of(api, 2)
    first, again = ok(asked(api, project)), ok(asked(api, project))
    assert (first["queue"], again["queue"]) == ("Sequence queue", "Task lock")
    assert first["unique_lock_id"] == again["unique_lock_id"]
    shown = ok(api.get(f"/api/tasks/{ids[0]}/"))
    assert {name: first[name] for name in shown} == shown


def test_two_people_get_different_tasks(api: TestClient, person: Person) -> None:
    """What one person holds is not offered to another; when all is leased, the 404 says so."""
    ann, bob = person("ann", **ANNOTATOR), person("bob", **ANNOTATOR)
    project, ids = tasks_of(api, 2)
    assert [next_id(ann, project), next_id(bob, project)] == ids
    assert asked(api, project).json()["reason"]["leased_by_others"] == 2


def test_overlap_wants_different_people(api: TestClient, person: Person) -> None:
    """With an overlap of two everybody gets each task once, two people finish it, and a third gets nothing."""
    people = [person(name, **ANNOTATOR) for name in ("ann", "bob", "cat")]
    project, ids = tasks_of(api, 2, maximum_annotations=2)
    for someone in people[:2]:
        for task in ids:
            assert next_id(someone, project) == task
            annotate(someone, task)
        assert asked(someone, project).status_code == 404
    assert next_id(people[2], project) is None
    assert ok(api.get(f"/api/projects/{project}/"))["finished_task_number"] == 2
    task = ok(api.get(f"/api/tasks/{ids[0]}/"))
    assert (task["is_labeled"], task["completed_at"] is None) == (True, False)


def test_deleting_an_annotation_brings_the_task_back(api: TestClient) -> None:
    """A finished task whose annotation is deleted is offered again, also to its author and behind their place."""
    project, ids = tasks_of(api, 3)
    made = [annotate(api, next_id(api, project))["id"] for _ in range(3)]
    assert next_id(api, project) is None
    api.delete(f"/api/annotations/{made[1]}/")
    assert next_id(api, project) == ids[1]
    assert ok(api.get(f"/api/tasks/{ids[1]}/"))["completed_at"] is None


def test_lease_ends_by_time(application: Application, api: TestClient, person: Person) -> None:
    """A task whose lease ran out goes to the next who asks."""
    ann, bob = person("ann", **ANNOTATOR), person("bob", **ANNOTATOR)
    project, ids = tasks_of(api, 1)
    assert next_id(ann, project) == ids[0]
    assert next_id(bob, project) is None
    expire(application)
    assert next_id(bob, project) == ids[0]


def test_any_annotation_ends_the_lease(api: TestClient, person: Person) -> None:
    """Also a task that was annotated without asking for it again makes way for the next."""
    ann = person("ann", **ANNOTATOR)
    project, ids = tasks_of(api, 2, maximum_annotations=2)
    assert next_id(ann, project) == ids[0]
    annotate(ann, ids[0])
    assert [next_id(ann, project), next_id(api, project)] == [ids[1], ids[0]]


def test_skipped_task_goes_to_others(api: TestClient, person: Person) -> None:
    """By default a skipped task is offered to others and never to the skipper; the reason is kept."""
    ann, bob = person("ann", **ANNOTATOR), person("bob", **ANNOTATOR)
    project, ids = tasks_of(api, 1)
    made = skip(ann, next_id(ann, project), reason="not my language")
    assert (made["was_cancelled"], made["skip_reason"]) == (True, "not my language")
    assert next_id(ann, project) is None
    assert next_id(bob, project) == ids[0]


def test_skipped_task_comes_back_last(api: TestClient) -> None:
    """With REQUEUE_FOR_ME a skipped task comes again after all others, as often as it is skipped."""
    project, ids = tasks_of(api, 3, skip_queue="REQUEUE_FOR_ME")
    for task in ids[:2]:
        assert next_id(api, project) == task
        skip(api, task)
    seen = []
    for _ in range(3):
        seen.append(next_id(api, project))
        annotate(api, seen[-1])
    assert seen == [ids[2], ids[0], ids[1]]
    assert next_id(api, project) is None


def test_ignored_skip_finishes_the_task(api: TestClient, person: Person) -> None:
    """With IGNORE_SKIPPED a skip counts as an annotation: the task is finished, for everybody and in the counters."""
    ann = person("ann", **ANNOTATOR)
    project, ids = tasks_of(api, 2, skip_queue="IGNORE_SKIPPED")
    skip(ann, next_id(ann, project))
    assert next_id(api, project) == ids[1]
    assert ok(api.get(f"/api/tasks/{ids[0]}/"))["is_labeled"] is True
    shown = ok(ann.get(f"/api/projects/{project}/"))
    assert [shown[name] for name in ("finished_task_number", "queue_total", "queue_done")] == [1, 2, 1]


def test_changed_overlap_changes_the_queue(api: TestClient, person: Person) -> None:
    """Raising the overlap brings finished tasks back to others, lowering it finishes what has enough people."""
    bob = person("bob", **ANNOTATOR)
    project, ids = tasks_of(api, 2)
    for _ in ids:
        annotate(api, next_id(api, project))
    ok(api.patch(f"/api/projects/{project}/", json={"maximum_annotations": 2}))
    assert [next_id(api, project), next_id(bob, project)] == [None, ids[0]]
    ok(api.patch(f"/api/projects/{project}/", json={"maximum_annotations": 1}))
    assert asked(api, project).json()["reason"]["finished"] == 2


def test_begun_tasks_come_first(api: TestClient, person: Person) -> None:
    """With show_overlap_first a task that somebody has annotated comes before untouched ones."""
    bob = person("bob", **ANNOTATOR)
    project, ids = tasks_of(api, 3, maximum_annotations=2, show_overlap_first=True)
    annotate(api, ids[2])
    found = ok(asked(bob, project))
    assert (found["id"], found["queue"], found["annotations"]) == (ids[2], "Show overlap first", [])


def test_ground_truth_comes_first(api: TestClient, person: Person) -> None:
    """With show_ground_truth_first a task with ground truth comes before others that were begun."""
    bob = person("bob", **ANNOTATOR)
    project, ids = tasks_of(api, 3, maximum_annotations=2, show_ground_truth_first=True)
    annotate(api, ids[1])
    annotate(api, ids[2], ground_truth=True)
    assert next_id(bob, project) == ids[2]


@pytest.mark.server("own")
def test_exception_brings_a_finished_task_back(api: TestClient) -> None:
    """A task that a consumer tags as an exception comes first, until somebody answers it."""
    project = make_project(api)
    dataset = ok(api.get("/api/v1/datasets"))["datasets"][0]
    base = f"/api/v1/datasets/{dataset['owner']}/{dataset['name']}"
    ok(api.put(f"{base}/streams", json={"stream": {"name": "s"}}))
    ids = imported(api, project, [{"text": "a"}, {"text": "b"}, {"text": "c"}])["task_ids"]
    annotate(api, ids[1])
    fetched = ok(api.post(f"{base}/streams/s/fetch", json={"size": 10}))["results"]
    uid = fetched[1]["comment"]["uid"]
    tag = {"exceptions": [{"uid": uid, "metadata": {"type": "no match"}}]}
    ok(api.put(f"{base}/streams/s/exceptions", json=tag))
    found = ok(asked(api, project))
    assert (found["id"], found["queue"]) == (ids[1], "Exceptions first")
    annotate(api, ids[1])
    assert next_id(api, project) == ids[0]


def test_uncertain_tasks_come_first(api: TestClient) -> None:
    """Uncertainty sampling offers the lowest score first, and what has no prediction last."""
    project = make_project(api, sampling="Uncertainty sampling")
    scores = [0.9, None, 0.2, 0.5]
    rows = [
        {"data": {"text": "t"}, "predictions": [{"result": choice("Positive"), "score": score}] if score else []}
        for score in scores
    ]
    ids = imported(api, project, rows)["task_ids"]
    seen = []
    while (task := next_id(api, project)) is not None:
        seen.append(task)
        annotate(api, task)
    assert seen == [ids[2], ids[3], ids[0], ids[1]]


def test_uniform_sampling_misses_nothing(api: TestClient) -> None:
    """Uniform sampling offers every task once."""
    project, ids = tasks_of(api, 12, sampling="Uniform sampling")
    seen = []
    while (task := next_id(api, project)) is not None:
        seen.append(task)
        annotate(api, task)
    assert sorted(seen) == ids


def test_history_is_the_callers_own(api: TestClient, person: Person) -> None:
    """The label stream history lists what the caller annotated, newest last."""
    ann = person("ann", **ANNOTATOR)
    project, ids = tasks_of(api, 3)
    annotate(api, ids[1])
    made = [annotate(ann, ids[2]), annotate(ann, ids[0])]
    found = ok(ann.get(f"/api/projects/{project}/label-stream-history/"))
    assert found == [{"taskId": item["task"], "annotationId": item["id"]} for item in made]


def test_reader_is_offered_nothing(api: TestClient, person: Person) -> None:
    """Who may not annotate gets 403 and no lease; who sees nothing of the project gets 404."""
    project, ids = tasks_of(api, 1)
    assert asked(person("eve", default=["viewer"]), project).status_code == 403
    assert asked(person("mal"), project).json()["detail"] == "No Project matches the given query."
    assert next_id(api, project) == ids[0]


def test_new_tasks_reach_who_was_drained(api: TestClient) -> None:
    """Whoever had come to the end of the queue is offered what is imported later."""
    project, _ = tasks_of(api, 1, maximum_annotations=2)
    annotate(api, next_id(api, project))
    assert next_id(api, project) is None
    later = imported(api, project, [{"text": "new"}])["task_ids"]
    assert next_id(api, project) == later[0]


def test_imported_annotations_finish_tasks(api: TestClient) -> None:
    """A task that comes with its annotation is not offered."""
    project = make_project(api)
    rows = [{"data": {"text": "a"}, "annotations": [{"result": choice("Positive")}]}, {"data": {"text": "b"}}]
    ids = imported(api, project, rows)["task_ids"]
    assert next_id(api, project) == ids[1]


def test_deleted_tasks_are_not_offered(api: TestClient) -> None:
    """A deleted task leaves the queue, also while somebody holds it."""
    project, ids = tasks_of(api, 3)
    assert next_id(api, project) == ids[0]
    for task in ids[:2]:
        api.delete(f"/api/tasks/{task}/")
    assert next_id(api, project) == ids[2]


def why(api: TestClient, task: int) -> Any:
    """How a task stands for the caller."""
    dataset = ok(api.get("/api/v1/datasets"))["datasets"][0]
    return ok(api.get(f"/headrace/v1/datasets/{dataset['owner']}/{dataset['name']}/tasks/{task}/why"))


def codes(standing: Any) -> list[str]:
    """The codes of the reasons."""
    return [reason["code"] for reason in standing["reasons"]]


@pytest.mark.server("own")
def test_why_tells_what_keeps_a_task(api: TestClient, person: Person) -> None:
    """A task says for each person whether it waits, is held, is done, was skipped, and how many it still wants."""
    ann, bob = person("ann", **ANNOTATOR), person("bob", **ANNOTATOR)
    project, ids = tasks_of(api, 3)
    assert codes(why(ann, ids[0])) == ["waiting"]
    next_id(ann, project)
    assert (codes(why(ann, ids[0])), codes(why(bob, ids[0]))) == (["yours"], ["leased"])
    assert [lease["yours"] for lease in why(bob, ids[0])["leases"]] == [False]
    skip(ann, ids[0])
    annotate(ann, ids[1])
    assert (codes(why(ann, ids[0])), why(ann, ids[0])["available"]) == (["skipped"], False)
    assert codes(why(bob, ids[1])) == ["finished"]
    assert codes(why(ann, ids[1])) == ["finished", "annotated"]


@pytest.mark.server("own")
def test_released_task_goes_on(api: TestClient, person: Person) -> None:
    """A task that is given back is free at once; giving back what one does not hold is 404."""
    ann, bob = person("ann", **ANNOTATOR), person("bob", **ANNOTATOR)
    project, ids = tasks_of(api, 1)
    next_id(ann, project)
    dataset = ok(api.get("/api/v1/datasets"))["datasets"][0]
    path = f"/headrace/v1/datasets/{dataset['owner']}/{dataset['name']}/tasks/{ids[0]}/release"
    assert bob.post(path).status_code == 404
    assert ann.post(path).status_code == 204
    assert next_id(bob, project) == ids[0]


@pytest.mark.parametrize("path", ["999999/why", "0/why", "x/why"])
def test_why_knows_only_tasks_of_the_dataset(api: TestClient, path: str) -> None:
    """A task that is not the dataset's own is not found."""
    tasks_of(api, 1)
    dataset = ok(api.get("/api/v1/datasets"))["datasets"][0]
    answer = api.get(f"/headrace/v1/datasets/{dataset['owner']}/{dataset['name']}/tasks/{path}")
    assert answer.status_code == 404


def test_queue_holds_only_what_is_unfinished(both: TestClient, either: Application) -> None:
    """Annotating, skipping, revising and deleting keep the queue at exactly the unfinished tasks, on both databases."""
    project, ids = tasks_of(both, 4, maximum_annotations=1)

    def queued() -> list[int]:
        def read(tx: Tx) -> list[int]:
            return tx.queue.after(project, 0, 100)

        return either.store.read(read)

    made = annotate(both, next_id(both, project))
    skip(both, next_id(both, project))
    assert queued() == ids[1:]
    ok(both.patch(f"/api/annotations/{made['id']}/", json={"was_cancelled": True}))
    assert queued() == ids
    ok(both.patch(f"/api/annotations/{made['id']}/", json={"was_cancelled": False}))
    both.delete(f"/api/tasks/{ids[3]}/")
    assert queued() == ids[1:3]
    assert next_id(both, project) == ids[2]


@pytest.mark.parametrize(("title", "aim"), [("Label need", Aim.NEED), ("Novelty", Aim.NOVELTY)])
def test_the_shortlist_comes_first(application: Application, api: TestClient, title: str, aim: Aim) -> None:
    """An order with an aim offers what is most worth labelling first, and then the rest, so that none is missed."""
    project, ids = tasks_of(api, 4, sampling=f"{title} sampling")
    application.store.write(lambda tx: tx.shortlists.offer(project, [ids[1], ids[3]], {aim: [0.4, 0.9]}))
    offered = []
    while (task := next_id(api, project)) is not None:
        offered.append(task)
        annotate(api, task)
    assert offered == [ids[3], ids[1], ids[0], ids[2]]
