"""Personal access tokens and what is exchanged for them, the caller's opaque token, and which kinds are taken."""

from msgspec import UNSET
from starlette.responses import Response

from headrace.core import access_tokens, users
from headrace.core.access_tokens import Claims, PersonalToken, TokenSettings
from headrace.core.errors import Forbidden, Invalid, Unauthenticated
from headrace.core.store import Tx
from headrace.core.times import format_timestamp
from headrace.dialects.kit import Call, guessing, json_answer, presented_token
from headrace.dialects.label_studio import wire_users
from headrace.dialects.label_studio.boundary import dialect, invalid, json_body
from headrace.signing import Signer

STEM = "/api/token"


async def _refresh(call: Call) -> str:
    body = await json_body(call, wire_users.Refresh)
    if body.refresh is UNSET:
        raise invalid("refresh", "This field is required.")
    return body.refresh


def _token_json(text: str, token: PersonalToken) -> dict[str, str]:
    return {
        "token": text,
        "created_at": format_timestamp(token.created_at),
        "expires_at": format_timestamp(token.expires_at),
    }


@dialect.route("POST", STEM)
async def create_personal_token(call: Call) -> Response:
    """Make a personal access token; its text is shown in this answer and never again."""
    made = await call.write(lambda tx: access_tokens.issue(tx, call.who))
    return json_answer(_token_json(call.services.signer.personal(made), made), 201)


@dialect.route("GET", STEM)
async def list_personal_tokens(call: Call) -> Response:
    """The caller's valid personal access token without its signature; an empty list when there is none."""
    found = await call.read(lambda tx: access_tokens.mine(tx, call.who))
    return json_answer([_token_json(call.services.signer.short(token), token) for token in found])


@dialect.route("POST", STEM + "/refresh", public=True)
async def refresh_token(call: Call) -> Response:
    """Exchange a personal access token for an access token; guessing meets 429."""
    text, signer = await _refresh(call), call.services.signer
    with guessing(call.request, call.services):
        claims = signer.personal_claims(text)
        token = await call.read(lambda tx: access_tokens.refreshed(tx, claims))
    return json_answer({"access": signer.access(token)})


@dialect.route("POST", STEM + "/blacklist")
async def blacklist_token(call: Call) -> Response:
    """Revoke one's own personal access token, named by its whole text or by the text without the signature."""
    text, signer = await _refresh(call), call.services.signer

    def revoke(tx: Tx) -> None:
        access_tokens.revoke(tx, call.who, _named(tx, call, signer, text))

    await call.write(revoke)
    return Response(status_code=204)


def _named(tx: Tx, call: Call, signer: Signer, text: str) -> str:
    """The id part of the caller's token that a text names; "" when it names none."""
    known = access_tokens.mine(tx, call.who)
    return next((token.key_id for token in known if text in (signer.short(token), signer.personal(token))), "")


@dialect.route("POST", STEM + "/rotate")
async def rotate_token(call: Call) -> Response:
    """Put a new personal access token in the place of one's own, which is revoked."""
    text, signer = await _refresh(call), call.services.signer
    made = await call.write(lambda tx: access_tokens.rotate(tx, call.who, _claims(signer, text).key_id))
    return json_answer({"refresh": signer.personal(made)})


def _claims(signer: Signer, text: str) -> Claims:
    try:
        return signer.personal_claims(text)
    except Unauthenticated as error:
        raise Invalid(error.message, fields={"validation_errors": {"refresh": [error.message]}}) from error


def _settings_json(settings: TokenSettings) -> dict[str, object]:
    return {
        "api_token_ttl_days": settings.days,
        "api_tokens_enabled": settings.personal,
        "legacy_api_tokens_enabled": settings.opaque,
    }


@dialect.route("GET", "/api/jwt/settings")
async def get_token_settings(call: Call) -> Response:
    """Which kinds of token are taken."""
    return json_answer(_settings_json(await call.read(lambda tx: tx.access_tokens.settings())))


@dialect.route("POST", "/api/jwt/settings")
async def change_token_settings(call: Call) -> Response:
    """Change which kinds of token are taken, and how long new personal ones last."""
    body = await json_body(call, wire_users.TokenSettings)

    def change(tx: Tx) -> TokenSettings:
        return access_tokens.change_settings(
            tx,
            call.who,
            personal=None if body.api_tokens_enabled is UNSET else body.api_tokens_enabled,
            opaque=None if body.legacy_api_tokens_enabled is UNSET else body.legacy_api_tokens_enabled,
            days=None if body.api_token_ttl_days is UNSET else body.api_token_ttl_days,
        )

    return json_answer(_settings_json(await call.write(change)))


@dialect.route("GET", "/api/current-user/token")
async def get_opaque_token(call: Call) -> Response:
    """The opaque token that the request itself came with: the server keeps only hashes and can show no other."""
    token = _opaque(call)
    if token is None:
        raise Forbidden("a token is shown only when it is made; POST /api/current-user/reset-token/ makes a new one")
    return json_answer({"token": token})


@dialect.route("POST", "/api/current-user/reset-token")
async def reset_opaque_token(call: Call) -> Response:
    """A new opaque token in the place of the one that the request came with."""
    token = await call.write(lambda tx: users.replace_token(tx, call.who, _opaque(call)))
    return json_answer({"token": token}, 201)


def _opaque(call: Call) -> str | None:
    token = presented_token(call.request)
    return token if token and call.services.signer.access_claims(token) is None else None
