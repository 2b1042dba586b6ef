"""What the peer does and this server does not: it says so, and why."""

from collections.abc import Mapping

from starlette.responses import Response

from headrace.core.errors import NotBuilt
from headrace.dialects.kit import Call
from headrace.dialects.open_assistant.admin import ADMIN
from headrace.dialects.open_assistant.boundary import BASE, dialect

UNBUILT: Mapping[tuple[str, str], str] = {
    ("GET", BASE + "/trollboards/{time_frame}"): "nobody is ranked by bad behaviour; see /admin/flagged_messages",
    ("POST", ADMIN + "/purge_user/{user_id}"): "nothing is removed for good; DELETE /users/{user_id} anonymises",
    ("POST", ADMIN + "/purge_user/{user_id}/messages"): "see DELETE /users/{user_id}/messages",
    ("POST", ADMIN + "/merge_users"): "the log says who did what, and two people stay two",
    ("GET", BASE + "/hf/text_toxicity"): "this server asks no model of somebody else's",
    ("GET", BASE + "/auth/check"): "there are no sessions here; every request carries a key",
}


def _declare(method: str, path: str, reason: str) -> None:
    async def unbuilt(call: Call) -> Response:
        raise NotBuilt(f"not built: {reason}")

    unbuilt.__doc__ = f"Not built: {reason}."
    dialect.route(method, path)(unbuilt)


for (_method, _path), _reason in UNBUILT.items():
    _declare(_method, _path, _reason)
