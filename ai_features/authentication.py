from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox import auth
from rest_framework.exceptions import AuthenticationFailed


class TokenAuthentication(auth.TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """`Authorization: Token <token>`, the token stored hashed; a header that is no token at all is a 401 too."""

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Any]:
        # Knox decodes the header as UTF-8 and PostgreSQL refuses NUL; neither may become a 500.
        if not token.isalnum():
            raise AuthenticationFailed(_("Invalid token."))
        credentials: tuple[Any, Any] = super().authenticate_credentials(token)
        return credentials


class TokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]
    """The same, for the OpenAPI document."""

    target_class = "ai_features.authentication.TokenAuthentication"
    name = "token"
