"""Mollie for social-auth-app-django, written as the backends of social-core are."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from social_core.backends.oauth import BaseOAuth2


class MollieOAuth2(BaseOAuth2):
    """Signs somebody up with their Mollie account."""

    name = "mollie"
    AUTHORIZATION_URL = settings.MOLLIE_AUTHORIZE_URL
    ACCESS_TOKEN_URL = settings.MOLLIE_TOKENS_URL
    USE_BASIC_AUTH = True
    REDIRECT_STATE = False
    EXTRA_DATA: ClassVar = [
        ("refresh_token", "refresh_token"),
        ("expires_in", "expires_in"),
        ("name", "name"),
    ]

    def get_user_details(self, response: dict[str, Any]) -> dict[str, Any]:
        return {"fullname": response["name"], "email": response["email"]}

    def user_data(self, access_token: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {access_token}"}
        organization: dict[str, Any] = self.get_json(settings.MOLLIE_ORGANIZATION_URL, headers=headers)
        return organization


class MollieAccess(MollieOAuth2):
    """Ties a Mollie account to who is logged in: the mode that social-core has for access without a login."""

    name = "mollie-access"
    ASSOCIATION_ONLY = True
