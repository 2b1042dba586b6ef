"""The two calls of the oldest uploader: comments by dataset, each naming its source, and the newest ones back."""

from collections.abc import Sequence
from typing import Any

from msgspec import field
from starlette.responses import Response

from headrace.core import content, filters, intake
from headrace.core.errors import Invalid
from headrace.core.query import QueryRequest, query
from headrace.core.records import NewRecord
from headrace.core.times import format_timestamp, parse_timestamp
from headrace.decode import encode
from headrace.dialects.communications_mining.boundary import dialect, ok, ref
from headrace.dialects.communications_mining.translate import check_properties, comment_raw
from headrace.dialects.communications_mining.wire import BodyText, Closed, CommentId
from headrace.dialects.kit import Call

STEM = "/api/voc/datasets/{project}/{dataset}"
SOURCE = "string:Source"


class FlatComment(Closed):
    """A comment of one text, as the oldest uploader sends it."""

    id: CommentId
    timestamp: str
    original_text: BodyText
    user_properties: dict[str, str | int | float]


class FlatComments(Closed):
    """Body of sync by dataset."""

    comments: list[FlatComment]


class RecentBody(Closed):
    """Body of recent."""

    limit: int = 64
    filter: dict[str, Any] = field(default_factory=dict)


def by_source(comments: Sequence[FlatComment]) -> dict[str, list[NewRecord]]:
    """The comments as records, under what each says of its source; raises Invalid where one says nothing."""
    found: dict[str, list[NewRecord]] = {}
    for comment in comments:
        check_properties(comment.user_properties)
        said = comment.user_properties.get(SOURCE)
        if not isinstance(said, str) or not said.strip():
            raise Invalid(f"user_properties must hold {SOURCE}, the name of a source", fields={SOURCE: ""})
        found.setdefault(said, []).append(_record(comment))
    return found


def _record(comment: FlatComment) -> NewRecord:
    timestamp = parse_timestamp(comment.timestamp)
    body = {
        "id": comment.id,
        "timestamp": format_timestamp(timestamp),
        "messages": [{"body": {"text": comment.original_text}}],
        "text_format": "plain",
        "user_properties": comment.user_properties,
    }
    return NewRecord(comment.id, content.Kind.COMMENT, encode(body).decode(), None, timestamp)


@dialect.route("POST", STEM + "/sync")
async def sync_flat_comments(call: Call) -> Response:
    """Insert or update comments by their id, each in the source it names, which is made when missing."""
    rows, wanted = by_source((await call.json(FlatComments)).comments), ref(call, "dataset")
    counts = await call.write(lambda tx: intake.deliver(tx, call.who, wanted, rows))
    return ok(new=counts.new, updated=counts.updated, unchanged=counts.unchanged)


@dialect.route("POST", STEM + "/recent")
async def recent_comments(call: Call) -> Response:
    """The newest comments that match a filter, newest first."""
    body, wanted = await call.json(RecentBody), ref(call, "dataset")
    request = QueryRequest(filter=filters.parse(body.filter, where="filter"), limit=body.limit)
    found = (await call.read(lambda tx: query(tx, call.who, wanted, request, None))).reviews
    return ok(comments=[comment_raw(item.record, found.text_keys) for item in found.items])
