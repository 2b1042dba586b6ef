"""Kiln runs as objects."""

import asyncio

import pytest
from client_world import connect, connect_async, server

from headrace.app import Application
from headrace.client import BatchFailed, Client, Conflict, Invalid, NotFound, Run, Tags, Task

__all__ = ["server"]


def task_of(client: Client) -> Task[Client]:
    """A task without runs."""
    return client.project("default").create_task("Answer", "Answer the mail.")


def run_of(task: Task[Client], text: str = "hello") -> Run[Client]:
    """A new run."""
    return task.create_run(
        input=text, output="world", model_name="m", model_provider="p", adapter_name="a", tags=["first"]
    )


def test_saving_sends_only_what_changed(server: Application) -> None:
    """Rating and tagging are local until one PATCH with just them; the answer becomes the document."""
    client, through = connect(server)
    run = run_of(task_of(client))
    run.rate(5)
    run.tags.add("golden")
    assert run.changes == {"output": {"rating": {"type": "five_star", "value": 5.0}}, "tags": ["first", "golden"]}
    run.save()
    run.save()
    assert through.count("PATCH", f"/runs/{run.id}") == 1
    assert (run.rating, run.changes) == (5.0, {})
    assert run.output.rating.requirement_ratings == {}


def test_a_saved_run_is_what_the_server_has(server: Application) -> None:
    """Every kind of change arrives: attributes, tags, requirement ratings, a repair, and taking them back."""
    client, _ = connect(server)
    task = task_of(client)
    run = run_of(task)
    run.rate(1, scale="pass_fail", requirement="named::tone")
    run.rate(4)
    run.repair("World!", "Use a capital letter.", by="somebody")
    run.tags.discard("first")
    run.intermediate_outputs = {"reasoning": "none"}
    run.save()
    again = task.run(run.id)
    assert again.document == run.document
    assert again.output.rating.requirement_ratings["named::tone"] == {"value": 1.0, "type": "pass_fail"}
    assert (again.rating, list(again.tags), again.repaired_output.output) == (4.0, [], "World!")
    again.rate(None, requirement="named::tone")
    again.repair("WORLD", "Shout.")
    again.rate(None)
    again.save()
    assert (task.run(run.id).rating, again.output.rating) == (None, None)
    assert task.run(run.id).repaired_output.output == "WORLD"


def test_tags_are_a_set_that_keeps_its_order() -> None:
    """Adding twice adds once, discarding takes every occurrence, and set operations work."""
    document = {"tags": ["b", "a", "b"]}
    tags = Tags(document)
    tags.add("b")
    tags.add("c")
    tags.discard("b")
    tags |= {"a", "d"}
    assert document["tags"] == list(tags) == ["a", "c", "d"]
    assert tags | {"e"} == {"a", "c", "d", "e"}
    assert "a" in tags
    assert len(tags) == 3


def test_a_refused_change_stays_local(server: Application) -> None:
    """What the server refuses is raised with its reason, and the change is still there to be corrected."""
    client, _ = connect(server)
    run = run_of(task_of(client))
    run.rate(9)
    with pytest.raises(Invalid, match="between 1 and 5"):
        run.save()
    assert run.changes["output"]["rating"]["value"] == 9.0
    run.rate(2)
    run.save()
    assert run.rating == 2.0


def test_a_strict_save_refuses_to_overwrite(server: Application) -> None:
    """A run that has changed meanwhile is a conflict, whether it was read by id or from a list."""
    client, _ = connect(server)
    task = task_of(client)
    mine = run_of(task)
    listed = next(task.runs())
    theirs = task.run(mine.id)
    theirs.tags.add("theirs")
    theirs.save(strict=True)
    for run in (mine, listed):
        run.rate(3)
        with pytest.raises(Conflict):
            run.save(strict=True)
    mine.reload()
    mine.rate(3)
    mine.save(strict=True)
    assert list(mine.tags) == ["first", "theirs"]


def test_lists_are_read_page_by_page(server: Application) -> None:
    """No page is asked for before its runs are wanted, and filters are the server's."""
    client, through = connect(server)
    task = task_of(client)
    runs = [run_of(task, str(number)) for number in range(5)]
    runs[1].rate(5)
    runs[1].save()
    found = task.runs(page=2)
    assert next(found).input == "4"
    assert through.count("GET", "/runs") == 1
    assert [run.input for run in found] == ["3", "2", "1", "0"]
    assert [run.input for run in task.runs(rated=True)] == ["1"]
    assert [run.id for run in task.runs(tag="nothing")] == []


def test_a_batch_saves_many_runs_at_once(server: Application) -> None:
    """One PATCH per task carries all changes; each run then counts as saved."""
    client, through = connect(server)
    task = task_of(client)
    runs = [run_of(task, str(number)) for number in range(4)]
    with client.batch() as batch:
        for run in runs[1:]:
            run.rate(5)
            batch.save(run)
        batch.save(runs[0])
    assert through.count("PATCH", "/runs") == 1
    assert [(saved.id, saved.error) for saved in batch.results] == [(run.id, None) for run in runs[1:]]
    assert all(run.changes == {} for run in runs)
    assert len(list(task.runs(rated=True))) == 3
    runs[1].tags.add("after")
    runs[1].save(strict=True)


def test_a_refused_run_of_a_batch_is_told(server: Application) -> None:
    """The others are saved; the error has a result for every run."""
    client, _ = connect(server)
    task = task_of(client)
    good, bad = run_of(task), run_of(task)
    good.rate(5)
    bad.rate(9)
    batch = client.batch()
    batch.save(good)
    batch.save(bad)
    with pytest.raises(BatchFailed, match="1 of 2 runs") as caught, batch:
        pass
    assert isinstance(caught.value.results[1].error, Invalid)
    assert (good.changes, task.run(good.id).rating, task.run(bad.id).rating) == ({}, 5.0, None)


def test_a_block_that_fails_sends_no_batch(server: Application) -> None:
    """An error inside the block leaves everything unsaved."""
    client, through = connect(server)
    run = run_of(task_of(client))
    run.rate(5)
    batch = client.batch()
    batch.save(run)
    with pytest.raises(ZeroDivisionError), batch:
        _ = 1 / 0
    assert through.count("PATCH", "/runs") == 0


def test_feedback_is_a_record_of_its_own(server: Application) -> None:
    """Feedback is sent at once, and listed."""
    client, _ = connect(server)
    run = run_of(task_of(client))
    run.feedback("too short")
    run.feedback("but right")
    assert [item["feedback"] for item in run.feedbacks()] == ["too short", "but right"]


def test_a_run_is_found_by_the_callers_own_key(server: Application) -> None:
    """An upsert makes the run once and changes it afterwards."""
    client, _ = connect(server)
    task = task_of(client)
    made = task.upsert("chat/7", {"input": "a", "output": {"output": "b"}})
    again = task.upsert("chat/7", {"output": {"rating": {"value": 4}}})
    assert made.id == again.id == task.by_external_id("chat/7").id
    assert again.rating == 4.0
    again.delete()
    with pytest.raises(NotFound, match="not found"):
        task.run(made.id)


def test_the_asyncio_client_saves_alike(server: Application) -> None:
    """The same objects, awaited."""
    client, _ = connect(server)
    task = task_of(client)
    run_of(task)

    async def rate() -> None:
        async with connect_async(server) as other:
            runs = [run async for run in other.task(task.project_id, task.id).runs()]
            runs[0].rate(3)
            await runs[0].save()
            async with other.batch() as batch:
                runs[0].tags.add("async")
                batch.save(runs[0])

    asyncio.run(rate())
    (run,) = task.runs()
    assert (run.rating, list(run.tags)) == (3.0, ["first", "async"])
    assert [known.id for known in client.project("default").tasks() if known.id == task.id] == [task.id]
