"""Statements of users, grants and tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from headrace.core.rights import Permission
from headrace.core.users import Holder, Token, User
from headrace.storage.schema import grants, meta, personal_tokens, profiles, replies, tokens, users
from headrace.storage.session import Repository, dumps, loads

TOKEN_COLUMNS = (
    tokens.c.id,
    tokens.c.user_id,
    tokens.c.key_id,
    tokens.c.digest,
    tokens.c.label,
    tokens.c.created_at,
)

OPAQUE_SETTING = select(meta.c.value).where(meta.c.key == "opaque_tokens").scalar_subquery()
# Built once and for every request: building these three selects cost more than all of them take (benchmark tiny).
HOLDER = (
    select(
        tokens.c.digest,
        tokens.c.label,
        OPAQUE_SETTING.label("setting"),
        users,
        grants.c.project_id,
        grants.c.permissions,
    )
    .select_from(tokens.join(users, users.c.id == tokens.c.user_id).outerjoin(grants, grants.c.user_id == users.c.id))
    .where(tokens.c.key_id == bindparam("key_id"), tokens.c.revoked_at.is_(None))
)
USER = (
    select(users, grants.c.project_id, grants.c.permissions)
    .select_from(users.outerjoin(grants, grants.c.user_id == users.c.id))
    .where(users.c.id == bindparam("numbered"))
)

Grants = Mapping[int, frozenset[Permission]]


def _user(row: Row[tuple[object, ...]], granted: Grants) -> User:
    values = row._asdict() | {"global_permissions": tuple(loads(row.global_permissions)), "grants": granted}
    return User(**values)


def user_of(rows: Sequence[Row[Any]]) -> User:
    """The user in rows of users joined with their grants."""
    first = rows[0]
    return User(
        id=first.id,
        username=first.username,
        email=first.email,
        created_at=first.created_at,
        global_permissions=tuple(loads(first.global_permissions)),
        grants={row.project_id: _permissions(row.permissions) for row in rows if row.project_id is not None},
    )


def _permissions(text: str) -> frozenset[Permission]:
    return frozenset(Permission(name) for name in loads(text))


class UserRepository(Repository):
    """See `core.users.Users`."""

    def insert(self, *, username: str, email: str, global_permissions: tuple[str, ...]) -> User:
        now = self.session.now()
        user_id = self.session.insert_id(
            insert(users).values(
                username=username, email=email, global_permissions=dumps(global_permissions), created_at=now
            )
        )
        return User(
            id=user_id,
            username=username,
            email=email,
            created_at=now,
            global_permissions=global_permissions,
            grants={},
        )

    def get(self, user_id: int) -> User | None:
        rows = self.session.rows(USER, {"numbered": user_id})
        return user_of(rows) if rows else None

    def by_username(self, username: str) -> User | None:
        row = self.session.first(select(users.c.id).where(users.c.username == username))
        return self.get(row.id) if row else None

    def all(self) -> list[User]:
        granted = self._grants()
        rows = self.session.rows(select(users).order_by(users.c.id))
        return [_user(row, granted.get(row.id, {})) for row in rows]

    def update(self, user_id: int, *, email: str | None, global_permissions: tuple[str, ...] | None) -> None:
        changes = {} if email is None else {"email": email}
        if global_permissions is not None:
            changes["global_permissions"] = dumps(global_permissions)
        if changes:
            self.session.run(update(users).where(users.c.id == user_id).values(**changes))

    def rename(self, user_id: int, username: str) -> None:
        self.session.run(update(users).where(users.c.id == user_id).values(username=username))

    def delete(self, user_id: int) -> None:
        for table in (grants, tokens, personal_tokens, profiles, replies):
            self.session.run(delete(table).where(table.c.user_id == user_id))
        self.session.run(delete(users).where(users.c.id == user_id))

    def grant(self, user_id: int, project_id: int, granted: frozenset[Permission]) -> None:
        mine = (grants.c.user_id == user_id, grants.c.project_id == project_id)
        self.session.run(delete(grants).where(*mine))
        if granted:
            names = dumps(sorted(permission.value for permission in granted))
            row = {"user_id": user_id, "project_id": project_id, "permissions": names}
            self.session.run(insert(grants).values(row))

    def add_token(self, user_id: int, *, key_id: str, digest: bytes, label: str) -> Token:
        now = self.session.now()
        values = {"user_id": user_id, "key_id": key_id, "digest": digest, "label": label, "created_at": now}
        return Token(id=self.session.insert_id(insert(tokens).values(values)), **values)  # type: ignore[arg-type]

    def token(self, key_id: str) -> Token | None:
        statement = select(*TOKEN_COLUMNS).where(tokens.c.key_id == key_id, tokens.c.revoked_at.is_(None))
        row = self.session.first(statement)
        return Token(**row._asdict()) if row else None

    def holder(self, key_id: str) -> Holder | None:
        rows = self.session.rows(HOLDER, {"key_id": key_id})
        if not rows:
            return None
        return Holder(rows[0].digest, rows[0].label, rows[0].setting != "off", user_of(rows))

    def tokens(self, user_id: int | None) -> list[Token]:
        statement = select(*TOKEN_COLUMNS).where(tokens.c.revoked_at.is_(None)).order_by(tokens.c.id)
        if user_id is not None:
            statement = statement.where(tokens.c.user_id == user_id)
        return [Token(**row._asdict()) for row in self.session.rows(statement)]

    def restore_token(self, key_id: str) -> bool:
        revoked = update(tokens).where(tokens.c.key_id == key_id, tokens.c.revoked_at.is_not(None))
        return self.session.run(revoked.values(revoked_at=None)) == 1

    def revoke_token(self, token_id: int, user_id: int | None) -> bool:
        statement = update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
        if user_id is not None:
            statement = statement.where(tokens.c.user_id == user_id)
        return self.session.run(statement.values(revoked_at=self.session.now())) == 1

    def _grants(self) -> dict[int, dict[int, frozenset[Permission]]]:
        found: dict[int, dict[int, frozenset[Permission]]] = {}
        for row in self.session.rows(select(grants)):
            found.setdefault(row.user_id, {})[row.project_id] = _permissions(row.permissions)
        return found
