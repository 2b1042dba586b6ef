"""Changes to many runs at once: tags, deletion, and a partial run for each."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from starlette.responses import Response

from headrace.core import run_patches, run_values, runs
from headrace.core.errors import HeadraceError, TooLarge
from headrace.core.idempotency import Reply
from headrace.core.rights import Principal
from headrace.core.run_patches import Patch
from headrace.core.run_values import Document
from headrace.core.runs import Outcome, Place, Writing
from headrace.core.store import Tx
from headrace.dialects.kiln import wire
from headrace.dialects.kiln.boundary import (
    RUNS,
    TASK,
    body_of,
    dialect,
    ident,
    issue,
    json_body,
    json_value,
    number,
    place,
    query_count,
    query_flag,
    query_issue,
    status_of,
    unprocessable,
)
from headrace.dialects.kiln.runs import refuse_eval_source, writing
from headrace.dialects.kiln.translate import checker, etag
from headrace.dialects.kit import Call, json_answer, json_reply

MOST_RUNS = 10_000
MOST_PATCHES = 1_000
MOST_QUEUED = 100_000
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
    """Merge a partial run into each of many runs; each succeeds or fails by itself, with a result of its own.

    More than `MOST_PATCHES` are carried out by a job: the answer is 202 and says where its progress is told.
    """
    body = await json_body(call, wire.Patches)
    if len(body.patches) > MOST_QUEUED:
        raise TooLarge(f"at most {MOST_QUEUED} runs can be patched at once", fields={"limit": MOST_QUEUED})
    for change in body.patches.values():
        refuse_eval_source(change)
    if len(body.patches) > MOST_PATCHES:
        return await _queued(call, body.patches)
    results: dict[str, Any] = {}
    waiting = iter(body.patches.items())
    while chunk := dict(islice(waiting, AT_ONCE)):
        results |= await _patched(call, chunk)
    failed = sum(result["status"] >= 400 for result in results.values())
    return json_answer({"results": results, "failed": failed}, 207)


async def _patched(call: Call, changes: dict[str, Document]) -> dict[str, Any]:
    """The result of each of some patches, made in one transaction."""
    how = {number(text): writing(call, change, number(text)) for text, change in changes.items()}
    wanted = place(call)
    return await call.write(lambda tx: _results(tx, call.who, wanted, changes, how))


def _results(
    tx: Tx, who: Principal, wanted: Place, changes: Mapping[str, Document], how: Mapping[int, Writing]
) -> dict[str, Any]:
    """Patch runs by the ids that their sender wrote; answers the result of each."""
    given = {number(text): change for text, change in changes.items()}
    outcomes = runs.patch_many(tx, who, wanted, given, lambda run_id: how[run_id])
    return {text: _result(text, outcomes[number(text)]) for text in changes}


def apply_patches(tx: Tx, who: Principal, wanted: Place, patches: Sequence[Patch]) -> dict[int, Any]:
    """Carry out patches of a batch; answers the result of each by its place."""
    changes = {patch.run: patch.change for patch in patches}
    ids = {patch.run: number(patch.run) for patch in patches}
    how = {ids[text]: Writing(check=checker(who.username, change, ids[text])) for text, change in changes.items()}
    results = _results(tx, who, wanted, changes, how)
    return {patch.place: results[patch.run] for patch in patches}


async def _queued(call: Call, patches: Mapping[str, Document]) -> Response:
    wanted, status_path = place(call), f"{call.request.url.path.removesuffix('/').removesuffix('/runs')}/patches"

    def submit(tx: Tx) -> Reply:
        batch_id = run_patches.submit(tx, call.who, wanted, patches)
        return json_reply({"job": str(batch_id), "status_url": f"{status_path}/{batch_id}"}, 202)

    return await call.write_once(await call.body(), submit)


@dialect.route("GET", TASK + "/patches/{job}")
async def patch_status(call: Call) -> Response:
    """How far a job of patches is, with the results from a place on; `next` goes on behind them."""
    wanted, job_id = place(call), ident(call, "job")
    start, limit = _place(call.query("after")), query_count(call, "limit", MOST_RUNS) or MOST_PATCHES
    batch, job, found = await call.read(lambda tx: run_patches.status(tx, call.who, wanted, job_id, start, limit))
    tried = [patch for patch in found if patch.result is not None]
    answer = {
        "job": str(batch.id),
        "state": job.state.value,
        "total": batch.size,
        "done": batch.done,
        "failed": batch.failed,
        "error": job.error,
        "results": {patch.run: patch.result for patch in tried},
        "next": str(tried[-1].place + 1) if tried and tried[-1].place + 1 < batch.size else None,
    }
    return json_answer(answer)


def _place(text: str | None) -> int:
    """The place in a batch that a caller was told; raises Unprocessable."""
    if text is not None and not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise query_issue("after", "int_parsing", "Input should be a place that this server gave out", text)
    return int(text or 0)


def _result(text: str, outcome: Outcome | HeadraceError) -> dict[str, Any]:
    if isinstance(outcome, HeadraceError):
        return {"status": status_of(outcome), **body_of(outcome, {"run": text})}
    return {"status": 200, "etag": etag(outcome.record)}
