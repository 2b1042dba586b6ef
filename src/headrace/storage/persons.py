"""Statements of persons; each of them is a user without a token."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, func, insert, select, tuple_, update

from headrace.core.persons import Identity, Person, PersonMark, PersonRequest
from headrace.storage.schema import users
from headrace.storage.schema_trees import persons
from headrace.storage.session import Repository, among, dumps

NOBODY = "person@example.org"
NAMED = select(persons).where(
    persons.c.client_id == bindparam("client"),
    persons.c.auth_method == bindparam("method"),
    persons.c.username == bindparam("name"),
)
FIELDS = tuple(column.name for column in persons.c if column.name != "user_id")
SOME = select(persons).where(among(persons.c.user_id, "people"))
CHANGE = update(persons).where(persons.c.user_id == bindparam("number"))


def _person(row: Row[Any]) -> Person:
    values = row._asdict()
    return Person(id=values.pop("user_id"), **values)


class PersonRepository(Repository):
    """See `core.persons.Persons`."""

    def insert(self, client_id: int, identity: Identity, created_at: int) -> Person:
        person = Person(
            id=self._user(client_id, identity, created_at),
            client_id=client_id,
            auth_method=identity.auth_method,
            username=identity.username,
            display_name=identity.username if identity.display_name is None else identity.display_name,
            created_at=created_at,
        )
        values = asdict(person)
        self.session.run(insert(persons).values(user_id=values.pop("id"), **values))
        return person

    def get(self, person_id: int) -> Person | None:
        return self.some([person_id]).get(person_id)

    def find(self, client_id: int, auth_method: str, username: str) -> Person | None:
        row = self.session.first(NAMED, {"client": client_id, "method": auth_method, "name": username})
        return _person(row) if row else None

    def named(self, auth_method: str, username: str) -> list[Person]:
        mine = (persons.c.auth_method == auth_method, persons.c.username == username)
        return [_person(row) for row in self.session.rows(select(persons).where(*mine).order_by(persons.c.user_id))]

    def some(self, person_ids: list[int]) -> dict[int, Person]:
        if not person_ids:
            return {}
        rows = self.session.rows(SOME, {"people": list(person_ids)})
        return {row.user_id: _person(row) for row in rows}

    def page(self, request: PersonRequest) -> list[Person]:
        key = persons.c[request.key.value]
        statement = select(persons).where(*self._wanted(request))
        if request.after is not None:
            statement = statement.where(self._beyond(key, request.after, ascending=not request.descending))
        if request.before is not None:
            statement = statement.where(self._beyond(key, request.before, ascending=request.descending))
        falling = request.descending is not request.backwards
        order = (key.desc(), persons.c.user_id.desc()) if falling else (key, persons.c.user_id)
        found = [_person(row) for row in self.session.rows(statement.order_by(*order).limit(request.limit + 1))]
        return found[::-1] if request.backwards else found

    def change(self, before: Person, after: Person) -> None:
        changed = {name: value for name in FIELDS if (value := getattr(after, name)) != getattr(before, name)}
        if changed:
            self.session.run(CHANGE, {**changed, "number": before.id})
        if before.username != after.username:
            renamed = {"username": f"{after.auth_method}:{after.username}"}
            self.session.run(update(users).where(users.c.id == before.id).values(renamed))

    def accepted_terms(self, client_id: int | None) -> int:
        statement = select(func.count()).select_from(persons).where(persons.c.tos_accepted_at.is_not(None))
        if client_id is not None:
            statement = statement.where(persons.c.client_id == client_id)
        return int(self.session.conn.execute(statement).scalar_one())

    def _user(self, client_id: int, identity: Identity, created_at: int) -> int:
        """The id of a new user for a person; where the plain name is taken, the client's id tells them apart."""
        name = f"{identity.auth_method}:{identity.username}"
        if self.session.first(select(users.c.id).where(users.c.username == name)):
            name = f"{name}#{client_id}"
        return self.session.insert_id(
            insert(users).values(username=name, email=NOBODY, global_permissions=dumps([]), created_at=created_at)
        )

    def _wanted(self, request: PersonRequest) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if request.client_id is not None:
            conditions.append(persons.c.client_id == request.client_id)
        if request.auth_method is not None:
            conditions.append(persons.c.auth_method == request.auth_method)
        if request.search is not None:
            inside = func.strpos if self.session.postgres else func.instr
            conditions.append(inside(persons.c[request.key.value], request.search) > 0)
        return conditions

    def _beyond(self, key: ColumnElement[str], mark: PersonMark, *, ascending: bool) -> ColumnElement[bool]:
        if mark.id is None:
            return key >= mark.value if ascending else key <= mark.value
        place, limit = tuple_(key, persons.c.user_id), tuple_(mark.value, mark.id)
        return place > limit if ascending else place < limit
