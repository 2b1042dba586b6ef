"""Profiles: what people's clients want to know of a user beside name and rights, and the life of a user there."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from headrace.core import users
from headrace.core.errors import Forbidden, Invalid
from headrace.core.projects import DEFAULT_PROJECT
from headrace.core.rights import Principal
from headrace.core.users import User

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_NAME = 256
MAX_HOTKEYS = 500
NEW_USER_ROLE = "annotator"


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """A person's names, phone number and keyboard shortcuts; all may be empty."""

    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    hotkeys: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A user with their profile."""

    user: User
    profile: Profile


class Profiles(Protocol):
    """Storage of profiles."""

    def of(self, user_ids: list[int]) -> dict[int, Profile]:
        """The profiles of those users who have one."""

    def set(self, user_id: int, profile: Profile) -> None:
        """Replace a user's profile."""


def person(tx: "Tx", who: Principal, user_id: int) -> Person:
    """A user with their profile: oneself, or anybody for an admin; raises NotFound."""
    return _persons(tx, [users.get(tx, who, user_id)])[0]


def persons(tx: "Tx", who: Principal) -> list[Person]:
    """All users with their profiles for an admin; oneself for anybody else."""
    return _persons(tx, users.list_users(tx, who))


def members(tx: "Tx", who: Principal, project_id: int) -> list[Person]:
    """Who has rights in a project that the caller may see, admins included, as far as the caller may see users."""
    found = users.list_users(tx, who)
    return _persons(tx, [user for user in found if user.is_admin or project_id in user.grants])


def create(tx: "Tx", who: Principal, *, username: str, email: str, profile: Profile) -> Person:
    """A user who may annotate in the default project. Only a server's admin may; raises Invalid for a known one."""
    who.require_admin()
    _check(profile)
    known = tx.users.all()
    if any(user.username == username for user in known):
        raise Invalid("user with this username already exists.", fields={"username": username[:80]})
    if any(user.email.casefold() == email.casefold() for user in known):
        raise Invalid("user with this email address already exists.", fields={"email": email[:80]})
    granted = {DEFAULT_PROJECT: (NEW_USER_ROLE,)} if tx.projects.get(DEFAULT_PROJECT, None) else {}
    made = users.create(tx, who, username=username, email=email, project_permissions=granted)
    tx.profiles.set(made.id, profile)
    return Person(user=made, profile=profile)


def update(
    tx: "Tx", who: Principal, user_id: int, changes: Mapping[str, object], *, username: str | None = None
) -> Person:
    """Change the fields of a profile that are named, one's own or anybody's for an admin, and the username."""
    known = person(tx, who, user_id)
    changed = replace(known.profile, **changes)  # type: ignore[arg-type]
    _check(changed)
    if username not in (None, known.user.username):
        users.rename(tx, who, user_id, str(username))
    elif changes:
        tx.events.add("user.updated", actor_id=who.user_id, subject_id=user_id)
    if changes:
        tx.profiles.set(user_id, changed)
    return person(tx, who, user_id)


def delete(tx: "Tx", who: Principal, user_id: int) -> None:
    """Delete a user with tokens, grants and profile; what they said stays under their id.

    Only a server's admin may; raises NotFound, and Forbidden for oneself and for the built-in admin.
    """
    who.require_admin()
    user = users.get(tx, who, user_id)
    if user_id == who.user_id or user.username == users.BUILT_IN_ADMIN:
        raise Forbidden("neither you yourself nor the built-in admin can be deleted", fields={"user": user_id})
    tx.users.delete(user_id)
    tx.events.add("user.deleted", actor_id=who.user_id, subject_id=user_id, data={"username": user.username})


def _persons(tx: "Tx", found: list[User]) -> list[Person]:
    profiles = tx.profiles.of([user.id for user in found])
    return [Person(user=user, profile=profiles.get(user.id, Profile())) for user in found]


def _check(profile: Profile) -> None:
    for name in ("first_name", "last_name", "phone"):
        if len(getattr(profile, name)) > MAX_NAME:
            raise Invalid(f"must have at most {MAX_NAME} characters", fields={name: MAX_NAME})
    if len(profile.hotkeys) > MAX_HOTKEYS:
        raise Invalid(f"at most {MAX_HOTKEYS} hotkeys", fields={"custom_hotkeys": len(profile.hotkeys)})
