"""Personal access tokens: signed texts that a program exchanges for access tokens of a few minutes.

The database holds no such text, only the id part by which it is revoked; `headrace.signing` signs and reads them.
Which kinds of token are taken at all is a setting of the server. What the operator preset is taken always, so that
nobody can lock everybody out.
"""

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import users
from headrace.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from headrace.core.rights import Principal
from headrace.core.users import User

if TYPE_CHECKING:
    from headrace.core.store import Tx

ACCESS_SECONDS = 300
MAX_DAYS = 73_000
DAY_MICROSECONDS = 86_400_000_000
SECOND_MICROSECONDS = 1_000_000


class Claims(NamedTuple):
    """What a signed token says: the id part of the personal token it is or was made from, and whose that is."""

    key_id: str
    user_id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonalToken:
    """What is kept of a personal access token; times are microseconds since the epoch, in whole seconds."""

    id: int
    user_id: int
    key_id: str
    created_at: int
    expires_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenSettings:
    """Which kinds of token are taken (personal ones, and opaque ones), and how many days a new personal one lasts."""

    personal: bool = True
    opaque: bool = True
    days: int = MAX_DAYS


class AccessTokens(Protocol):
    """Storage of personal access tokens, their signing secret and their settings."""

    def insert(self, user_id: int, *, key_id: str, created_at: int, expires_at: int) -> PersonalToken:
        """Store a token; a user has at most one that is not revoked."""

    def live(self, user_id: int) -> list[PersonalToken]:
        """The user's tokens that are not revoked."""

    def holder(self, key_id: str) -> tuple[bool, PersonalToken, User] | None:
        """Whether personal tokens are taken, the live token with that id part, and the user it stands for."""

    def revoke(self, key_id: str) -> bool:
        """Revoke a live token; False when there is none with that id part."""

    def settings(self) -> TokenSettings:
        """The settings."""

    def set_settings(self, settings: TokenSettings) -> None:
        """Replace the settings."""

    def secret(self) -> str | None:
        """The signing secret, None before the first start."""

    def set_secret(self, secret: str) -> None:
        """Store the signing secret; it is never replaced."""


def signing_secret(tx: "Tx") -> str:
    """The secret that signs this server's tokens, made at random at the first start."""
    known = tx.access_tokens.secret()
    if known is None:
        known = secrets.token_hex(32)
        tx.access_tokens.set_secret(known)
    return known


def authenticate(tx: "Tx", claims: Claims) -> Principal:
    """The principal behind an access token, decided anew at every use; raises Unauthenticated."""
    return users.principal(_held(tx, claims)[1])


def refreshed(tx: "Tx", claims: Claims) -> PersonalToken:
    """The personal token for which a new access token may be made; raises Unauthenticated."""
    return _held(tx, claims)[0]


def issue(tx: "Tx", who: Principal) -> PersonalToken:
    """A personal access token for the caller.

    Raises Conflict when they have a valid one, Forbidden while such tokens are switched off.
    """
    settings, now = tx.access_tokens.settings(), tx.now() // SECOND_MICROSECONDS * SECOND_MICROSECONDS
    if not settings.personal:
        raise Forbidden("personal access tokens are switched off", fields={"api_tokens_enabled": False})
    for known in tx.access_tokens.live(who.user_id):
        if known.expires_at > now:
            raise Conflict("You already have a valid token. Please revoke it before creating a new one.")
        tx.access_tokens.revoke(known.key_id)
    expires_at = now + settings.days * DAY_MICROSECONDS
    key_id = secrets.token_hex(16)
    made = tx.access_tokens.insert(who.user_id, key_id=key_id, created_at=now, expires_at=expires_at)
    tx.events.add("personal_token.created", actor_id=who.user_id, subject_id=made.id, data={"user_id": who.user_id})
    return made


def mine(tx: "Tx", who: Principal) -> list[PersonalToken]:
    """The caller's valid personal access tokens: one at most."""
    now = tx.now()
    return [known for known in tx.access_tokens.live(who.user_id) if known.expires_at > now]


def revoke(tx: "Tx", who: Principal, key_id: str) -> None:
    """Revoke one's own personal token and every access token made from it; raises NotFound."""
    known = next((known for known in tx.access_tokens.live(who.user_id) if known.key_id == key_id), None)
    if known is None:
        raise NotFound("Token is already blacklisted", fields={"refresh": ""})
    tx.access_tokens.revoke(key_id)
    tx.events.add("personal_token.revoked", actor_id=who.user_id, subject_id=known.id)


def rotate(tx: "Tx", who: Principal, key_id: str) -> PersonalToken:
    """A new personal token in the place of one's own; raises Invalid when there is none with that id part."""
    try:
        revoke(tx, who, key_id)
    except NotFound as error:
        raise Invalid(error.message, fields=error.fields) from error
    return issue(tx, who)


def change_settings(
    tx: "Tx",
    who: Principal,
    *,
    personal: bool | None = None,
    opaque: bool | None = None,
    days: int | None = None,
) -> TokenSettings:
    """Change what is not None. Only a server's admin may; raises Invalid when no kind of token would be left."""
    who.require_admin()
    known = tx.access_tokens.settings()
    wanted = TokenSettings(
        personal=known.personal if personal is None else personal,
        opaque=known.opaque if opaque is None else opaque,
        days=known.days if days is None else days,
    )
    if not (wanted.personal or wanted.opaque):
        raise Invalid("one kind of token must stay enabled", fields={"api_tokens_enabled": False})
    if not 1 <= wanted.days <= MAX_DAYS:
        raise Invalid(f"must be 1 to {MAX_DAYS} days", fields={"api_token_ttl_days": wanted.days})
    tx.access_tokens.set_settings(wanted)
    data = {"personal": wanted.personal, "opaque": wanted.opaque, "days": wanted.days}
    tx.events.add("token_settings.updated", actor_id=who.user_id, data=data)
    return wanted


def _held(tx: "Tx", claims: Claims) -> tuple[PersonalToken, User]:
    found = tx.access_tokens.holder(claims.key_id)
    if found is None or found[1].user_id != claims.user_id:
        raise Unauthenticated("Token is blacklisted")
    if not found[0]:
        raise Unauthenticated("personal access tokens are switched off")
    return found[1], found[2]
