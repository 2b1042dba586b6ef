"""Sources."""

from starlette.responses import Response

from headrace.core import sources
from headrace.core.rights import Permission
from headrace.core.sources import Source
from headrace.core.store import Tx
from headrace.dialects.communications_mining import wire
from headrace.dialects.communications_mining.boundary import dialect, hex_ids, ok, paths, ref
from headrace.dialects.communications_mining.translate import source_json
from headrace.dialects.kit import Call

STEM = "/api/v1/sources"
SETTINGS = {
    "language": "language",
    "should_translate": "should_translate",
    "bucket_id": "bucket_id",
    "sensitive_properties": "sensitive_properties",
    "kind": "_kind",
    "email_transform_tag": "email_transform_tag",
}


def _settings(fields: wire.SourceFields) -> dict[str, object]:
    given = {wire_name: getattr(fields, name) for name, wire_name in SETTINGS.items()}
    if fields.bucket_id is not None:
        given["bucket_id"] = hex_ids([fields.bucket_id], "bucket_id")[0]
    return {name: value for name, value in given.items() if value is not None}


@dialect.route("GET", STEM)
async def list_sources(call: Call) -> Response:
    """The sources the caller may view."""
    found = await call.read(lambda tx: sources.list_sources(tx, call.who))
    return ok(sources=[source_json(source) for source in found])


@dialect.route("GET", STEM + "/id:{hex_id}", STEM + "/{project}/{source}")
async def get_source(call: Call) -> Response:
    """One source."""
    wanted = ref(call, "source")
    found = await call.read(lambda tx: sources.load(tx, call.who, wanted, Permission.VIEW_SOURCES))
    return ok(source=source_json(found))


@dialect.route("GET", STEM + "/{project}")
async def list_project_sources(call: Call) -> Response:
    """The sources of one project."""
    project = call.text("project")
    found = await call.read(lambda tx: sources.list_sources(tx, call.who, project))
    return ok(sources=[source_json(source) for source in found])


@dialect.route("PUT", STEM + "/{project}/{source}")
async def create_source(call: Call) -> Response:
    """Create a source."""
    fields = (await call.json(wire.SourceBody)).source
    project, name = call.text("project"), call.text("source")

    def create(tx: Tx) -> Source:
        return sources.create(
            tx,
            call.who,
            project=project,
            name=name,
            title=fields.title or "",
            description=fields.description or "",
            settings=_settings(fields),
        )

    return ok(source=source_json(await call.write(create)))


@dialect.route("POST", *paths(STEM, "source"))
async def update_source(call: Call) -> Response:
    """Change a source partially."""
    fields, wanted = (await call.json(wire.SourceBody)).source, ref(call, "source")
    changed = await call.write(
        lambda tx: sources.update(
            tx,
            call.who,
            wanted,
            title=fields.title,
            description=fields.description,
            settings=_settings(fields),
        )
    )
    return ok(source=source_json(changed))


@dialect.route("DELETE", *paths(STEM, "source"))
async def delete_source(call: Call) -> Response:
    """Delete a source with its comments."""
    wanted = ref(call, "source")
    await call.write(lambda tx: sources.delete(tx, call.who, wanted))
    return ok()
