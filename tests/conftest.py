from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client, TestCase
from django.utils import translation
from django.utils.translation.reloader import translation_file_changed

from mollie_onboarding import signals
from mollie_onboarding.models import ClientLink
from mollie_onboarding.sandbox import service as sandbox_service
from mollie_onboarding.testing import sandbox_mollie

LOCALE = Path(__file__).parent.parent / "mollie_onboarding" / "locale"

MERCHANT = {
    "owner_email": "jan@bakkerij-jansen.example",
    "owner_given_name": "Jan",
    "owner_family_name": "Jansen",
    "owner_locale": "nl_NL",
    "organization_name": "Bakkerij Jansen",
    "street_and_number": "Keizersgracht 126",
    "postal_code": "1015 CW",
    "city": "Amsterdam",
    "country": "NL",
    "registration_number": "30204462",
    "vat_number": "NL815839091B01",
    "legal_entity": "nl-bv",
}


@pytest.fixture(autouse=True, scope="session")
def _catalogues() -> None:
    """The catalogues as Django reads them. An installation compiles them; a checkout may have none, or old ones."""
    for source in LOCALE.glob("*/LC_MESSAGES/*.po"):
        compiled = source.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
            with source.open("rb") as catalogue, compiled.open("wb") as file:
                write_mo(file, read_po(catalogue))
            translation_file_changed(sender=None, file_path=compiled)  # Django forgets what it has read


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """Whatever language a visitor of the test before spoke."""
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def sandbox(db: None) -> Iterator[Any]:
    """Mollie's sandbox, in this process: the switches and the memory of it."""
    with sandbox_mollie():
        yield sandbox_service


@pytest.fixture
def make_client_link(db: None) -> Any:
    """A saved client link; keywords replace columns, lifecycle columns included."""

    def make(**columns: Any) -> ClientLink:
        row = ClientLink(**{**MERCHANT, **columns})
        row.save()
        return ClientLink.objects.select_related("organization").get(pk=row.pk)

    return make


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    """What the platform heard of changes of the onboarding status."""
    heard: list[dict[str, Any]] = []

    def receive(**arguments: Any) -> None:
        heard.append(arguments)

    signals.onboarding_status_changed.connect(receive)
    yield heard
    signals.onboarding_status_changed.disconnect(receive)


@pytest.fixture
def operator(db: None) -> Any:
    return get_user_model().objects.create_superuser("operator", "operator@shopwise.example", "secret")


@pytest.fixture
def browser() -> Client:
    """A merchant's browser, over https, that minds its CSRF cookies."""
    return Browser(enforce_csrf_checks=True)


class Browser(Client):
    """The test client, doing what a browser does on our pages."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{
                "SERVER_NAME": "platform.example",
                "HTTP_REFERER": "https://platform.example/",
                "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.9",
                **kwargs,
            }
        )

    def generic(self, *args: Any, **kwargs: Any) -> Any:
        # What waits for a commit runs after the request, as it would outside of a test's transaction.
        with TestCase.captureOnCommitCallbacks(execute=True):
            return super().generic(*args, **{**kwargs, "secure": True})

    def submit(self, path: str, **fields: Any) -> Any:
        """Open the page, fill in its form, press a button."""
        page = self.get(path)
        hidden = dict(
            re.findall(r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?', page.content.decode())
        )
        return self.post(path, {**hidden, **fields})

    def press(self, client_link: ClientLink, **fields: Any) -> Any:
        """Open the merchant page and press its button."""
        return self.submit(client_link.merchant_path(), **fields)

    def come_back(self, callback_url: str) -> Any:
        """Follow Mollie's redirect."""
        parts = urlsplit(callback_url)
        return self.get(f"{parts.path}?{parts.query}")


def authorization_url(response: Any) -> str:
    """Where the page of a response moves on to."""
    match = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', response.content.decode())
    assert match, response.content.decode()
    return match[1].replace("&amp;", "&")


def page_status(response: Any) -> str:
    """The state that a page shows to machines."""
    match = re.search(r'<main data-status="([^"]*)">', response.content.decode())
    assert match, response.content.decode()
    return match[1]


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]
