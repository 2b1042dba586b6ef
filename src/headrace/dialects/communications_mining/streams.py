"""Streams: create, update, read, advance, reset, and the exceptions consumers tag.

Triggers are the former name of streams: the same tree of paths, with that word in bodies and answers too.
"""

from collections.abc import Mapping, Sequence

from msgspec import UNSET
from starlette.responses import Response

from headrace.core import exceptions, streams
from headrace.core.entities import Extractor
from headrace.core.errors import Invalid
from headrace.core.positions import Position, to_token
from headrace.core.store import Tx
from headrace.core.streams import Batch, Delivered, Stream, StreamSpec, Threshold
from headrace.core.times import parse_timestamp
from headrace.decode import encode
from headrace.dialects.communications_mining import wire
from headrace.dialects.communications_mining.boundary import dialect, ok, parse_uid, paths, ref
from headrace.dialects.communications_mining.entities import Found, of_records
from headrace.dialects.communications_mining.translate import (
    comment_json,
    label_name,
    predicted_json,
    stream_json,
)
from headrace.dialects.kit import Call, json_bytes

STEM = "/api/v1/datasets"


def tree(rest: str = "") -> tuple[str, ...]:
    """The paths below a dataset's streams, under both names that streams have had."""
    return (*paths(STEM, "dataset", f"/streams{rest}"), *paths(STEM, "dataset", f"/triggers{rest}"))


def noun(call: Call) -> str:
    """What the path calls a stream."""
    return "trigger" if "/triggers" in call.request.scope["route"].path else "stream"


async def _fields(call: Call) -> wire.StreamFields:
    if noun(call) == "trigger":
        return (await call.json(wire.TriggerBody)).trigger
    return (await call.json(wire.StreamBody)).stream


def _spec(fields: wire.StreamFields, name: str) -> StreamSpec:
    """A whole stream as PUT says it: what is absent is none."""
    model = fields.model or None
    return StreamSpec(
        name=name,
        title=fields.title,
        description=fields.description,
        filter=fields.comment_filter or None,
        version=model.version if model else None,
        thresholds=_thresholds(model),
    )


def _thresholds(model: wire.StreamModel | None) -> tuple[Threshold, ...]:
    given: Sequence[wire.LabelThreshold] = (model.label_thresholds if model else None) or ()
    return tuple(Threshold(label_name(item.name), item.threshold) for item in given)


def _name(fields: wire.StreamFields) -> str:
    if not isinstance(fields.name, str):
        raise Invalid("stream.name is missing", fields={"name": ""})
    return fields.name


@dialect.route("PUT", *tree())
async def put_stream(call: Call) -> Response:
    """Create a stream that starts now, or update the one of that name in place."""
    fields, wanted = await _fields(call), ref(call, "dataset")
    spec = _spec(fields, _name(fields))
    stream = await call.write(lambda tx: streams.put(tx, call.who, wanted, spec))
    return ok(**{noun(call): stream_json(stream)})


@dialect.route("POST", *tree("/{stream}"))
async def update_stream(call: Call) -> Response:
    """Change a stream partially: what is absent stays."""
    fields, wanted, name = await _fields(call), ref(call, "dataset"), call.text("stream")
    if fields.name not in (UNSET, name):
        raise Invalid("a stream cannot be renamed", fields={"name": str(fields.name)[:80]})

    def update(tx: Tx) -> Stream:
        known = streams.get(tx, call.who, wanted, name)
        spec = _spec(fields, name)
        return streams.update(
            tx,
            call.who,
            wanted,
            StreamSpec(
                name=name,
                title=spec.title,
                description=spec.description,
                filter=known.filter if fields.comment_filter is UNSET else spec.filter,
                version=known.version if fields.model is UNSET else spec.version,
                thresholds=known.thresholds if fields.model is UNSET else spec.thresholds,
            ),
        )

    return ok(**{noun(call): stream_json(await call.write(update))})


@dialect.route("GET", *tree())
async def list_streams(call: Call) -> Response:
    """The dataset's streams."""
    wanted = ref(call, "dataset")
    found = await call.read(lambda tx: streams.list_streams(tx, call.who, wanted))
    return ok(**{f"{noun(call)}s": [stream_json(stream) for stream in found]})


@dialect.route("GET", *tree("/{stream}"))
async def get_stream(call: Call) -> Response:
    """One stream."""
    wanted, name = ref(call, "dataset"), call.text("stream")
    stream = await call.read(lambda tx: streams.get(tx, call.who, wanted, name))
    return ok(**{noun(call): stream_json(stream)})


@dialect.route("DELETE", *tree("/{stream}"))
async def delete_stream(call: Call) -> Response:
    """Delete a stream."""
    wanted, name = ref(call, "dataset"), call.text("stream")
    await call.write(lambda tx: streams.delete(tx, call.who, wanted, name))
    return ok()


@dialect.route("POST", *tree("/{stream}/fetch"))
async def fetch(call: Call) -> Response:
    """Read comments behind the cursor without moving it."""
    body, wanted, name = await call.json(wire.FetchBody), ref(call, "dataset"), call.text("stream")
    predictor, extractor = call.services.predictor, call.services.extractor

    def read(tx: Tx) -> bytes:
        # Spliced in the thread that read, so that a large answer does not hold up the event loop.
        batch = streams.fetch(tx, call.who, wanted, name, body.size, body.max_filtered or 0, predictor)
        return _batch_json(batch, _entities(tx, batch, extractor), tx.epoch)

    return json_bytes(await call.read(read))


def _entities(tx: Tx, batch: Batch, extractor: Extractor) -> dict[int, Found]:
    """The entities of a batch's records; none for a stream without a model, which has no predictions."""
    if batch.version is None:
        return {}
    return of_records(tx, batch.dataset, [item.record for item in batch.results], batch.text_keys, extractor)


def _batch_json(batch: Batch, found: Mapping[int, Found], epoch: int) -> bytes:
    """The answer to fetch, spliced from stored bytes: this is the path that must be fast."""
    owner = batch.dataset.id
    results = ",".join([_result_json(batch, item, found.get(item.record.id), epoch) for item in batch.results])
    position = to_token(batch.position, epoch=epoch, owner=owner)
    return (
        f'{{"status":"ok","filtered":{batch.filtered},"sequence_id":"{position}",'
        f'"is_end_sequence":{"true" if batch.at_end else "false"},"results":[{results}]}}'
    ).encode()


def _result_json(batch: Batch, item: Delivered, found: Found | None, epoch: int) -> str:
    entities = encode(found.all()).decode() if found else "[]"
    labels = encode(predicted_json(item.labels)).decode() if item.labels else "[]"
    position = to_token(item.record.position, epoch=epoch, owner=batch.dataset.id)
    comment = comment_json(item.record, batch.text_keys)
    return f'{{"comment":{comment},"sequence_id":"{position}","labels":{labels},"entities":{entities}}}'


@dialect.route("POST", *tree("/{stream}/advance"))
async def advance(call: Call) -> Response:
    """Move the cursor to exactly the position named."""
    body, wanted, name = await call.json(wire.AdvanceBody), ref(call, "dataset"), call.text("stream")
    await call.write(lambda tx: streams.advance(tx, call.who, wanted, name, body.sequence_id))
    return ok(sequence_id=body.sequence_id)


@dialect.route("POST", *tree("/{stream}/reset"))
async def reset(call: Call) -> Response:
    """Move the cursor to the first comment created at or after an instant."""
    body, wanted, name = await call.json(wire.ResetBody), ref(call, "dataset"), call.text("stream")
    instant = parse_timestamp(body.to_comment_created_at)

    def move(tx: Tx) -> tuple[Stream, Position, int]:
        return *streams.reset(tx, call.who, wanted, name, instant), tx.epoch

    stream, position, epoch = await call.write(move)
    sequence_id = to_token(position, epoch=epoch, owner=stream.dataset_id)
    return ok(sequence_id=sequence_id, **{noun(call): stream_json(stream)})


@dialect.route("PUT", *tree("/{stream}/exceptions"))
async def tag_exceptions(call: Call) -> Response:
    """Tag comments as exceptions; tagging again replaces the type."""
    body, wanted, name = await call.json(wire.ExceptionsBody), ref(call, "dataset"), call.text("stream")
    rows = [(parse_uid(item.uid), item.metadata.type) for item in body.exceptions]
    await call.write(lambda tx: exceptions.tag(tx, call.who, wanted, name, rows))
    return ok()


@dialect.route("DELETE", *tree("/{stream}/exceptions"))
async def untag_exceptions(call: Call) -> Response:
    """Remove tags; a comment that has none is no error."""
    wanted, name = ref(call, "dataset"), call.text("stream")
    uids = [parse_uid(uid) for uid in call.queries("uid")]
    await call.write(lambda tx: exceptions.untag(tx, call.who, wanted, name, uids))
    return ok()
