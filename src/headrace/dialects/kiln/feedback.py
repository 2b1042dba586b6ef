"""Feedback on runs."""

from typing import Any

from starlette.responses import Response

from headrace.core import feedback, origins
from headrace.core.idempotency import Reply
from headrace.core.store import Tx
from headrace.dialects.kiln import wire
from headrace.dialects.kiln.boundary import RUN, dialect, ident, json_body, place
from headrace.dialects.kiln.translate import feedback_json, origin_json
from headrace.dialects.kit import Call, json_answer, json_reply


@dialect.route("POST", RUN + "/feedback")
async def give_feedback(call: Call) -> Response:
    """Say something of a run; several people, and one several times, may."""
    wanted, run, body = place(call), ident(call, "run"), await json_body(call, wire.NewFeedback)

    def give(tx: Tx) -> Reply:
        made = feedback.add(tx, call.who, wanted, run, text=body.feedback, origin=body.source)
        return json_reply(feedback_json(made, tx.users.get(made.author_id), None))

    return await call.write_once(await call.body(), give)


@dialect.route("GET", RUN + "/feedback")
async def list_feedback(call: Call) -> Response:
    """All feedback on a run, oldest first."""
    wanted, run, with_origin = place(call), ident(call, "run"), "origin" in call.queries("include")

    def read(tx: Tx) -> list[dict[str, Any]]:
        found, people = feedback.of_run(tx, call.who, wanted, run)
        known = tx.origins.of(origins.FEEDBACK, [item.id for item in found])
        return [
            feedback_json(item, people.get(item.author_id), known.get(item.id))
            | (origin_json(known.get(item.id)) if with_origin else {})
            for item in found
        ]

    return json_answer(await call.read(read))


@dialect.route("DELETE", RUN + "/feedback/{feedback}")
async def delete_feedback(call: Call) -> Response:
    """Delete feedback."""
    wanted, run, number = place(call), ident(call, "run"), ident(call, "feedback")
    await call.write(lambda tx: feedback.remove(tx, call.who, wanted, run, number))
    return json_answer(None)
