"""Users and their tokens: the parts that a server's start depends on."""

from dataclasses import replace

import pytest

from conftest import client_of
from headrace.app import create_app
from headrace.settings import Settings


@pytest.mark.parametrize("token", ["x", "a token with spaces and ü", "eyJhbGciOi.looks.like-a-jwt"])
def test_any_preset_token_works(settings: Settings, token: str) -> None:
    """Whatever text the operator presets is the admin's token, and the one preset before is void."""
    create_app(settings).close()
    application = create_app(replace(settings, admin_token=token))
    void = client_of(application).get("/auth/user")
    fresh = client_of(application, None).get("/auth/user", params={"api_key": token})
    application.close()
    assert void.status_code == 401
    assert fresh.json()["user"]["global_permissions"] == ["root"]


def test_a_preset_token_may_come_back(settings: Settings) -> None:
    """Presetting an earlier text again makes it the admin's token again."""
    for token in ("first", "second", "first"):
        application = create_app(replace(settings, admin_token=token))
        assert client_of(application, token).get("/auth/user").status_code == 200
        application.close()
