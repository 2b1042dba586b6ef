"""The server's version, who is asking, and the users."""

from msgspec import UNSET
from starlette.responses import Response

from headrace import __version__
from headrace.core import profiles
from headrace.core.idempotency import Reply
from headrace.core.profiles import Person, Profile
from headrace.core.rights import EVERYTHING
from headrace.core.store import Tx
from headrace.core.times import format_timestamp
from headrace.dialects.kit import Call, json_answer, json_reply
from headrace.dialects.label_studio import wire_users
from headrace.dialects.label_studio.boundary import RELEASE, dialect, invalid, json_body
from headrace.dialects.label_studio.translate import Json, person_json

ME = "/api/current-user"
STEM = "/api/users"
ONE = STEM + "/{user}"
ORGANIZATION = 1
TITLE = "headrace"
SHORT_RELEASE = RELEASE.rpartition(".")[0]


@dialect.route("GET", "/api/version", public=True)
async def get_version(call: Call) -> Response:
    """The release whose API is spoken; clients branch on `edition`."""
    package = {
        "version": RELEASE,
        "short_version": SHORT_RELEASE,
        "latest_version_from_pypi": None,
        "latest_version_upload_time": None,
        "current_version_is_outdated": False,
    }
    return json_answer(
        {
            "release": RELEASE,
            "label-studio-os-package": package,
            "edition": "Community",
            "headrace": {"version": __version__},
        }
    )


@dialect.route("GET", ME + "/whoami")
async def whoami(call: Call) -> Response:
    """The caller with their permissions."""
    known = await call.read(lambda tx: profiles.person(tx, call.who, call.who.user_id))
    held = EVERYTHING if known.user.is_admin else frozenset().union(*known.user.grants.values())
    return json_answer({**user_json(known), "permissions": sorted(permission.value for permission in held)})


def user_json(known: Person) -> Json:
    """A user in answers about users."""
    user, profile = known.user, known.profile
    joined = format_timestamp(user.created_at)
    return {
        **person_json(user),
        "first_name": profile.first_name,
        "last_name": profile.last_name,
        "username": user.username,
        "last_activity": joined,
        "custom_hotkeys": profile.hotkeys,
        "phone": profile.phone,
        "active_organization": ORGANIZATION,
        "active_organization_meta": {"title": TITLE, "email": user.email},
        "allow_newsletters": None,
        "date_joined": joined,
    }


def _profile(body: wire_users.User) -> dict[str, object]:
    """What a request says of a profile; absent stays absent, null is empty."""
    names = {"first_name": body.first_name, "last_name": body.last_name, "phone": body.phone}
    given: dict[str, object] = {name: value or "" for name, value in names.items() if value is not UNSET}
    return given if body.custom_hotkeys is UNSET else {**given, "hotkeys": body.custom_hotkeys or {}}


@dialect.route("GET", STEM)
async def list_users(call: Call) -> Response:
    """All users for an admin, oneself for others."""
    found = await call.read(lambda tx: profiles.persons(tx, call.who))
    return json_answer([user_json(known) for known in found])


@dialect.route("POST", STEM)
async def create_user(call: Call) -> Response:
    """Create a user who may annotate in the default project; a password is not kept, people use tokens."""
    body = await json_body(call, wire_users.User)
    if body.email is UNSET or not body.email:
        raise invalid("email", "This field is required.")
    email = body.email
    username = email if body.username is UNSET or not body.username else body.username
    profile = Profile(**_profile(body))  # type: ignore[arg-type]

    def create(tx: Tx) -> Reply:
        made = profiles.create(tx, call.who, username=username, email=email, profile=profile)
        return json_reply(user_json(made), 201)

    return await call.write_once(await call.body(), create)


@dialect.route("GET", ONE)
async def get_user(call: Call) -> Response:
    """One user."""
    number = call.number("user")
    return json_answer(user_json(await call.read(lambda tx: profiles.person(tx, call.who, number))))


@dialect.route("PATCH", ONE)
async def update_user(call: Call) -> Response:
    """Change what is named; an address stays as it is."""
    return await _updated(call, call.number("user"))


@dialect.route("DELETE", ONE)
async def delete_user(call: Call) -> Response:
    """Delete a user; their tokens end at once, what they said stays."""
    number = call.number("user")
    await call.write(lambda tx: profiles.delete(tx, call.who, number))
    return Response(status_code=204)


@dialect.route("GET", ME)
async def get_current_user(call: Call) -> Response:
    """The caller."""
    return json_answer(user_json(await call.read(lambda tx: profiles.person(tx, call.who, call.who.user_id))))


@dialect.route("PATCH", ME)
async def update_current_user(call: Call) -> Response:
    """Change what is named of the caller."""
    return await _updated(call, call.who.user_id)


async def _updated(call: Call, number: int) -> Response:
    body = await json_body(call, wire_users.User)
    username = None if body.username is UNSET else body.username
    changes = _profile(body)
    known = await call.write(lambda tx: profiles.update(tx, call.who, number, changes, username=username))
    return json_answer(user_json(known))


@dialect.route("GET", ME + "/hotkeys")
async def get_hotkeys(call: Call) -> Response:
    """The caller's keyboard shortcuts."""
    known = await call.read(lambda tx: profiles.person(tx, call.who, call.who.user_id))
    return json_answer({"custom_hotkeys": known.profile.hotkeys})


@dialect.route("PATCH", ME + "/hotkeys")
async def update_hotkeys(call: Call) -> Response:
    """Replace the caller's keyboard shortcuts."""
    body = await json_body(call, wire_users.Hotkeys)
    changes: dict[str, object] = {} if body.custom_hotkeys is UNSET else {"hotkeys": body.custom_hotkeys}
    known = await call.write(lambda tx: profiles.update(tx, call.who, call.who.user_id, changes))
    return json_answer({"custom_hotkeys": known.profile.hotkeys})
