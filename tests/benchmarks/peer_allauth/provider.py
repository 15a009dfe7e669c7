"""Mollie for django-allauth, written as its own providers are."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.providers.base import ProviderAccount
from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider

from .views import MollieAdapter


class MollieProvider(OAuth2Provider):
    id = "mollie"
    name = "Mollie"
    account_class = ProviderAccount
    oauth2_adapter_class = MollieAdapter

    def extract_uid(self, data: dict[str, Any]) -> str:
        return str(data["id"])

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"name": data["name"]}


provider_classes = [MollieProvider]
