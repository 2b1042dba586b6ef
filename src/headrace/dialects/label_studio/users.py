"""The server's version, and who is asking."""

from starlette.responses import Response

from headrace import __version__
from headrace.core import users
from headrace.core.times import format_timestamp
from headrace.core.users import User
from headrace.dialects.kit import Call, json_answer
from headrace.dialects.label_studio.boundary import RELEASE, dialect
from headrace.dialects.label_studio.translate import person_json

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


@dialect.route("GET", "/api/current-user/whoami")
async def whoami(call: Call) -> Response:
    """The caller."""
    return json_answer(_whoami(await call.read(lambda tx: users.get(tx, call.who, call.who.user_id))))


def _whoami(user: User) -> dict[str, object]:
    joined = format_timestamp(user.created_at)
    return {
        **person_json(user),
        "username": user.username,
        "last_activity": joined,
        "custom_hotkeys": {},
        "phone": "",
        "active_organization": 1,
        "active_organization_meta": {"title": "headrace", "email": user.email},
        "allow_newsletters": None,
        "date_joined": joined,
        "permissions": sorted({permission.value for granted in user.grants.values() for permission in granted}),
    }
