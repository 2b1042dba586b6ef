"""Comments: upload, page, read, delete."""

from starlette.responses import Response

from headrace.core import records
from headrace.core.records import MAX_BATCH, Record, TimeOrder, TimePage
from headrace.core.sources import Source
from headrace.core.times import parse_timestamp
from headrace.decode import Raw
from headrace.dialects.communications_mining import wire
from headrace.dialects.communications_mining.boundary import dialect, ok, paths, ref
from headrace.dialects.communications_mining.continuation import parse_time_key, time_key
from headrace.dialects.communications_mining.translate import comment_raw, new_records
from headrace.dialects.kit import Call

PUBLIC = "/api/v1/sources"
PRIVATE = "/api/_private/sources"
PAGE_DEFAULT = 64
PAGE_MAX = 256


def _one(source: Source, record: Record) -> Raw:
    return comment_raw(record, {source.id: source.text_keys})


@dialect.route("POST", *paths(PUBLIC, "source", "/sync"))
async def sync_comments(call: Call) -> Response:
    """Insert or update comments by their id; of an id that occurs twice the last one counts."""
    checked = await call.json(wire.Comments)
    rows, wanted = new_records(await call.body(), checked), ref(call, "source")
    counts = await call.write(lambda tx: records.sync(tx, call.who, wanted, rows))
    return ok(new=counts.new, updated=counts.updated, unchanged=counts.unchanged)


@dialect.route("PUT", *paths(PRIVATE, "source", "/comments"))
async def put_comments(call: Call) -> Response:
    """Insert comments; the same id with other data is a conflict and nothing is stored."""
    checked = await call.json(wire.Comments)
    rows, wanted = new_records(await call.body(), checked), ref(call, "source")
    await call.write(lambda tx: records.put(tx, call.who, wanted, rows))
    return ok()


@dialect.route("GET", *paths(PRIVATE, "source", "/comments"))
async def list_comments(call: Call) -> Response:
    """Comments by their own timestamp, both bounds inclusive; the continuation is a key, so deleting while
    paging skips nothing."""
    wanted = ref(call, "source")
    limit = call.count("limit", PAGE_DEFAULT, most=PAGE_MAX)
    start, end, after = call.query("from_timestamp"), call.query("to_timestamp"), call.query("after")
    page = TimePage(
        order=TimeOrder.TIMESTAMP,
        limit=limit + 1,
        start=None if start is None else parse_timestamp(start),
        end=None if end is None else parse_timestamp(end),
        after=None if after is None else parse_time_key(after, "after"),
    )
    source, found = await call.read(lambda tx: records.page(tx, call.who, wanted, page))
    shown = [_one(source, record) for record in found[:limit]]
    if len(found) <= limit:
        return ok(comments=shown)
    return ok(comments=shown, continuation=time_key(found[limit - 1]))


@dialect.route("GET", *paths(PUBLIC, "source", "/comments/{comment}"))
async def get_comment(call: Call) -> Response:
    """One comment by its id."""
    wanted, key = ref(call, "source"), call.text("comment")
    source, record = await call.read(lambda tx: records.get(tx, call.who, wanted, key))
    return ok(comment=_one(source, record))


@dialect.route("DELETE", *paths(PUBLIC, "source", "/comments"))
async def delete_comments(call: Call) -> Response:
    """Delete comments by id; ids that are unknown or gone already are no error."""
    wanted, keys = ref(call, "source"), call.queries("id")[:MAX_BATCH]
    await call.write(lambda tx: records.delete(tx, call.who, wanted, keys))
    return ok()
