"""Users and their tokens. A token is shown once; the database keeps the hash of its secret."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core.errors import Conflict, Invalid, NotFound, Unauthenticated
from headrace.core.rights import (
    ADMIN_PERMISSIONS,
    GLOBAL_PERMISSIONS,
    Permission,
    Principal,
    permissions,
)

if TYPE_CHECKING:
    from headrace.core.store import Tx

USERNAME = re.compile(r"[^\s/]{1,128}")
EMAIL = re.compile(r"[^@\s]{1,128}@[^@\s]{1,128}")
TOKEN = re.compile(r"hr_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
PRESET = "preset"
RESET = "reset-token"
BUILT_IN_ADMIN = "admin"
SAFE_PRESET_CHARACTERS = 16
NO_CREDENTIALS = "Authentication credentials were not provided."


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A person or a program. `grants` maps a project's id to the permissions held there."""

    id: int
    username: str
    email: str
    created_at: int
    global_permissions: tuple[str, ...]
    grants: Mapping[int, frozenset[Permission]]

    @property
    def is_admin(self) -> bool:
        """True when a global permission makes the user an admin of the whole server."""
        return not ADMIN_PERMISSIONS.isdisjoint(self.global_permissions)


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """What is kept of a token: never its secret."""

    id: int
    user_id: int
    key_id: str
    digest: bytes
    label: str
    created_at: int


class Holder(NamedTuple):
    """A live token's digest and label, whether opaque tokens are taken at present, and the user it stands for."""

    digest: bytes
    label: str
    taken: bool
    user: User


class Users(Protocol):
    """Storage of users, grants and tokens."""

    def insert(self, *, username: str, email: str, global_permissions: tuple[str, ...]) -> User:
        """Store a new user without grants."""

    def get(self, user_id: int) -> User | None:
        """The user with their grants."""

    def by_username(self, username: str) -> User | None:
        """The user of that name, compared exactly."""

    def all(self) -> list[User]:
        """All users by id."""

    def update(self, user_id: int, *, email: str | None, global_permissions: tuple[str, ...] | None) -> None:
        """Change what is not None."""

    def rename(self, user_id: int, username: str) -> None:
        """Change a user's name."""

    def delete(self, user_id: int) -> None:
        """Remove a user with grants, tokens, profile and kept replies."""

    def grant(self, user_id: int, project_id: int, granted: frozenset[Permission]) -> None:
        """Set the permissions a user holds in a project; an empty set removes the membership."""

    def add_token(self, user_id: int, *, key_id: str, digest: bytes, label: str) -> Token:
        """Store a token's hash."""

    def token(self, key_id: str) -> Token | None:
        """The live token with that id part."""

    def holder(self, key_id: str) -> Holder | None:
        """What the live token with that id part stands for."""

    def tokens(self, user_id: int | None) -> list[Token]:
        """The live tokens of a user, or of all."""

    def restore_token(self, key_id: str) -> bool:
        """Make a revoked token live again; False when there is none with that id part."""

    def revoke_token(self, token_id: int, user_id: int | None) -> bool:
        """Revoke a live token; False when there is none of that id (and that user)."""


def split(token: str) -> tuple[str, bytes]:
    """A token's id part and the hash of its secret; any text has both, so preset tokens work too."""
    found = TOKEN.fullmatch(token)
    if found:
        return found[1], hashlib.sha256(found[2].encode()).digest()
    whole = hashlib.sha256(token.encode("utf-8", "surrogateescape"))
    return "preset-" + whole.hexdigest()[:16], whole.digest()


def authenticate(tx: "Tx", token: str | None) -> Principal:
    """The principal an opaque token stands for; raises Unauthenticated when there is none.

    While such tokens are switched off only the one that the operator preset is taken.
    """
    if not token:
        raise Unauthenticated(NO_CREDENTIALS)
    key_id, digest = split(token)
    known = tx.users.holder(key_id)
    if known is None or not hmac.compare_digest(known.digest, digest):
        raise Unauthenticated("Invalid token.")
    if not known.taken and known.label != PRESET:
        raise Unauthenticated("legacy tokens are disabled here; use a personal access token (POST /api/token/)")
    return principal(known.user)


def principal(user: User) -> Principal:
    """The user as the caller of a request."""
    return Principal(
        user_id=user.id, username=user.username, email=user.email, is_admin=user.is_admin, grants=user.grants
    )


def create(
    tx: "Tx",
    who: Principal,
    *,
    username: str,
    email: str,
    global_permissions: tuple[str, ...] = (),
    project_permissions: Mapping[str, tuple[str, ...]] | None = None,
) -> User:
    """Create a user with permissions per project name. Only a server's admin may; raises Invalid."""
    who.require_admin()
    _check_identity(username, email)
    _check_global(global_permissions)
    if tx.users.by_username(username):
        raise Invalid(f"the user '{username}' exists already", fields={"username": username})
    user = tx.users.insert(username=username, email=email, global_permissions=global_permissions)
    _grant(tx, user.id, project_permissions or {})
    tx.events.add("user.created", actor_id=who.user_id, subject_id=user.id)
    return _required(tx, user.id)


def update(
    tx: "Tx",
    who: Principal,
    user_id: int,
    *,
    email: str | None = None,
    global_permissions: tuple[str, ...] | None = None,
    project_permissions: Mapping[str, tuple[str, ...]] | None = None,
) -> User:
    """Change a user; the projects named get exactly the permissions given, others stay."""
    who.require_admin()
    user = _required(tx, user_id)
    _check_identity(user.username, email or user.email)
    _check_global(global_permissions or ())
    tx.users.update(user_id, email=email, global_permissions=global_permissions)
    _grant(tx, user_id, project_permissions or {})
    tx.events.add("user.updated", actor_id=who.user_id, subject_id=user_id)
    return _required(tx, user_id)


def rename(tx: "Tx", who: Principal, user_id: int, username: str) -> None:
    """Change a user's name. Only a server's admin may; raises Invalid for a taken one, Conflict for the built-in."""
    who.require_admin()
    user = _required(tx, user_id)
    _check_identity(username, user.email)
    if user.username == BUILT_IN_ADMIN:
        raise Conflict("the built-in admin keeps its name", fields={"username": BUILT_IN_ADMIN})
    if tx.users.by_username(username):
        raise Invalid("user with this username already exists.", fields={"username": username})
    tx.users.rename(user_id, username)
    tx.events.add("user.updated", actor_id=who.user_id, subject_id=user_id)


def get(tx: "Tx", who: Principal, user_id: int) -> User:
    """A user: oneself, or anybody for an admin; raises NotFound."""
    if user_id != who.user_id and not who.is_admin:
        raise NotFound("there is no such user", fields={"user": user_id})
    return _required(tx, user_id)


def list_users(tx: "Tx", who: Principal) -> list[User]:
    """All users for an admin; oneself for anybody else."""
    return tx.users.all() if who.is_admin else [_required(tx, who.user_id)]


def mint(tx: "Tx", who: Principal, user_id: int, *, label: str = "") -> tuple[Token, str]:
    """A new token for a user and its text, which is never shown again. One's own, or anybody's for an admin."""
    if label == PRESET:
        raise Invalid(f"the label '{PRESET}' is kept for the operator's token", fields={"label": label})
    user = get(tx, who, user_id)
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    token = tx.users.add_token(user.id, key_id=key_id, digest=hashlib.sha256(secret.encode()).digest(), label=label)
    tx.events.add("token.created", actor_id=who.user_id, subject_id=token.id, data={"user_id": user.id})
    return token, f"hr_{key_id}_{secret}"


def mint_for(tx: "Tx", who: Principal, username: str, *, label: str = "") -> str:
    """The text of a new token for the user of that name; raises NotFound."""
    user = tx.users.by_username(username)
    if user is None:
        raise NotFound(f"there is no user '{username[:80]}'", fields={"user": username[:80]})
    return mint(tx, who, user.id, label=label)[1]


def replace_token(tx: "Tx", who: Principal, presented: str | None) -> str:
    """The text of a new token for the caller, in the place of the one presented and of one made here before.

    The operator's preset token stays.
    """
    key_id = split(presented)[0] if presented else ""
    for known in tx.users.tokens(who.user_id):
        if known.label == RESET or (known.key_id == key_id and known.label != PRESET):
            revoke(tx, who, known.id)
    return mint(tx, who, who.user_id, label=RESET)[1]


def revoke(tx: "Tx", who: Principal, token_id: int, *, user_id: int | None = None) -> None:
    """Revoke a token from the next request on; raises NotFound when it is not the caller's to revoke."""
    owner = user_id if who.is_admin else who.user_id
    if (user_id not in (None, owner)) or not tx.users.revoke_token(token_id, owner):
        raise NotFound("there is no such token", fields={"token": token_id})
    tx.events.add("token.revoked", actor_id=who.user_id, subject_id=token_id)


def list_tokens(tx: "Tx", who: Principal) -> list[Token]:
    """The live tokens, without their secrets: all for an admin, else one's own."""
    return tx.users.tokens(None if who.is_admin else who.user_id)


def preset_token(tx: "Tx", user: User, token: str) -> None:
    """Make a text chosen by the operator a token of the user, in the place of one chosen earlier."""
    key_id, digest = split(token)
    if tx.users.token(key_id) is not None:
        return
    for known in tx.users.tokens(user.id):
        if known.label == PRESET:
            tx.users.revoke_token(known.id, user.id)
    if not tx.users.restore_token(key_id):
        tx.users.add_token(user.id, key_id=key_id, digest=digest, label=PRESET)


def _required(tx: "Tx", user_id: int) -> User:
    user = tx.users.get(user_id)
    if user is None:
        raise NotFound("there is no such user", fields={"user": user_id})
    return user


def _grant(tx: "Tx", user_id: int, project_permissions: Mapping[str, tuple[str, ...]]) -> None:
    for name, wanted in project_permissions.items():
        project = tx.projects.get(name, None)
        if project is None:
            raise Invalid(f"there is no project '{name[:80]}'", fields={"organisation_permissions": name[:80]})
        tx.users.grant(user_id, project.id, permissions(wanted))


def _check_identity(username: str, email: str) -> None:
    if not USERNAME.fullmatch(username):
        raise Invalid("username must be 1 to 128 characters without spaces", fields={"username": username[:80]})
    if not EMAIL.fullmatch(email):
        raise Invalid("email is not an e-mail address", fields={"email": email[:80]})


def _check_global(names: tuple[str, ...]) -> None:
    for name in names:
        if name not in GLOBAL_PERMISSIONS:
            raise Invalid(f"'{name[:80]}' is not a global permission", fields={"global_permissions": name[:80]})
