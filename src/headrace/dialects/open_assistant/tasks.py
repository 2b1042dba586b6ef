"""Tasks: what there is to do, being given it, taking it, refusing it, closing it."""

import random

from starlette.responses import Response

from headrace.core import persons, tree_tasks
from headrace.core.idempotency import Reply
from headrace.core.messages import TaskKind
from headrace.core.store import Tx
from headrace.core.text_labels import Mode, describe
from headrace.core.tree_choice import FAMILIES, Family
from headrace.core.tree_tasks import Task
from headrace.dialects.kit import Call, Told
from headrace.dialects.open_assistant import examples, wire, wire_tasks
from headrace.dialects.open_assistant.boundary import (
    BASE,
    acting,
    answer,
    body_of,
    dialect,
    json_value,
    named_user,
    nothing,
    number,
    query_of,
    reply,
    validated,
)
from headrace.dialects.open_assistant.ids import Kind, uuid_of
from headrace.dialects.open_assistant.translate import View, conversation, labels, spoken, view_of

K = TaskKind
TASKS = BASE + "/tasks"
TASK_ID = {"task_id": wire.UUID}
SHAPES: dict[TaskKind, type[wire_tasks.Task]] = {
    K.INITIAL_PROMPT: wire_tasks.InitialPromptTask,
    K.PROMPTER_REPLY: wire_tasks.PrompterReplyTask,
    K.ASSISTANT_REPLY: wire_tasks.AssistantReplyTask,
    K.LABEL_INITIAL_PROMPT: wire_tasks.LabelInitialPromptTask,
    K.LABEL_PROMPTER_REPLY: wire_tasks.LabelPrompterReplyTask,
    K.LABEL_ASSISTANT_REPLY: wire_tasks.LabelAssistantReplyTask,
    K.RANK_PROMPTER_REPLIES: wire_tasks.RankPrompterRepliesTask,
    K.RANK_ASSISTANT_REPLIES: wire_tasks.RankAssistantRepliesTask,
}


def task_shown(task: Task, view: View) -> wire_tasks.Task:
    """A task as the dialect shows it."""
    fields: dict[str, object] = {"id": uuid_of(task.work.id, Kind.TASK)}
    if task.kind is not K.INITIAL_PROMPT:
        fields["conversation"] = conversation(task.conversation, view)
    if task.kind in (K.INITIAL_PROMPT, K.PROMPTER_REPLY):
        fields["hint"] = None
    if FAMILIES.get(task.kind) is Family.LABELING:
        fields |= _labelling(task)
    elif FAMILIES.get(task.kind) is Family.RANKING:
        fields |= _ranking(task, view)
    return SHAPES[task.kind].model_validate(fields)


def _labelling(task: Task) -> dict[str, object]:
    message = task.conversation[-1]
    return {
        "message_id": uuid_of(message.id, Kind.MESSAGE),
        "valid_labels": list(task.details.valid),
        "mandatory_labels": list(task.details.mandatory),
        "mode": task.details.mode,
        "disposition": "quality" if task.details.mode is Mode.FULL else "spam",
        "labels": labels(describe(task.details.valid)),
        "prompt" if task.kind is K.LABEL_INITIAL_PROMPT else "reply": message.text,
    }


def _ranking(task: Task, view: View) -> dict[str, object]:
    parent = task.conversation[-1]
    return {
        "replies": [item.text for item in task.replies],
        "reply_messages": [spoken(item, view, reveal=task.reveal_synthetic) for item in task.replies],
        "message_tree_id": uuid_of(parent.tree_id, Kind.MESSAGE),
        "ranking_parent_id": uuid_of(parent.id, Kind.MESSAGE),
        "reveal_synthetic": task.reveal_synthetic,
    }


@dialect.route(
    "POST",
    TASKS,
    told=Told(takes=wire.TaskRequest, gives=wire_tasks.AnyTask, examples=examples.TASKS, slash=True),
)
async def request_task(call: Call) -> Response:
    """Ask for something to do: a task of a kind, or of any."""
    wanted = await body_of(call, wire.TaskRequest)
    identity = named_user(wanted.user)

    def give(tx: Tx) -> Reply:
        person = persons.recognised(tx, call.who, identity)
        task = tree_tasks.request(
            tx,
            call.who,
            person,
            wanted.type,
            lang="en" if wanted.lang is None else wanted.lang,
            collective=wanted.collective,
            rng=random.Random(),
        )
        return reply(task_shown(task, view_of(tx, call.who, person, [*task.conversation, *task.replies])))

    return await call.write_once(await call.body(), give)


@dialect.route(
    "POST",
    TASKS + "/availability",
    told=Told(
        takes=wire.User | None,
        query=wire.AvailabilityQuery,
        gives=dict[str, int],
        examples={"counts": dict.fromkeys(TaskKind, 1)},
    ),
)
async def task_availability(call: Call) -> Response:
    """How many tasks of each kind there are for a user in a language."""
    value = await json_value(call)
    identity = named_user(None if value is None else validated(wire.User, value, "body"))
    lang = query_of(call, wire.AvailabilityQuery).lang

    def look(tx: Tx) -> dict[TaskKind, int]:
        person = persons.recognised(tx, call.who, identity)
        return tree_tasks.availability(tx, call.who, person, lang, random.Random())

    return answer(await call.write(look))


@dialect.route("POST", TASKS + "/{task_id}/ack", told=Told(takes=wire.TaskAck, path=TASK_ID, status=204))
async def acknowledge_task(call: Call) -> Response:
    """Take a task, under the frontend's own id for it; again under the same id changes nothing."""
    task_id = number(call, "task_id", Kind.TASK)
    key = (await body_of(call, wire.TaskAck)).message_id
    await call.write(lambda tx: tree_tasks.acknowledge(tx, call.who, task_id, key, acting(tx, call)))
    return nothing()


@dialect.route("POST", TASKS + "/{task_id}/nack", told=Told(takes=wire.TaskNAck, path=TASK_ID, status=204))
async def refuse_task(call: Call) -> Response:
    """Skip a task: its message is not offered to the user again for this kind of work."""
    task_id = number(call, "task_id", Kind.TASK)
    reason = (await body_of(call, wire.TaskNAck)).reason
    await call.write(
        lambda tx: tree_tasks.refuse(tx, call.who, task_id, acting(tx, call), reason=reason, rng=random.Random())
    )
    return nothing()


@dialect.route("POST", TASKS + "/close", told=Told(takes=wire.TaskClose, gives=wire.TaskDone))
async def close_task(call: Call) -> Response:
    """End a collective task by the id under which it was acknowledged."""
    key = (await body_of(call, wire.TaskClose)).message_id
    closed = await call.write(lambda tx: tree_tasks.close(tx, call.who, key))
    return answer(wire.TaskDone(id=uuid_of(closed, Kind.TASK)))
