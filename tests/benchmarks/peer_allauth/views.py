from __future__ import annotations

from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.views import (
    OAuth2Adapter,
    OAuth2CallbackView,
    OAuth2LoginView,
)
from django.conf import settings
from django.http import HttpRequest


class MollieAdapter(OAuth2Adapter):
    provider_id = "mollie"
    authorize_url = settings.MOLLIE_AUTHORIZE_URL
    access_token_url = settings.MOLLIE_TOKENS_URL
    basic_auth = True

    def complete_login(
        self, request: HttpRequest, app: Any, token: SocialToken, **kwargs: Any
    ) -> SocialLogin:
        headers = {"Authorization": f"Bearer {token.token}"}
        with get_adapter().get_requests_session() as session:
            response = session.get(settings.MOLLIE_ORGANIZATION_URL, headers=headers)
            response.raise_for_status()
        return self.get_provider().sociallogin_from_response(request, response.json())


oauth2_login = OAuth2LoginView.adapter_view(MollieAdapter)
oauth2_callback = OAuth2CallbackView.adapter_view(MollieAdapter)
