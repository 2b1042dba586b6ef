"""Predictions of tasks: those of models elsewhere, pushed here, and those of the project's own model."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import msgspec
from msgspec import UNSET, Raw
from starlette.responses import Response, StreamingResponse

from headrace.core import pushed_predictions, task_predictions, tasks
from headrace.core.datasets import Dataset
from headrace.core.idempotency import Reply
from headrace.core.pushed_predictions import Sent
from headrace.core.store import Tx
from headrace.core.task_predictions import TaskPrediction
from headrace.decode import decode, encode
from headrace.dialects.kit import MAX_ID, Call, json_answer, json_reply
from headrace.dialects.label_studio import wire_predictions as wire
from headrace.dialects.label_studio.boundary import dialect, invalid, json_body, no_page, page_number, page_size
from headrace.dialects.label_studio.translate import Json, prediction_json

STEM = "/api/predictions"
ONE = STEM + "/{prediction}"
CHUNK = 1_000
REQUIRED = "This field is required."
_RESULT = msgspec.json.Decoder()


def _text(value: object) -> str:
    return encode(value).decode()


def _sent(body: wire.Prediction) -> Sent:
    if body.task is UNSET or body.result is UNSET:
        raise invalid("task" if body.task is UNSET else "result", REQUIRED)
    return Sent(
        record_id=body.task,
        result=bytes(body.result).decode(),
        decoded=_decoded(body.result),
        model_version=None if body.model_version is UNSET else body.model_version,
        score=None if body.score is UNSET else body.score,
    )


def _decoded(result: Raw) -> Callable[[], object]:
    """Reads a result later; the one decoder has let it pass already."""
    return partial(_RESULT.decode, result)


def _shown(tx: Tx, dataset: Dataset, prediction: TaskPrediction) -> Json:
    return prediction_json(prediction, dataset.id, now=tx.now())


@dialect.route("POST", STEM)
async def create_prediction(call: Call) -> Response:
    """Store a prediction of a task."""
    item = _sent(await json_body(call, wire.Prediction))

    def create(tx: Tx) -> Reply:
        return json_reply(_shown(tx, *pushed_predictions.push(tx, call.who, item, _text)), 201)

    return await call.write_once(await call.body(), create)


@dialect.route("GET", ONE)
async def get_prediction(call: Call) -> Response:
    """One prediction."""
    number = call.number("prediction")
    return json_answer(await call.read(lambda tx: _shown(tx, *task_predictions.get(tx, call.who, number))))


@dialect.route("PATCH", ONE)
async def update_prediction(call: Call) -> Response:
    """Change what is named of a pushed prediction."""
    number, body = call.number("prediction"), await json_body(call, wire.Prediction)
    changes: dict[str, object] = {} if body.score is UNSET else {"score": body.score}
    if body.model_version is not UNSET:
        changes["model_version"] = body.model_version or task_predictions.UNDEFINED_VERSION
    result = None if body.result is UNSET else (bytes(body.result).decode(), _decoded(body.result))

    def update(tx: Tx) -> Json:
        return _shown(tx, *pushed_predictions.revise(tx, call.who, number, changes, result, _text))

    return json_answer(await call.write(update))


@dialect.route("DELETE", ONE)
async def delete_prediction(call: Call) -> Response:
    """Delete a pushed prediction."""
    number = call.number("prediction")
    await call.write(lambda tx: pushed_predictions.remove(tx, call.who, number))
    return Response(status_code=204)


@dialect.route("GET", STEM)
async def list_predictions(call: Call) -> Response:
    """The predictions of a task, or of a project in the order of its tasks; a page of them when asked for one."""
    task, project = _id(call, "task"), _id(call, "project") or _id(call, "task__project")
    if task is not None:
        return json_answer(await call.read(lambda tx: _of_task(tx, call, task, project)))
    if project is None:
        raise invalid("project", "task or project is required")
    await call.read(lambda tx: tasks.load_project(tx, call.who, project, *task_predictions.NEEDS))
    size = page_size(call, CHUNK, MAX_ID) if call.query("page") or call.query("page_size") else None
    if size is None:
        return StreamingResponse(_array(call, project), media_type="application/json")
    return await _page(call, project, page_number(call), size)


def _id(call: Call, name: str) -> int | None:
    text = call.query(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise invalid(name, f"'{text[:40]}' is not an id")
    return int(text)


def _of_task(tx: Tx, call: Call, task: int, project: int | None) -> list[Json]:
    dataset, found = task_predictions.of_task(tx, call.who, task)
    return [_shown(tx, dataset, item) for item in found] if project in (None, dataset.id) else []


async def _chunks(call: Call, project: int) -> AsyncIterator[list[bytes]]:
    """The predictions of a project as JSON, those of CHUNK tasks at a time, each chunk in a transaction of its own."""
    behind: int | None = 0
    while behind is not None:
        behind, found = await call.read(partial(_chunk, call, project, behind))
        yield found


def _chunk(call: Call, project: int, behind: int, tx: Tx) -> tuple[int | None, list[bytes]]:
    dataset = tasks.load_project(tx, call.who, project, *task_predictions.NEEDS)
    found = task_predictions.behind(tx, dataset, behind, CHUNK)
    shown = [encode(_shown(tx, dataset, item)) for said in found.values() for item in said]
    return max(found, default=None), shown


async def _array(call: Call, project: int) -> AsyncIterator[bytes]:
    yield b"["
    between = b""
    async for found in _chunks(call, project):
        if found:
            yield between + b",".join(found)
            between = b","
    yield b"]"


async def _page(call: Call, project: int, page: int, size: int) -> Response:
    skip, taken = (page - 1) * size, list[bytes]()
    async for found in _chunks(call, project):
        taken += found[skip : skip + size - len(taken)]
        skip = max(0, skip - len(found))
        if len(taken) == size:
            break
    if not taken and page > 1:
        raise no_page()
    return Response(b"[" + b",".join(taken) + b"]", media_type="application/json")


@dialect.route("POST", "/api/projects/{project}/import/predictions")
async def import_predictions(call: Call) -> Response:
    """Store predictions of many tasks, all or none."""
    number, body = call.number("project"), await call.body()
    config = await call.read(lambda tx: pushed_predictions.load_config(tx, call.who, number))
    items = await asyncio.to_thread(_items, body)
    rows = await asyncio.to_thread(pushed_predictions.fitting, config, items, _text)
    record_ids = [item.record_id for item in items]

    def store(tx: Tx) -> Reply:
        now = pushed_predictions.load_config(tx, call.who, number)
        fitted = rows if now == config else pushed_predictions.fitting(now, items, _text)
        return json_reply({"created": pushed_predictions.push_many(tx, call.who, number, record_ids, fitted)}, 201)

    return await call.write_once(body, store)


def _items(body: bytes) -> Sequence[Sent]:
    """The predictions of a body; raises Invalid naming the item that lacks something."""
    items = []
    for number, item in enumerate(decode(body, list[wire.Prediction])):
        if item.task is UNSET or item.result is UNSET:
            missing = "task" if item.task is UNSET else "result"
            raise invalid("non_field_errors", f'Error at item {number}: Prediction must have "{missing}" fields')
        items.append(_sent(item))
    return items


@dialect.route("DELETE", "/api/projects/{project}/model-versions")
async def delete_model_version(call: Call) -> Response:
    """Delete the predictions that were pushed under a model version."""
    number, version = call.number("project"), (await json_body(call, wire.ModelVersion)).model_version
    if not version:
        raise invalid("model_version", "model_version param is required")
    count = await call.write(lambda tx: pushed_predictions.remove_version(tx, call.who, number, version))
    return json_answer({"deleted_predictions": count})
