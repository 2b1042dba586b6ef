"""Signing and reading the tokens that are JSON Web Tokens: HMAC-SHA-256 under the server's own secret.

A text counts as such a token only with the very header that this module writes, so no other algorithm is ever
considered and nothing of a foreign token is parsed.
"""

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import jwt

from headrace.core.access_tokens import ACCESS_SECONDS, SECOND_MICROSECONDS, Claims, PersonalToken
from headrace.core.errors import Unauthenticated

ALGORITHM = "HS256"
HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
SIGNED = re.compile(re.escape(HEADER) + r"\.[A-Za-z0-9_-]{1,1000}\.[A-Za-z0-9_-]{43}")
PERSONAL = "refresh"
ACCESS = "access"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs and reads tokens under one secret."""

    secret: str = field(repr=False)

    def personal(self, token: PersonalToken) -> str:
        """The text of a personal access token, the same every time."""
        payload = {
            "token_type": PERSONAL,
            "exp": token.expires_at // SECOND_MICROSECONDS,
            "iat": token.created_at // SECOND_MICROSECONDS,
            "jti": token.key_id,
            "user_id": str(token.user_id),
        }
        return self._signed(payload)

    def short(self, token: PersonalToken) -> str:
        """A personal access token without its signature: it names the token and opens nothing."""
        return self.personal(token).rpartition(".")[0]

    def access(self, token: PersonalToken) -> str:
        """A fresh access token made from a personal one, good for ACCESS_SECONDS at most."""
        now = int(time.time())
        payload = {
            "token_type": ACCESS,
            "exp": min(now + ACCESS_SECONDS, token.expires_at // SECOND_MICROSECONDS),
            "iat": now,
            "jti": secrets.token_hex(16),
            "parent": token.key_id,
            "user_id": str(token.user_id),
        }
        return self._signed(payload)

    def access_claims(self, text: str) -> Claims | None:
        """What an access token says, or None for a text that this server has not signed.

        Raises Unauthenticated for one that has expired, and for a personal access token.
        """
        payload = self._payload(text)
        if payload is not None and payload["token_type"] != ACCESS:
            raise Unauthenticated("Token has wrong type: exchange it for an access token at /api/token/refresh/")
        return None if payload is None else Claims(payload["parent"], int(payload["user_id"]))

    def personal_claims(self, text: str) -> Claims:
        """What a personal access token says; raises Unauthenticated for any other text."""
        payload = self._payload(text)
        if payload is None:
            raise Unauthenticated("Token is invalid")
        if payload["token_type"] != PERSONAL:
            raise Unauthenticated("Token has wrong type")
        return Claims(payload["jti"], int(payload["user_id"]))

    def _signed(self, payload: dict[str, object]) -> str:
        return jwt.encode(payload, self.secret, algorithm=ALGORITHM)

    def _payload(self, text: str) -> dict[str, Any] | None:
        """What this server signed; whatever carries its signature has all the claims that it writes."""
        if not SIGNED.fullmatch(text):
            return None
        try:
            return jwt.decode(text, self.secret, algorithms=[ALGORITHM], options={"verify_iat": False})
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("Token is expired") from error
        except jwt.InvalidTokenError:
            return None
