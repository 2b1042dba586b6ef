"""Changes to many runs at once: tags, deletion, and a partial run for each."""

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

from starlette.responses import Response

from headrace.core import run_values, runs
from headrace.core.errors import HeadraceError, TooLarge
from headrace.core.idempotency import Reply
from headrace.core.run_values import Document
from headrace.core.runs import Outcome
from headrace.core.store import Tx
from headrace.dialects.kiln import wire
from headrace.dialects.kiln.boundary import (
    RUNS,
    body_of,
    dialect,
    issue,
    json_body,
    json_value,
    number,
    place,
    query_flag,
    status_of,
    unprocessable,
)
from headrace.dialects.kiln.runs import refuse_eval_source, writing
from headrace.dialects.kiln.translate import checker, etag
from headrace.dialects.kit import Call, json_answer, json_reply

MOST_RUNS = 10_000
MOST_PATCHES = 1_000
AT_ONCE = 100
EDITED_AT_ONCE = 100
SUCCESS = {"success": True}


def _reply(call: Call, asked: Sequence[str], unknown: set[int], error: str) -> Reply:
    """Kiln's answer to a batch: with unknown ids a 500, unless the caller prefers 207."""
    failed = [text for text in asked if number(text) in unknown]
    if not failed:
        return json_reply(SUCCESS)
    status = 207 if query_flag(call, "multi_status") else 500
    return json_reply({"message": {"failed_runs": failed, "error": error}}, status)


def _limited(asked: Sequence[str]) -> list[int]:
    if len(asked) > MOST_RUNS:
        raise TooLarge(f"at most {MOST_RUNS} runs can be changed at once", fields={"limit": MOST_RUNS})
    return sorted({number(text) for text in asked})


@dialect.route("POST", RUNS + "/edit_tags")
async def edit_tags(call: Call) -> Response:
    """Take tags from runs, then add tags to them; the runs that are there are changed also when others are not."""
    wanted, body = place(call), await json_body(call, wire.TagEdit)
    ids, check = _limited(body.run_ids), checker(call.who.username, {})

    def edited(document: Document) -> Document:
        tags = run_values.retagged(
            list(dict.fromkeys(document["tags"])), add=body.add_tags or (), remove=body.remove_tags or ()
        )
        return {"tags": tags}

    def edit_some(tx: Tx, some: Sequence[int]) -> set[int]:
        return runs.edit_tags(tx, call.who, wanted, some, edited, check)

    # In several transactions, so that thousands of runs do not keep every other writer waiting.
    unknown: set[int] = set()
    while len(ids) > EDITED_AT_ONCE:
        some, ids = ids[:EDITED_AT_ONCE], ids[EDITED_AT_ONCE:]
        unknown |= await call.write(partial(edit_some, some=some))

    def edit(tx: Tx) -> Reply:
        return _reply(call, body.run_ids, unknown | edit_some(tx, ids), "Runs not found")

    return await call.write_once(await call.body(), edit)


@dialect.route("POST", RUNS + "/delete")
async def delete_runs(call: Call) -> Response:
    """Delete runs; those that are there are deleted also when others are not."""
    wanted, asked = place(call), await json_value(call)
    if not isinstance(asked, list):
        raise unprocessable(issue("list_type", ("body",), "Input should be a valid list", asked))
    faults = [
        issue("string_type", ("body", place_in_list), "Input should be a valid string", item)
        for place_in_list, item in enumerate(asked)
        if not isinstance(item, str)
    ]
    if faults:
        raise unprocessable(*faults[:100])
    ids = _limited(asked)

    def delete(tx: Tx) -> Reply:
        return _reply(call, asked, runs.delete(tx, call.who, wanted, ids), "Run not found")

    return await call.write_once(await call.body(), delete)


@dialect.route("PATCH", RUNS)
async def patch_runs(call: Call) -> Response:
    """Merge a partial run into each of many runs; each succeeds or fails by itself, with a result of its own."""
    body = await json_body(call, wire.Patches)
    if len(body.patches) > MOST_PATCHES:
        raise TooLarge(f"at most {MOST_PATCHES} runs can be patched at once", fields={"limit": MOST_PATCHES})
    for change in body.patches.values():
        refuse_eval_source(change)
    results: dict[str, Any] = {}
    waiting = iter(body.patches.items())
    while chunk := dict(islice(waiting, AT_ONCE)):
        results |= await _patched(call, chunk)
    failed = sum(result["status"] >= 400 for result in results.values())
    return json_answer({"results": results, "failed": failed}, 207)


async def _patched(call: Call, changes: dict[str, Document]) -> dict[str, Any]:
    """The result of each of some patches, made in one transaction."""
    wanted, by_id = place(call), {number(text): (text, change) for text, change in changes.items()}

    def patch(tx: Tx) -> dict[int, Outcome | HeadraceError]:
        given = {run_id: change for run_id, (_, change) in by_id.items()}
        return runs.patch_many(tx, call.who, wanted, given, lambda run_id: writing(call, given[run_id], run_id))

    outcomes = await call.write(patch)
    found = {by_id[run_id][0]: _result(by_id[run_id][0], outcome) for run_id, outcome in outcomes.items()}
    return {text: found.get(text) or _result(text, runs.missing(0)) for text in changes}


def _result(text: str, outcome: Outcome | HeadraceError) -> dict[str, Any]:
    if isinstance(outcome, HeadraceError):
        return {"status": status_of(outcome), **body_of(outcome, {"run": text})}
    return {"status": 200, "etag": etag(outcome.record)}
