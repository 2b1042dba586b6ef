"""Comments: upload, page, read, delete."""

from starlette.responses import Response

from headrace.core import records
from headrace.core.records import MAX_BATCH, Record, TimeOrder, TimePage
from headrace.core.sources import Source
from headrace.decode import Raw
from headrace.dialects.communications_mining import wire
from headrace.dialects.communications_mining.boundary import dialect, ok, paths, read_instant, ref
from headrace.dialects.communications_mining.continuation import parse_time_key, time_key
from headrace.dialects.communications_mining.translate import comment_json, new_records, without_markup
from headrace.dialects.kit import Call

PUBLIC = "/api/v1/sources"
PRIVATE = "/api/_private/sources"
PAGE_DEFAULT = 64
PAGE_MAX = 256


def _one(source: Source, record: Record, markup: bool) -> Raw:
    text = comment_json(record, {source.id: source.text_keys})
    return Raw((text if markup else without_markup(text)).encode())


def _bound(call: Call, name: str) -> int | None:
    text = call.query(name)
    return None if text is None else read_instant(text, name)


def _seen(checked: wire.Comments) -> dict[str, int]:
    """The versions that the sender says it has seen, by comment id."""
    named = {comment.id: comment.context for comment in checked.comments if comment.context}
    return {key: int(text) for key, text in named.items() if text.isascii() and text.isdigit() and len(text) < 19}


@dialect.route("POST", *paths(PUBLIC, "source", "/sync"))
async def sync_comments(call: Call) -> Response:
    """Insert or update comments by their id; of an id that occurs twice the last one counts."""
    checked = await call.json(wire.Comments)
    rows, wanted = new_records(await call.body(), checked), ref(call, "source")
    counts = await call.write(lambda tx: records.sync(tx, call.who, wanted, rows))
    return ok(new=counts.new, updated=counts.updated, unchanged=counts.unchanged)


@dialect.route("PUT", *paths(PRIVATE, "source", "/comments"))
async def put_comments(call: Call) -> Response:
    """Insert comments; the same id with other data is a conflict and nothing is stored, unless the comment names its
    latest `context`: then it is overwritten."""
    checked = await call.json(wire.Comments)
    rows, wanted, seen = new_records(await call.body(), checked), ref(call, "source"), _seen(checked)
    await call.write(lambda tx: records.put(tx, call.who, wanted, rows, seen))
    return ok()


@dialect.route("GET", *paths(PRIVATE, "source", "/comments"))
async def list_comments(call: Call) -> Response:
    """Comments by their own timestamp, both bounds inclusive; the continuation is a key, so deleting while
    paging skips nothing, and it remembers `include_markup`, which clients name on the first page only."""
    wanted, after = ref(call, "source"), call.query("after")
    limit = call.count("limit", PAGE_DEFAULT, most=PAGE_MAX)
    key, remembered = (None, False) if after is None else parse_time_key(after, "after")
    markup = call.flag("include_markup", remembered)
    page = TimePage(
        order=TimeOrder.TIMESTAMP,
        limit=limit + 1,
        start=_bound(call, "from_timestamp"),
        end=_bound(call, "to_timestamp"),
        after=key,
    )
    source, found = await call.read(lambda tx: records.page(tx, call.who, wanted, page))
    shown = [_one(source, record, markup) for record in found[:limit]]
    if len(found) <= limit:
        return ok(comments=shown)
    return ok(comments=shown, continuation=time_key(found[limit - 1], markup))


@dialect.route("GET", *paths(PUBLIC, "source", "/comments/{comment}"))
async def get_comment(call: Call) -> Response:
    """One comment by its id, with the markup of its texts only when `include_markup` asks for it."""
    wanted, key, markup = ref(call, "source"), call.text("comment"), call.flag("include_markup", False)
    source, record = await call.read(lambda tx: records.get(tx, call.who, wanted, key))
    return ok(comment=_one(source, record, markup))


@dialect.route("DELETE", *paths(PUBLIC, "source", "/comments"))
async def delete_comments(call: Call) -> Response:
    """Delete comments by id; ids that are unknown or gone already are no error."""
    wanted, keys = ref(call, "source"), call.queries("id")[:MAX_BATCH]
    await call.write(lambda tx: records.delete(tx, call.who, wanted, keys))
    return ok()
