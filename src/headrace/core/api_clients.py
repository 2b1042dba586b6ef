"""API clients: programs through which persons take part in conversations. A client is a user with a token.

What a client may do are permissions in the collection's project: one that holds `datasets-admin` there is *trusted*,
sees everything and may moderate; any other sees only what is its own.
"""

import secrets
from typing import TYPE_CHECKING

from headrace.core import conversations, users
from headrace.core.errors import Invalid
from headrace.core.projects import DEFAULT_PROJECT
from headrace.core.rights import Permission, Principal

if TYPE_CHECKING:
    from headrace.core.store import Tx

WORKING = (*conversations.READ, *conversations.WORK)
TRUSTED = (*WORKING, *conversations.MODERATE, Permission.EXPORT_DATASETS)
MAX_TEXT = 256


def create(
    tx: "Tx",
    who: Principal,
    *,
    description: str,
    frontend_type: str,
    trusted: bool = False,
    admin_email: str | None = None,
) -> str:
    """Make a client and answer its key, which is never shown again. Only a server's admin may; raises Invalid."""
    if max(len(description), len(frontend_type)) > MAX_TEXT:
        raise Invalid(f"description and frontend_type have at most {MAX_TEXT} characters", fields={"description": ""})
    name = f"client-{secrets.token_hex(6)}"
    granted = {DEFAULT_PROJECT: tuple(permission.value for permission in (TRUSTED if trusted else WORKING))}
    client = users.create(
        tx, who, username=name, email=admin_email or f"{name}@example.org", project_permissions=granted
    )
    _, key = users.mint(tx, who, client.id, label=f"{frontend_type}: {description}")
    conversations.open_(tx, who)
    tx.events.add(
        "client.created",
        actor_id=who.user_id,
        subject_id=client.id,
        data={"description": description, "frontend_type": frontend_type, "trusted": trusted},
    )
    return key
