"""Personal access tokens: real JSON Web Tokens, exchanged, revoked, switched off; and what is no such token."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from label_studio_api import errors_of
from starlette.testclient import TestClient

from conftest import client_of, ok
from everything import rows
from headrace.app import Application, admin_of
from headrace.core import access_tokens
from headrace.core.errors import Conflict
from headrace.dialects import kit
from headrace.signing import HEADER

WHOAMI = "/api/current-user/whoami"


def bearer(application: Application, token: str) -> TestClient:
    """A client that sends `Authorization: Bearer`."""
    client = client_of(application, None)
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def access(application: Application, personal: str) -> str:
    """An access token made from a personal one."""
    answer = client_of(application, None).post("/api/token/refresh/", json={"refresh": personal})
    return str(ok(answer)["access"])


def claims(token: str) -> dict[str, Any]:
    """What a token says, unverified, as the client reads it."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def secret_of(application: Application) -> str:
    """The server's signing secret."""
    found = application.store.read(lambda tx: tx.access_tokens.secret())
    assert found is not None
    return found


def test_a_personal_token_opens_every_api_through_its_access_token(either: Application) -> None:
    """It is a JWT far from expiry; the access token made from it lasts five minutes and works in all dialects."""
    admin = client_of(either)
    personal = ok(admin.post("/api/token/"))["token"]
    assert personal.startswith(HEADER)
    assert (claims(personal)["token_type"], claims(personal)["exp"] > time.time() + 10**9) == ("refresh", True)
    token = access(either, personal)
    said = claims(token)
    assert (said["token_type"], said["exp"] - said["iat"], said["user_id"]) == ("access", 300, "1")
    assert said["jti"] != claims(access(either, personal))["jti"]
    client = bearer(either, token)
    assert ok(client.get(WHOAMI))["username"] == "admin"
    assert ok(client.get("/auth/user"))["user"]["username"] == "admin"
    assert ok(client_of(either, token).get(WHOAMI))["username"] == "admin"


def test_one_valid_token_at_a_time_and_never_shown_again(application: Application, api: TestClient) -> None:
    """A second one is a conflict; the list names the token without its signature, which opens nothing."""
    assert ok(api.get("/api/token/")) == []
    personal = ok(api.post("/api/token/"))["token"]
    errors_of(api.post("/api/token/"), 409)
    short = ok(api.get("/api/token/"))[0]["token"]
    assert personal.rpartition(".")[0] == short
    assert api.post("/api/token/refresh/", json={"refresh": short}).status_code == 401
    assert all(personal.rpartition(".")[2] not in json.dumps(row) for row in stored(application))


def test_two_requests_at_once_make_one_token(either: Application) -> None:
    """One of them meets the conflict, also on two connections of PostgreSQL."""
    who = either.store.read(admin_of)
    futures = [either.store.submit_write(lambda tx: access_tokens.issue(tx, who)) for _ in range(4)]
    outcomes = [future.exception() for future in futures]
    assert [type(outcome) for outcome in outcomes].count(Conflict) == 3
    assert len(either.store.read(lambda tx: access_tokens.mine(tx, who))) == 1


def stored(application: Application) -> list[str]:
    """Everything the database holds, as text."""
    return [repr(row) for table in rows(application).values() for row in table]


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "short"])
def test_a_revoked_token_ends_at_once(application: Application, api: TestClient, whole: bool) -> None:
    """Blacklisted by either form, it and its access tokens are refused from the next request on; twice is 404."""
    personal = ok(api.post("/api/token/"))["token"]
    client = bearer(application, access(application, personal))
    named = {"refresh": personal if whole else personal.rpartition(".")[0]}
    assert api.post("/api/token/blacklist/", json=named).status_code == 204
    assert client.get(WHOAMI).status_code == 401
    assert api.post("/api/token/refresh/", json={"refresh": personal}).status_code == 401
    errors_of(api.post("/api/token/blacklist/", json=named), 404)
    assert ok(api.post("/api/token/"))["token"] != personal


def test_rotating_puts_a_new_token_in_place(application: Application, api: TestClient) -> None:
    """The old one and its access tokens end, the new one works; rotating the old again is a 400."""
    personal = ok(api.post("/api/token/"))["token"]
    old = bearer(application, access(application, personal))
    fresh = ok(old.post("/api/token/rotate/", json={"refresh": personal}))["refresh"]
    assert old.get(WHOAMI).status_code == 401
    assert ok(bearer(application, access(application, fresh)).get(WHOAMI))["id"] == 1
    assert list(errors_of(api.post("/api/token/rotate/", json={"refresh": personal}))) == ["refresh"]


def test_a_token_is_its_owners_alone(application: Application, api: TestClient, person: Any) -> None:
    """Nobody else revokes or rotates it, and with the user it ends at once."""
    bob = person("bob", default=["annotator"])
    personal = ok(bob.post("/api/token/"))["token"]
    client = bearer(application, access(application, personal))
    errors_of(api.post("/api/token/blacklist/", json={"refresh": personal}), 404)
    errors_of(api.post("/api/token/rotate/", json={"refresh": personal}))
    number = ok(client.get(WHOAMI))["id"]
    assert api.delete(f"/api/users/{number}/").status_code == 204
    assert (client.get(WHOAMI).status_code, bob.get(WHOAMI).status_code) == (401, 401)
    assert api.post("/api/token/refresh/", json={"refresh": personal}).status_code == 401


def part(value: Any) -> str:
    """A part of a token made by hand."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged(secret: str, personal: str) -> dict[str, str]:
    """Texts that look like access tokens and are none."""
    said = claims(personal)
    good = {**said, "token_type": "access", "parent": said["jti"], "exp": int(time.time()) + 60}
    signed = jwt.encode(good, secret, algorithm="HS256")
    return {
        "no algorithm": f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(good)}.",
        "own header, no signature": f"{HEADER}.{part(good)}.",
        "other algorithm": jwt.encode(good, secret, algorithm="HS512"),
        "other secret": jwt.encode(good, "x" * 64, algorithm="HS256"),
        "expired": jwt.encode({**good, "exp": int(time.time()) - 10}, secret, algorithm="HS256"),
        "another user": jwt.encode({**good, "user_id": "2"}, secret, algorithm="HS256"),
        "personal": personal,
        "cut": signed[:-1],
        "huge": f"{HEADER}.{'A' * 20_000}.{'A' * 43}",
        "deep": f"{part([[]])}.{'W' * 9_000}.{'A' * 43}",
        "not ascii": "eyJé.ü.ö",
        "dots": "." * 300,
    }


def test_what_is_no_access_token_is_401_in_every_dialect(application: Application, api: TestClient) -> None:
    """Forged, expired, huge and foreign tokens are refused in each API's own shape, and never a fault."""
    personal = ok(api.post("/api/token/"))["token"]
    for name, text in forged(secret_of(application), personal).items():
        client = client_of(application, None)
        headers = {b"Authorization": f"Bearer {text}".encode("latin-1")}
        errors_of(client.get(WHOAMI, headers=headers), 401)
        mining = client.get("/auth/user", headers=headers)
        assert (mining.status_code, mining.json()["status"]) == (401, "error"), name
        exchanged = client.post("/api/token/refresh/", json={"refresh": text})
        assert exchanged.status_code == (200 if name == "personal" else 401), name


@pytest.mark.parametrize("body", [{}, {"refresh": 3}, {"refresh": None}, [], "x"])
def test_a_body_without_a_token_is_400(api: TestClient, body: Any) -> None:
    """The three endpoints that take one say which field is missing or wrong."""
    for verb in ("refresh", "blacklist", "rotate"):
        errors_of(api.post(f"/api/token/{verb}/", json=body))


def test_guessing_at_the_exchange_meets_429(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint that needs no token counts wrong ones as every other does."""
    monkeypatch.setattr(kit, "MAX_WRONG_TOKENS", 5)
    client = client_of(application, None)
    codes = [client.post("/api/token/refresh/", json={"refresh": "x"}).status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]


def test_opaque_tokens_can_be_switched_off_but_not_the_operators(
    application: Application, api: TestClient, person: Any
) -> None:
    """Then every API refuses them, with the reason; the preset token stays, and so do personal tokens."""
    bob = person("bob", default=["annotator"])
    personal = bearer(application, access(application, ok(bob.post("/api/token/"))["token"]))
    errors_of(bob.post("/api/jwt/settings", json={"legacy_api_tokens_enabled": False}), 403)
    off = {"legacy_api_tokens_enabled": False}
    told = {"api_token_ttl_days": 73000, "api_tokens_enabled": True, "legacy_api_tokens_enabled": False}
    assert ok(api.post("/api/jwt/settings", json=off)) == told
    assert "legacy tokens are disabled" in bob.get(WHOAMI).json()["detail"]
    assert bob.get("/auth/user").status_code == 401
    assert (personal.get(WHOAMI).status_code, ok(api.get("/api/jwt/settings"))) == (200, told)
    assert api.post("/api/_private/users/0000000000000001/tokens", json={"label": "preset"}).status_code == 400
    ok(api.post("/api/jwt/settings", json={"legacy_api_tokens_enabled": True}))
    assert bob.get(WHOAMI).status_code == 200


def test_personal_tokens_can_be_switched_off(application: Application, api: TestClient) -> None:
    """Then neither they nor their access tokens are taken; one kind must stay on."""
    personal = ok(api.post("/api/token/"))["token"]
    client = bearer(application, access(application, personal))
    ok(api.post("/api/jwt/settings", json={"api_tokens_enabled": False}))
    assert client.get(WHOAMI).status_code == 401
    assert api.post("/api/token/refresh/", json={"refresh": personal}).status_code == 401
    assert list(errors_of(api.post("/api/jwt/settings", json={"legacy_api_tokens_enabled": False}))) == [
        "api_tokens_enabled"
    ]


@pytest.mark.parametrize("days", [0, -1, 73_001, 2**62])
def test_a_token_lasts_as_many_days_as_are_set(api: TestClient, days: int) -> None:
    """From 1 to 73,000 days."""
    assert list(errors_of(api.post("/api/jwt/settings", json={"api_token_ttl_days": days}))) == ["api_token_ttl_days"]
    ok(api.post("/api/jwt/settings", json={"api_token_ttl_days": 2}))
    said = claims(ok(api.post("/api/token/"))["token"])
    assert said["exp"] - said["iat"] == 2 * 86_400


def test_the_secret_outlives_a_restart_and_is_random(application: Application, api: TestClient) -> None:
    """It is made once, 256 bits long, and no answer holds it."""
    secret = secret_of(application)
    assert (len(secret), secret) == (64, secret_of(application))
    assert repr(secret) not in repr(application.store.read(lambda tx: tx.access_tokens.settings()))


def test_the_opaque_token_is_shown_to_whoever_sent_it(application: Application, api: TestClient, person: Any) -> None:
    """To nobody else; a reset puts a new one in its place, but leaves the operator's."""
    bob = person("bob", default=["annotator"])
    shown = ok(bob.get("/api/current-user/token"))["token"]
    assert bob.headers["Authorization"] == f"Token {shown}"
    personal = bearer(application, access(application, ok(bob.post("/api/token/"))["token"]))
    errors_of(personal.get("/api/current-user/token"), 403)
    fresh = ok(bob.post("/api/current-user/reset-token/"))["token"]
    assert bob.get(WHOAMI).status_code == 401
    again = ok(client_of(application, fresh).post("/api/current-user/reset-token/"))["token"]
    assert (client_of(application, fresh).get(WHOAMI).status_code, again != fresh) == (401, True)
    ok(api.post("/api/current-user/reset-token/"))
    assert api.get(WHOAMI).status_code == 200
