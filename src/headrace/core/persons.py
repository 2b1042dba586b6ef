"""Persons: the people behind an API client. A person is known by (client, auth method, username) and is a user of the
server without a token, so that what they say of a message is theirs in every dialect."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headrace.core import conversations
from headrace.core.conversations import Conversations
from headrace.core.errors import Invalid
from headrace.core.faults import Fault, fault
from headrace.core.rights import Principal

if TYPE_CHECKING:
    from headrace.core.store import Tx

AUTH_METHODS = ("discord", "google", "local", "system")
MAX_NAME = 200
MAX_NOTES = 4000
DAY = 24 * 3600 * 1_000_000
STREAK_BREAK = 36 * 3600 * 1_000_000
DELETED_NAME = "Deleted User"


class Identity(NamedTuple):
    """Who somebody is to their frontend; `display_name` None keeps the one known (or takes the username)."""

    auth_method: str
    username: str
    display_name: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody who writes and judges messages. `id` is a user's; dates are microseconds since the epoch."""

    id: int
    client_id: int
    auth_method: str
    username: str
    display_name: str
    enabled: bool = True
    deleted: bool = False
    notes: str = ""
    show_on_leaderboard: bool = True
    streak_days: int | None = None
    streak_at: int | None = None
    last_activity_at: int | None = None
    tos_accepted_at: int | None = None
    created_at: int


class PersonKey(StrEnum):
    """What persons can be sorted by."""

    USERNAME = "username"
    DISPLAY_NAME = "display_name"


class PersonMark(NamedTuple):
    """A place among persons in (value, id) order; an id of None is inclusive of all with that value."""

    value: str
    id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonRequest:
    """Which persons are wanted, strictly between two marks, at most `limit`, in the order of `key`.

    With `before` alone the page ends right before it, unless it is to begin `from_start`.
    """

    key: PersonKey = PersonKey.USERNAME
    limit: int = 100
    descending: bool = False
    after: PersonMark | None = None
    before: PersonMark | None = None
    client_id: int | None = None
    auth_method: str | None = None
    search: str | None = None
    from_start: bool = False

    @property
    def backwards(self) -> bool:
        """True when the page is the one that ends right before a mark."""
        return self.before is not None and self.after is None and not self.from_start


class PersonPage(NamedTuple):
    """Persons in the order asked, and whether there are some before and behind."""

    items: list[Person]
    has_previous: bool
    has_next: bool


class Persons(Protocol):
    """Storage of persons."""

    def insert(self, client_id: int, identity: Identity, created_at: int) -> Person:
        """Store a new person and the user they are."""

    def get(self, person_id: int) -> Person | None:
        """One person."""

    def find(self, client_id: int, auth_method: str, username: str) -> Person | None:
        """The person a client knows by this name."""

    def named(self, auth_method: str, username: str) -> list[Person]:
        """Everybody of this name, whatever the client, by id."""

    def some(self, person_ids: list[int]) -> dict[int, Person]:
        """Those of the persons that exist, by id."""

    def page(self, request: PersonRequest) -> list[Person]:
        """At most `limit + 1` persons in the order asked."""

    def change(self, before: Person, after: Person) -> None:
        """Write what differs between two states of a person."""

    def accepted_terms(self, client_id: int | None) -> int:
        """How many persons accepted the terms of service."""


def ensure(tx: "Tx", who: Principal, identity: Identity) -> Person:
    """The caller's person of that name, made on first sight; a changed display name is taken over.

    Raises username_required for an empty name, and Invalid for one that is too long or an unknown auth method.
    """
    conversations.load(tx, who, conversations.WORK)
    return recognised(tx, who, identity)


def recognised(tx: "Tx", who: Principal, identity: Identity) -> Person:
    """`ensure` in a transaction that goes on to load the collection for work, and so fails for whoever may not."""
    _check(identity)
    known = tx.persons.find(who.user_id, identity.auth_method, identity.username)
    if known is None:
        known = tx.persons.insert(who.user_id, identity, tx.now())
        tx.events.add("person.created", actor_id=who.user_id, subject_id=known.id)
    elif identity.display_name is not None and identity.display_name != known.display_name:
        tx.persons.change(known, known := replace(known, display_name=identity.display_name))
    return known


def named(tx: "Tx", who: Principal, auth_method: str, username: str, client_id: int | None = None) -> Person:
    """The person of that name: the caller's own, or for a trusted client that of a client named (or of any).

    Raises person_not_found, and client_not_authorised for a foreign client.
    """
    collection = conversations.load(tx, who, conversations.READ)
    owner = collection.narrowed(who, client_id)
    person = tx.persons.find(who.user_id if owner is None else owner, auth_method, username)
    if person is None and owner is None:
        person = next(iter(tx.persons.named(auth_method, username)), None)
    if person is None:
        raise fault(Fault.PERSON_NOT_FOUND, "there is no such user")
    return person


def get(tx: "Tx", who: Principal, person_id: int) -> Person:
    """One person that the caller may see; raises person_not_found."""
    return _required(tx, who, conversations.load(tx, who, conversations.READ), person_id)


def authors(tx: "Tx", who: Principal, person_ids: Collection[int]) -> dict[int, Person]:
    """Those of the persons that the caller may see, by id."""
    collection = conversations.load(tx, who, conversations.READ)
    found = tx.persons.some(sorted(person_ids))
    return {person.id: person for person in found.values() if collection.shows(who, person.client_id)}


def page(tx: "Tx", who: Principal, request: PersonRequest) -> PersonPage:
    """Persons that the caller may see; an untrusted client that names another one is Forbidden."""
    collection = conversations.load(tx, who, conversations.READ)
    narrowed = replace(request, client_id=collection.narrowed(who, request.client_id))
    found = tx.persons.page(narrowed)
    more = len(found) > request.limit
    if request.backwards:
        return PersonPage(found[1:] if more else found, more, True)
    return PersonPage(found[: request.limit], request.after is not None, more or request.before is not None)


def update(tx: "Tx", who: Principal, person_id: int, changes: Mapping[str, object]) -> Person:
    """Change display_name, enabled, notes, show_on_leaderboard or tos_acceptance; only trusted clients may.

    The prompts of somebody who is disabled leave the lottery: see `tree_growth.update_author`.
    """
    collection = conversations.load(tx, who, conversations.MODERATE)
    return _changed(tx, who, _required(tx, who, collection, person_id), changes)


def upsert(tx: "Tx", who: Principal, identity: Identity, changes: Mapping[str, object]) -> Person:
    """The person of that name with these properties; changing somebody who exists takes a trusted client."""
    collection = conversations.load(tx, who, conversations.WORK)
    _check(identity)
    known = tx.persons.find(who.user_id, identity.auth_method, identity.username)
    if known is None or collection.trusts(who):
        return _changed(tx, who, ensure(tx, who, identity), changes)
    if _with(known, changes, tx.now()) != known or identity.display_name not in (None, known.display_name):
        raise fault(Fault.CLIENT_NOT_AUTHORISED, "changing a user takes a trusted client")
    return known


def forget(tx: "Tx", who: Principal, person_id: int) -> None:
    """Anonymise a person; their messages stay. Only trusted clients may."""
    collection = conversations.load(tx, who, conversations.MODERATE)
    known = _required(tx, who, collection, person_id)
    gone = replace(
        known,
        username=f"deleted_{known.id:016x}",
        display_name=DELETED_NAME,
        deleted=True,
        enabled=False,
        notes="",
        show_on_leaderboard=False,
    )
    tx.persons.change(known, gone)
    tx.events.add("person.deleted", actor_id=who.user_id, subject_id=known.id)


def require_able(person: Person, *, terms: bool) -> None:
    """Raise person_disabled or terms_not_accepted when somebody may not work."""
    if not person.enabled or person.deleted:
        raise fault(Fault.PERSON_DISABLED, "this user is disabled")
    if terms and person.tos_accepted_at is None:
        raise fault(Fault.TERMS_NOT_ACCEPTED, "the terms of service were not accepted")


def active(person: Person, now: int) -> Person:
    """The person after doing something now: the streak goes on, or starts again after 36 hours of rest."""
    rested = person.last_activity_at is None or now - person.last_activity_at > STREAK_BREAK
    start = now if rested or person.streak_at is None else person.streak_at
    return replace(person, streak_at=start, streak_days=(now - start) // DAY, last_activity_at=now)


def _required(tx: "Tx", who: Principal, collection: Conversations, person_id: int) -> Person:
    person = tx.persons.get(person_id)
    if person is None or not collection.shows(who, person.client_id):
        raise fault(Fault.PERSON_NOT_FOUND, "there is no such user")
    return person


def _changed(tx: "Tx", who: Principal, known: Person, changes: Mapping[str, object]) -> Person:
    after = _with(known, changes, tx.now())
    if after != known:
        tx.persons.change(known, after)
        tx.events.add("person.updated", actor_id=who.user_id, subject_id=known.id, data={"changes": sorted(changes)})
    return after


def _with(known: Person, changes: Mapping[str, object], now: int) -> Person:
    given = {name: value for name, value in changes.items() if value is not None}
    terms = given.pop("tos_acceptance", None)
    if terms is not None:
        given["tos_accepted_at"] = (known.tos_accepted_at or now) if terms else None
    if len(str(given.get("notes", ""))) > MAX_NOTES or len(str(given.get("display_name", ""))) > MAX_NAME:
        raise Invalid("display_name or notes is too long", fields={"user": known.id})
    return replace(known, **given)  # type: ignore[arg-type]


def _check(identity: Identity) -> None:
    if not identity.username or not identity.auth_method:
        raise fault(Fault.USERNAME_REQUIRED, "a user needs an id and an auth method")
    if identity.auth_method not in AUTH_METHODS:
        raise Invalid("auth_method is unknown", fields={"auth_method": identity.auth_method[:40]})
    if max(len(identity.username), len(identity.display_name or "")) > MAX_NAME:
        raise Invalid(f"a user's names have at most {MAX_NAME} characters", fields={"id": identity.username[:80]})
