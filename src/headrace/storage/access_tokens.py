"""Statements of personal access tokens, and of the settings and the secret that stand in `meta`."""

from sqlalchemy import ScalarSelect, bindparam, insert, select, update

from headrace.core.access_tokens import MAX_DAYS, PersonalToken, TokenSettings
from headrace.core.users import User
from headrace.storage.schema import grants, meta, personal_tokens, users
from headrace.storage.session import Repository
from headrace.storage.users import user_of

OFF = "off"
PERSONAL_KEY = "personal_tokens"
OPAQUE_KEY = "opaque_tokens"
DAYS_KEY = "personal_token_days"
SECRET_KEY = "signing_secret"
COLUMNS = tuple(personal_tokens.c[name] for name in ("id", "user_id", "key_id", "created_at", "expires_at"))


def _setting(key: str) -> ScalarSelect[str]:
    return select(meta.c.value).where(meta.c.key == key).scalar_subquery()


# Built once and for every request, as storage.users.HOLDER is.
HOLDER = (
    select(
        _setting(PERSONAL_KEY).label("setting"),
        *(column.label(f"token_{column.name}") for column in COLUMNS),
        users,
        grants.c.project_id,
        grants.c.permissions,
    )
    .select_from(
        personal_tokens.join(users, users.c.id == personal_tokens.c.user_id).outerjoin(
            grants, grants.c.user_id == users.c.id
        )
    )
    .where(personal_tokens.c.key_id == bindparam("key_id"), personal_tokens.c.revoked_at.is_(None))
)


class AccessTokenRepository(Repository):
    """See `core.access_tokens.AccessTokens`."""

    def insert(self, user_id: int, *, key_id: str, created_at: int, expires_at: int) -> PersonalToken:
        values = {"user_id": user_id, "key_id": key_id, "created_at": created_at, "expires_at": expires_at}
        token_id = self.session.insert_id(insert(personal_tokens).values(values))
        return PersonalToken(id=token_id, user_id=user_id, key_id=key_id, created_at=created_at, expires_at=expires_at)

    def live(self, user_id: int) -> list[PersonalToken]:
        mine = (personal_tokens.c.user_id == user_id, personal_tokens.c.revoked_at.is_(None))
        return [PersonalToken(**row._asdict()) for row in self.session.rows(select(*COLUMNS).where(*mine))]

    def holder(self, key_id: str) -> tuple[bool, PersonalToken, User] | None:
        rows = self.session.rows(HOLDER, {"key_id": key_id})
        if not rows:
            return None
        values = rows[0]._asdict()
        token = PersonalToken(**{column.name: values[f"token_{column.name}"] for column in COLUMNS})
        return values["setting"] != OFF, token, user_of(rows)

    def revoke(self, key_id: str) -> bool:
        live = (personal_tokens.c.key_id == key_id, personal_tokens.c.revoked_at.is_(None))
        return self.session.run(update(personal_tokens).where(*live).values(revoked_at=self.session.now())) == 1

    def settings(self) -> TokenSettings:
        keys = (PERSONAL_KEY, OPAQUE_KEY, DAYS_KEY)
        rows = self.session.rows(select(meta.c.key, meta.c.value).where(meta.c.key.in_(keys)))
        found = {row.key: row.value for row in rows}
        return TokenSettings(
            personal=found.get(PERSONAL_KEY) != OFF,
            opaque=found.get(OPAQUE_KEY) != OFF,
            days=int(found.get(DAYS_KEY, MAX_DAYS)),
        )

    def set_settings(self, settings: TokenSettings) -> None:
        self._set(PERSONAL_KEY, "on" if settings.personal else OFF)
        self._set(OPAQUE_KEY, "on" if settings.opaque else OFF)
        self._set(DAYS_KEY, str(settings.days))

    def secret(self) -> str | None:
        row = self.session.first(select(meta.c.value).where(meta.c.key == SECRET_KEY))
        return row.value if row else None

    def set_secret(self, secret: str) -> None:
        self.session.run(insert(meta).values(key=SECRET_KEY, value=secret))

    def _set(self, key: str, value: str) -> None:
        if self.session.run(update(meta).where(meta.c.key == key).values(value=value)) == 0:
            self.session.run(insert(meta).values(key=key, value=value))
