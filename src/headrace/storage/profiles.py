"""Statements of profiles."""

from sqlalchemy import delete, insert, select

from headrace.core.profiles import Profile
from headrace.storage.schema import profiles
from headrace.storage.session import Repository, dumps, loads


class ProfileRepository(Repository):
    """See `core.profiles.Profiles`."""

    def of(self, user_ids: list[int]) -> dict[int, Profile]:
        rows = self.session.rows(select(profiles).where(self.session.among(profiles.c.user_id, user_ids)))
        return {
            row.user_id: Profile(
                first_name=row.first_name, last_name=row.last_name, phone=row.phone, hotkeys=loads(row.hotkeys)
            )
            for row in rows
        }

    def set(self, user_id: int, profile: Profile) -> None:
        self.session.run(delete(profiles).where(profiles.c.user_id == user_id))
        values = {
            "user_id": user_id,
            "first_name": profile.first_name,
            "last_name": profile.last_name,
            "phone": profile.phone,
            "hotkeys": dumps(profile.hotkeys),
        }
        self.session.run(insert(profiles).values(values))
