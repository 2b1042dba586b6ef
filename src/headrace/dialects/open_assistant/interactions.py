"""Interactions: answers to tasks, told apart by which of four shapes fits first."""

import random

from pydantic import ValidationError
from starlette.responses import Response

from headrace.core import messages, persons, tree_answers, tree_review
from headrace.core.faults import Fault, fault
from headrace.core.idempotency import Reply
from headrace.core.persons import Person
from headrace.core.store import Tx
from headrace.core.tree_answers import Order, Text
from headrace.dialects.kit import Call, Told
from headrace.dialects.open_assistant import wire
from headrace.dialects.open_assistant.boundary import (
    Unprocessable,
    dialect,
    identity,
    issue,
    issues_in,
    json_value,
    reply,
)
from headrace.dialects.open_assistant.ids import Kind, number_of, uuid_of
from headrace.dialects.open_assistant.tasks import TASKS


def interaction_in(value: object) -> wire.Interaction:
    """The first of the four shapes that fits; raises Unprocessable with what is wrong with each of them."""
    issues = []
    for shape in wire.INTERACTIONS:
        try:
            return shape.model_validate(value)
        except ValidationError as error:
            issues += issues_in(error, "body")
    if value is None:
        issues = [issue(("body",), "value_error.missing", "field required")]
    raise Unprocessable("the request is none of the interactions", fields={"issues": issues})


@dialect.route("POST", TASKS + "/interaction", told=Told(takes=wire.Interaction, gives=wire.TaskDone))
async def interact(call: Call) -> Response:
    """Answer a task: with a text, a ranking or labels."""
    said = interaction_in(await json_value(call))

    def take(tx: Tx) -> Reply:
        person = persons.recognised(tx, call.who, identity(said.user))
        return reply(wire.TaskDone(id=uuid_of(_taken(tx, call, person, said), Kind.ANSWER)))

    return await call.write_once(await call.body(), take)


def _taken(tx: Tx, call: Call, person: Person, said: wire.Interaction) -> int:
    """The id of what an interaction made."""
    rng = random.Random()
    if isinstance(said, wire.TextReplyToMessage):
        text = Text(key=said.message_id, frontend_id=said.user_message_id, text=said.text, lang=said.lang)
        return tree_answers.write(tx, call.who, person, text, rng)
    if isinstance(said, wire.MessageRanking):
        order = Order(key=said.message_id, ranking=said.ranking, not_rankable=said.not_rankable)
        return tree_answers.rank(tx, call.who, person, order, rng)
    if isinstance(said, wire.TextLabels):
        return reviewed(tx, call, person, said, rng)
    messages.by_frontend_id(tx, call.who, said.message_id)
    raise fault(Fault.TASK_PAYLOAD_MISMATCH, "no task asks for a rating")


def reviewed(tx: Tx, call: Call, person: Person, said: wire.TextLabels, rng: random.Random) -> int:
    """Answer a labelling task; raises task_not_found without one."""
    if said.task_id is None:
        raise fault(Fault.TASK_NOT_FOUND, "the labels name no task")
    task_id, message_id = number_of(said.task_id, Kind.TASK), number_of(said.message_id, Kind.MESSAGE)
    return tree_review.review(tx, call.who, person, task_id, message_id, said.labels, rng=rng)
