"""Buckets."""

from starlette.responses import Response

from headrace.core import buckets
from headrace.core.buckets import Bucket
from headrace.core.rights import Permission
from headrace.core.times import format_timestamp
from headrace.dialects.communications_mining import wire
from headrace.dialects.communications_mining.boundary import dialect, ok, paths, ref, to_hex
from headrace.dialects.kit import Call

STEM = "/api/_private/buckets"


def bucket_json(bucket: Bucket) -> dict[str, object]:
    """A bucket in answers."""
    found: dict[str, object] = {
        "id": to_hex(bucket.id),
        "owner": bucket.project,
        "name": bucket.name,
        "title": bucket.title,
        "bucket_type": bucket.kind,
        "created_at": format_timestamp(bucket.created_at),
        "updated_at": format_timestamp(bucket.updated_at),
    }
    return found if bucket.transform_tag is None else found | {"transform_tag": bucket.transform_tag}


@dialect.route("GET", STEM)
async def list_buckets(call: Call) -> Response:
    """The buckets the caller may read."""
    return ok(buckets=[bucket_json(item) for item in await call.read(lambda tx: buckets.list_buckets(tx, call.who))])


@dialect.route("PUT", STEM + "/{project}/{bucket}")
async def create_bucket(call: Call) -> Response:
    """Create a bucket; a name that is taken is refused."""
    fields = (await call.json(wire.BucketBody)).bucket
    project, name = call.text("project"), call.text("bucket")
    created = await call.write(
        lambda tx: buckets.create(
            tx,
            call.who,
            project=project,
            name=name,
            title=fields.title or "",
            kind=fields.bucket_type or buckets.KINDS[0],
            transform_tag=fields.transform_tag,
        )
    )
    return ok(bucket=bucket_json(created))


@dialect.route("GET", *paths(STEM, "bucket"))
async def get_bucket(call: Call) -> Response:
    """One bucket."""
    wanted = ref(call, "bucket")
    found = await call.read(lambda tx: buckets.load(tx, call.who, wanted, Permission.BUCKETS_READ))
    return ok(bucket=bucket_json(found))


@dialect.route("DELETE", *paths(STEM, "bucket"))
async def delete_bucket(call: Call) -> Response:
    """Delete a bucket; sources that named it stay without one."""
    wanted = ref(call, "bucket")
    await call.write(lambda tx: buckets.delete(tx, call.who, wanted))
    return ok()
