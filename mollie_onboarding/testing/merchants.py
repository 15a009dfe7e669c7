"""Merchants who live through the app's own pages, at Mollie's sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from html import unescape
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.http import HttpResponse
from django.test import Client, TestCase, override_settings
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import NotConnectedError
from mollie_onboarding.models import ClientLink, DeliveryStatus, Organization
from mollie_onboarding.services.delivery import reference_of_next_mail

MERCHANT: dict[str, Any] = {
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


class Merchant:
    """One merchant: the client link, and a browser of their own. Each deed is what the person does, to the last click.

    Whoever has a user of the platform is logged in there.
    """

    def __init__(self, client_link: ClientLink) -> None:
        self.pk = client_link.pk
        self.browser = Client()
        if client_link.user is not None:
            self.browser.force_login(client_link.user)
        self.authorization_url = ""  # at Mollie, where the last press of the button led

    @property
    def client_link(self) -> ClientLink:
        """The row as it is now."""
        return ClientLink.objects.select_related("organization").get(pk=self.pk)

    @property
    def organization(self) -> Organization:
        """The Mollie organization that is connected, as it is now. Raises `LookupError` where none is."""
        organization = self.client_link.organization
        if organization is None:
            raise LookupError("This merchant has no organization.")
        return organization

    def invite(self) -> None:
        """The platform mails the onboarding link."""
        with _after_commit():
            services.request_sending(self.client_link)
        services.send_onboarding_link(self.pk)  # where tasks wait for a worker

    def open(self) -> HttpResponse:
        """Open the merchant page, as from the mail."""
        return self._ask(lambda: self.browser.get(self.client_link.merchant_path(), secure=_is_https()))

    @property
    def page_status(self) -> str:
        """What the merchant page says to machines: ready, started, finishing, declined, connected, lost …"""
        match = re.search(r'<main data-status="([a-z]*)">', self.open().content.decode())
        return match[1] if match else ""

    def press(self, action: str = "start") -> HttpResponse:
        """Press a button of the merchant page: `start`, `authorize`, `replace`, `check`."""
        path = self.client_link.merchant_path()
        response = self._ask(lambda: self.browser.post(path, {"action": action}, secure=_is_https()))
        match = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', response.content.decode())
        self.authorization_url = unescape(match[1]) if match else ""
        return response

    def decide(self, decision: str = "allow", **options: Any) -> str:
        """Allow, deny or fail at Mollie, where the last press led. The callback's address, not yet opened.

        The options are those of the sandbox's `visit`: `organization_id`, `error`. Raises `LookupError` where no press led to
        Mollie.
        """
        if not self.authorization_url:
            raise LookupError("This merchant is not at Mollie: the button did not lead there.")
        return str(_sandbox().visit(self.authorization_url, decision=decision, **options))

    def come_back(self, callback_url: str) -> HttpResponse:
        """Arrive at the callback."""
        parts = urlsplit(callback_url)
        path = f"{parts.path}?{parts.query}"
        return self._ask(lambda: self.browser.get(path, secure=_is_https()))

    def connect(self, decision: str = "allow", **options: Any) -> HttpResponse:
        """Press the button, decide at Mollie, come back."""
        self.press()
        return self.come_back(self.decide(decision, **options))

    def _ask(self, request: Callable[[], Any]) -> HttpResponse:
        with _after_commit():
            response: HttpResponse = request()
        return response


def make_merchant(state: str = "draft", **columns: Any) -> Merchant:
    """A merchant in one of the `STATES`, who got there the way that merchants do. The columns are those of `ClientLink`.

    Raises `ValueError` for a state that there is not. Call it inside of `play_mollie`.
    """
    if state not in STATES:
        raise ValueError(f"{state!r} is none of {', '.join(STATES)}.")
    row = ClientLink(**{**MERCHANT, **columns})
    row.full_clean()
    row.save()
    merchant = Merchant(row)
    STATES[state](merchant)
    return merchant


def _is_https() -> bool:
    return conf.MOLLIE_ONBOARDING_BASE_URL.startswith("https://")


def _after_commit() -> AbstractContextManager[Any]:
    """Run what waits for the commit, also where a test's transaction never commits."""
    return TestCase.captureOnCommitCallbacks(execute=True)


# The states, and the way there.


def _draft(merchant: Merchant) -> None:
    pass


def _invited(merchant: Merchant) -> None:
    merchant.invite()


def _bounced(merchant: Merchant) -> None:
    reference = reference_of_next_mail(merchant.client_link)
    merchant.invite()
    services.record_delivery(DeliveryStatus.BOUNCED, reference=reference)


def _expired(merchant: Merchant) -> None:
    merchant.invite()
    ClientLink.objects.filter(pk=merchant.pk).update(link_expires_at=timezone.now())


def _cancelled(merchant: Merchant) -> None:
    merchant.invite()
    services.cancel_client_link(merchant.client_link)


def _rejected(merchant: Merchant) -> None:
    _sandbox().add_fault("client_links", "validation", field="name")
    merchant.press()


def _started(merchant: Merchant) -> None:
    merchant.press()


def _declined(merchant: Merchant) -> None:
    merchant.connect("deny")


def _interrupted(merchant: Merchant) -> None:
    """The tokens are here, and Mollie did not say whose they are."""
    _sandbox().add_fault("organization", "server_error")
    merchant.connect()


def _connected(merchant: Merchant) -> None:
    merchant.connect()


def _onboarded(
    status: str, can_receive_payments: bool, can_receive_settlements: bool
) -> Callable[[Merchant], None]:
    def live(merchant: Merchant) -> None:
        merchant.press()
        callback_url = merchant.decide()
        [authorization] = _authorizations_of(callback_url)
        _sandbox().move_onboarding(
            authorization.organization_id, status, can_receive_payments, can_receive_settlements
        )
        merchant.come_back(callback_url)

    return live


def _needs_new_consent(merchant: Merchant) -> None:
    """Connected before the platform's scopes grew."""
    with override_settings(MOLLIE_ONBOARDING_SCOPES=["organizations.read"]):
        merchant.connect()


def _lost(merchant: Merchant) -> None:
    """The merchant took the access back at Mollie, and a refresh found out."""
    merchant.connect()
    organization = merchant.organization
    _sandbox().revoke_authorizations(organization.organization_id)
    with suppress(NotConnectedError), _after_commit():
        services.get_access_token(organization, rejected=services.get_access_token(organization))


def _disconnected(merchant: Merchant) -> None:
    merchant.connect()
    with _after_commit():
        services.disconnect(merchant.organization)


def _sandbox() -> ModuleType:
    from mollie_onboarding.sandbox import service  # its models need the app

    return service


def _authorizations_of(callback_url: str) -> Any:
    from mollie_onboarding.sandbox.models import Authorization

    return Authorization.objects.filter(code=parse_qs(urlsplit(callback_url).query)["code"][0])


STATES: dict[str, Callable[[Merchant], None]] = {
    "draft": _draft,
    "invited": _invited,
    "bounced": _bounced,
    "expired": _expired,  # the mailed link, not the one at Mollie
    "cancelled": _cancelled,
    "rejected": _rejected,
    "started": _started,
    "declined": _declined,
    "interrupted": _interrupted,
    "connected": _connected,  # and Mollie needs data
    "in_review": _onboarded("in-review", False, False),
    "payments_enabled": _onboarded("needs-data", True, False),
    "completed": _onboarded("completed", True, True),
    "needs_new_consent": _needs_new_consent,
    "lost": _lost,
    "disconnected": _disconnected,
}
