"""The one organization: the server itself. Its members are the users."""

from collections.abc import Callable

from starlette.responses import Response

from headrace.core import profiles, tasks
from headrace.core.errors import NotFound
from headrace.core.profiles import Person
from headrace.core.rights import Permission
from headrace.core.store import Tx
from headrace.core.times import format_timestamp
from headrace.dialects.kit import Call, json_answer
from headrace.dialects.label_studio.boundary import dialect, page_number, page_size
from headrace.dialects.label_studio.translate import Json
from headrace.dialects.label_studio.users import ORGANIZATION, TITLE, user_json

STEM = "/api/organizations"
ONE = STEM + "/{organization}"
PAGE_DEFAULT = 100
PAGE_MOST = 1_000
OWNER = 1


def _organization(tx: Tx) -> Json:
    """The organization, as old as the server's first user."""
    owner = tx.users.get(OWNER)
    return {
        "id": ORGANIZATION,
        "title": TITLE,
        "contact_info": None,
        "created_at": format_timestamp(owner.created_at) if owner else None,
    }


def _check(call: Call) -> None:
    if call.number("organization") != ORGANIZATION:
        raise NotFound("there is no such organization", fields={"organization": call.text("organization")[:40]})


@dialect.route("GET", STEM)
async def list_organizations(call: Call) -> Response:
    """The one organization."""
    return json_answer([await call.read(_organization)])


@dialect.route("GET", ONE)
async def get_organization(call: Call) -> Response:
    """The organization."""
    _check(call)
    return json_answer(await call.read(_organization))


@dialect.route("GET", ONE + "/memberships")
async def list_memberships(call: Call) -> Response:
    """A page of the members: all users for an admin, oneself for others."""
    _check(call)
    return _page(call, await call.read(lambda tx: profiles.persons(tx, call.who)), _member)


@dialect.route("GET", ONE + "/memberships/{user}")
async def get_membership(call: Call) -> Response:
    """One member."""
    _check(call)
    number = call.number("user")
    known = await call.read(lambda tx: profiles.person(tx, call.who, number))
    return json_answer(
        {
            "user": known.user.id,
            "organization": ORGANIZATION,
            "created_at": format_timestamp(known.user.created_at),
            "created_projects": [],
            "contributed_to_projects": [],
        }
    )


@dialect.route("GET", "/api/projects/{project}/members/paginated")
async def list_project_members(call: Call) -> Response:
    """A page of those who have rights where the project lives, as far as the caller may see users."""
    number = call.number("project")

    def read(tx: Tx) -> list[Person]:
        dataset = tasks.load_project(tx, call.who, number, Permission.VIEW_LABELS)
        return profiles.members(tx, call.who, dataset.project_id)

    return _page(call, await call.read(read), lambda known: {**user_json(known), "implicit_member": True})


def _member(known: Person) -> Json:
    nothing = {"created_projects": None, "contributed_to_projects": None}
    return {
        "id": known.user.id,
        "organization": ORGANIZATION,
        "user": {**user_json(known), **nothing},
        **nothing,
        "role": "AD" if known.user.is_admin else "AN",
    }


def _page(call: Call, found: list[Person], shown: Callable[[Person], Json]) -> Response:
    """A page of people; one past the end is empty, because the client's pager asks for it and fails on a 404."""
    page, size = page_number(call), page_size(call, PAGE_DEFAULT, PAGE_MOST) or PAGE_MOST
    results = [shown(known) for known in found[(page - 1) * size : page * size]]
    links = {"next": page + 1 if page * size < len(found) else None, "previous": page - 1 if page > 1 else None}
    addresses = {name: _link(call, number) for name, number in links.items()}
    return json_answer({"count": len(found), **addresses, "results": results})


def _link(call: Call, page: int | None) -> str | None:
    """The address of another page, without a token that may stand in this one's."""
    if page is None:
        return None
    return str(call.request.url.include_query_params(page=page).remove_query_params("api_key"))
