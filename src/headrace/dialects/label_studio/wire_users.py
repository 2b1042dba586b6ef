"""Shapes of what clients send about tokens and users. Unknown keys are ignored, as in `wire`."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from headrace.dialects.label_studio.wire import Flag, Optional


class Refresh(Struct):
    """Body of the token endpoints that take a personal access token."""

    refresh: str | UnsetType = UNSET


class TokenSettings(Struct):
    """Body of POST jwt/settings."""

    api_tokens_enabled: Flag = UNSET
    legacy_api_tokens_enabled: Flag = UNSET
    api_token_ttl_days: int | UnsetType = UNSET


class User(Struct):
    """Body of POST and PATCH user."""

    email: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    first_name: str | Optional = UNSET
    last_name: str | Optional = UNSET
    phone: str | Optional = UNSET
    custom_hotkeys: dict[str, Any] | Optional = UNSET


class Hotkeys(Struct):
    """Body of PATCH hotkeys."""

    custom_hotkeys: dict[str, Any] | UnsetType = UNSET
