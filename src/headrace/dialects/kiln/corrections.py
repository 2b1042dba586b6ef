"""Corrections: the rules that open them, who gets the next one, and the repair that ends it."""

import json
from collections.abc import Mapping

from starlette.responses import Response

from headrace.core import corrections, run_values
from headrace.core.correction_rules import Ending, Rules
from headrace.core.corrections import Standing
from headrace.core.idempotency import Reply
from headrace.core.run_values import Document
from headrace.core.runs import Writing
from headrace.core.store import Tx
from headrace.core.times import format_timestamp
from headrace.dialects.kiln import wire
from headrace.dialects.kiln.boundary import TASK, dialect, ident, json_body, number, place, query_count, query_issue
from headrace.dialects.kiln.run_lists import readable
from headrace.dialects.kiln.translate import checker, run_text
from headrace.dialects.kit import Call, json_answer

RULES = TASK + "/feedback_rules"
CORRECTIONS = TASK + "/corrections"
CORRECTION = CORRECTIONS + "/{correction}"
OPEN, OFFERED = "open", "offered"
STATES: Mapping[str, Ending | None] = {
    OPEN: None,
    OFFERED: None,
    Ending.DONE.value: Ending.DONE,
    Ending.WITHDRAWN.value: Ending.WITHDRAWN,
}
PAGE, LARGEST_PAGE = 100, 1_000
NOTHING = "There is nothing for you to correct at the moment."


@dialect.route("GET", RULES)
async def get_feedback_rules(call: Call) -> Response:
    """When a rating or feedback opens a correction."""
    wanted = place(call)
    return json_answer(await call.read(lambda tx: _rules_json(corrections.get_rules(tx, call.who, wanted))))


@dialect.route("PUT", RULES)
async def put_feedback_rules(call: Call) -> Response:
    """Set when a rating or feedback opens a correction, from now on."""
    wanted, body = place(call), await json_body(call, wire.FeedbackRules)
    limit = body.rating_at_most
    said = {scale.value: value for scale, value in limit.items()} if isinstance(limit, dict) else limit
    rules = Rules(rating_at_most=said, feedback=body.feedback)
    return json_answer(_rules_json(await call.write(lambda tx: corrections.put_rules(tx, call.who, wanted, rules))))


def _rules_json(rules: Rules) -> Document:
    return {"rating_at_most": rules.rating_at_most, "feedback": rules.feedback}


@dialect.route("GET", CORRECTIONS)
async def list_corrections(call: Call) -> Response:
    """Corrections, oldest first: those that are open, or those in a state; `next` goes on behind the page."""
    wanted, state = place(call), call.query("state")
    if state is not None and state not in STATES:
        raise query_issue("state", "enum", f"Input should be one of {', '.join(STATES)}", state)
    after = number(call.query("after") or "")
    limit = query_count(call, "limit", LARGEST_PAGE) or PAGE
    ending = None if state is None else STATES[state]
    found = await call.read(lambda tx: corrections.page(tx, call.who, wanted, ending, after, limit))
    told = [_correction_json(call, item) for item in found]
    following = str(found[-1].correction.id) if len(found) == limit else None
    return json_answer({"corrections": [item for item in told if state in (None, item["state"])], "next": following})


def _correction_json(call: Call, item: Standing) -> Document:
    known, lease = item.correction, item.lease
    text = readable(item.record, ())
    run: Document = {} if text is None else json.loads(text)
    repaired = run.get("repaired_output") or {}
    return {
        "id": str(known.id),
        "run_id": str(known.record_id),
        "state": known.outcome or (OPEN if lease is None else OFFERED),
        "reason": known.reason,
        "input": run.get("input"),
        "output": (run.get("output") or {}).get("output"),
        "repaired_output": repaired.get("output"),
        "rating": run_values.rating_of(run),
        "feedback": [said.text for said in item.feedback],
        "opened_at": format_timestamp(known.opened_at),
        "closed_at": None if known.closed_at is None else format_timestamp(known.closed_at),
        "yours": lease is not None and lease.person_id == call.who.user_id,
        "lease_until": None if lease is None or lease.lease_until is None else format_timestamp(lease.lease_until),
    }


@dialect.route("POST", CORRECTIONS + "/next")
async def next_correction(call: Call) -> Response:
    """Lease the next correction to the caller; 404 when there is none for them."""
    wanted = place(call)
    found = await call.write(lambda tx: corrections.take(tx, call.who, wanted))
    return json_answer({"message": NOTHING}, 404) if found is None else json_answer(_correction_json(call, found))


@dialect.route("POST", CORRECTION)
async def correct(call: Call) -> Response:
    """Repair the run, which ends its correction; answers the run."""
    wanted, correction = place(call), ident(call, "correction")
    body = await json_body(call, wire.CorrectedOutput)
    source = {"type": "human", "properties": {"created_by": call.who.username}}
    change = {
        "repair_instructions": body.instructions,
        "repaired_output": {"output": body.output, "source": source},
    }

    def write(tx: Tx) -> Reply:
        how = Writing(check=checker(call.who.username, change))
        outcome = corrections.answer(tx, call.who, wanted, correction, change, how)
        return Reply(200, run_text(outcome.record).encode())

    return await call.write_once(await call.body(), write)


@dialect.route("POST", CORRECTION + "/release")
async def release_correction(call: Call) -> Response:
    """Give the caller's lease back, so that others may have it at once."""
    return await _give_back(call, None, skip=False)


@dialect.route("POST", CORRECTION + "/skip")
async def skip_correction(call: Call) -> Response:
    """Leave a correction to others, for a reason; the caller does not get it again."""
    body = await json_body(call, wire.Skipped)
    return await _give_back(call, body.reason, skip=True)


async def _give_back(call: Call, reason: str | None, *, skip: bool) -> Response:
    wanted, correction = place(call), ident(call, "correction")
    await call.write(lambda tx: corrections.give_back(tx, call.who, wanted, correction, reason, skip=skip))
    return json_answer({"success": True})
