"""Text labels: labelling and reporting messages that nobody asked about, and the labels there are."""

import random

from starlette.responses import Response

from headrace.core import persons, text_labels, tree_review
from headrace.core.store import Tx
from headrace.dialects.kit import Call, Told
from headrace.dialects.open_assistant import wire
from headrace.dialects.open_assistant.boundary import BASE, answer, body_of, dialect, identity, nothing, query_of
from headrace.dialects.open_assistant.ids import Kind, number_of
from headrace.dialects.open_assistant.interactions import reviewed
from headrace.dialects.open_assistant.translate import labels

LABELS = BASE + "/text_labels"


@dialect.route("POST", LABELS, told=Told(takes=wire.TextLabels, status=204, slash=True))
async def label_message(call: Call) -> Response:
    """Label or report a message; with a task_id, answer that labelling task."""
    said = await body_of(call, wire.TextLabels)
    message_id = number_of(said.message_id, Kind.MESSAGE)
    report = said.text if said.is_report else None

    def label(tx: Tx) -> None:
        person = persons.ensure(tx, call.who, identity(said.user))
        if said.task_id is not None:
            reviewed(tx, call, person, said, random.Random())
        if said.task_id is None or report is not None:
            tree_review.label(tx, call.who, person, message_id, said.labels, report=report, rng=random.Random())

    await call.write(label)
    return nothing()


@dialect.route("GET", LABELS + "/valid_labels", told=Told(query=wire.ValidLabelsQuery, gives=wire.ValidLabels))
async def valid_labels(call: Call) -> Response:
    """The labels that a message, or messages in general, can be given."""
    named = query_of(call, wire.ValidLabelsQuery).message_id
    message_id = None if named is None else number_of(named, Kind.MESSAGE)
    found = await call.read(lambda tx: tree_review.valid_labels(tx, call.who, message_id))
    return answer(wire.ValidLabels(valid_labels=labels(found)))


@dialect.route("GET", LABELS + "/report_labels", public=True, told=Told(gives=wire.ValidLabels))
async def report_labels(call: Call) -> Response:
    """The labels for reporting a message; anybody may read them."""
    return answer(wire.ValidLabels(valid_labels=labels(text_labels.describe(text_labels.REPORT))))
