"""The settings: one table from which environment variables, command line options and docs derive."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from headrace.core.errors import Invalid

PREFIX = "HEADRACE_"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server runs."""

    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(8080, "port to listen on; 0 takes a free one")
    data: Path = _setting(Path("data"), "directory of the database and of temporary files")
    database_url: str = _setting("", "PostgreSQL URL; empty means SQLite in the data directory")
    admin_token: str = _setting("", "a token for the built-in admin; at least 16 random characters are advised")
    allowed_hosts: str = _setting(
        "", "comma separated names that webhooks and imports by URL may reach although their addresses are private"
    )
    no_auth: bool = _setting(False, "accept requests without a token as the admin's; loopback only")

    @property
    def store_url(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data / 'headrace.sqlite3'}"

    @property
    def private_hosts(self) -> frozenset[str]:
        """The hosts that may be private."""
        return frozenset(name.strip().lower() for name in self.allowed_hosts.split(",") if name.strip())

    def checked(self) -> "Settings":
        """These settings if they go together; raises Invalid."""
        if self.no_auth and self.host not in LOOPBACK:
            raise Invalid("--no-auth is only allowed on a loopback address; use 127.0.0.1 or give tokens")
        if self.database_url and not self.database_url.startswith(("postgresql://", "postgres://")):
            raise Invalid("the database URL must start with postgresql://")
        return self


def from_environment(environment: Mapping[str, str] = os.environ, **given: Any) -> Settings:
    """The settings of the environment, overridden by what is given and not None; raises Invalid."""
    values: dict[str, Any] = {}
    for item in fields(Settings):
        text = environment.get(PREFIX + item.name.upper())
        if text is not None:
            values[item.name] = _parsed(item.name, type(item.default), text)
    values.update((name, value) for name, value in given.items() if value is not None)
    return Settings(**values).checked()


def _parsed(name: str, kind: type, text: str) -> Any:
    if kind is bool:
        return text.lower() in ("1", "true", "yes", "on")
    if kind is int:
        if not text.isdigit():
            raise Invalid(f"{PREFIX}{name.upper()} must be a number, not '{text[:40]}'")
        return int(text)
    return Path(text) if issubclass(kind, Path) else text
