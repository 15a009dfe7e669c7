"""Whether the credentials work, asked of those who know: Mollie, the URLconf, the database."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q
from django.urls import NoReverseMatch, reverse
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import (
    DecryptionError,
    InvalidGrantError,
    MollieConnectionError,
    MollieResponseError,
)
from mollie_onboarding.fields import is_encryption_key
from mollie_onboarding.models import Organization

from .calling import MollieAPI

NO_CODE = "auth_no_code_at_all"  # no merchant ever brought it

ACCESS_HINT = (
    "Make an advanced access token with clients.write and clients.read in Mollie's dashboard, and set "
    "MOLLIE_ONBOARDING_ACCESS_TOKEN to it."
)
APP_HINT = "Copy the client id and the client secret of one OAuth app from Mollie's dashboard, under Developers > Your apps."
NO_ANSWER_HINT = "Try again in a moment, and see whether this machine reaches MOLLIE_ONBOARDING_API_URL."


class Verdict(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"


class Finding(NamedTuple):
    """The answer to one question. `subject` names the question to machines, `text` and `hint` are for people.

    `is_failure` tells what somebody must look at: all that is wrong but for what is merely better to have, and what is
    unknown because Mollie gave no answer at all.
    """

    subject: str
    verdict: Verdict
    text: str
    hint: str = ""
    is_failure: bool = False


def _right(subject: str, text: str) -> Finding:
    return Finding(subject, Verdict.RIGHT, text)


def _wrong(subject: str, text: str, hint: str) -> Finding:
    return Finding(subject, Verdict.WRONG, text, hint, is_failure=True)


def _unknown(subject: str, text: str, hint: str = "") -> Finding:
    return Finding(subject, Verdict.UNKNOWN, text, hint)


def _no_answer(subject: str, exc: MollieConnectionError) -> Finding:
    return Finding(subject, Verdict.UNKNOWN, str(exc), NO_ANSWER_HINT, is_failure=True)


def check_mollie() -> list[Finding]:
    """What is right and wrong with the credentials, the redirect URI and the keys: a finding for each question.

    Mollie is asked what the partner's token may do, what kind of partner it belongs to, and to redeem a code that does
    not exist. Nothing is changed, here or there. A setting that is missing, and a Mollie that does not answer, are
    findings too. Takes 40 seconds at most.
    """
    return [*_ask_about_token(), _ask_about_app(), _look_at_redirect_uri(), *_look_at_keys()]


def _ask_about_token() -> list[Finding]:
    """https://docs.mollie.com/reference/list-permissions"""
    api = MollieAPI()
    try:
        permissions = api.list_permissions()
    except ImproperlyConfigured as exc:
        return [_wrong("access_token", str(exc), ACCESS_HINT)]
    except MollieConnectionError as exc:
        return [_no_answer("access_token", exc)]
    except MollieResponseError as exc:
        text = f"Mollie refuses MOLLIE_ONBOARDING_ACCESS_TOKEN: it answered {exc.status}."
        return [_wrong("access_token", text, ACCESS_HINT)]
    return [
        _right("access_token", "Mollie accepts MOLLIE_ONBOARDING_ACCESS_TOKEN."),
        _find_clients_write(permissions.get("clients.write")),
        _find_clients_read(permissions.get("clients.read")),
        _ask_about_partner(api),
    ]


def _find_clients_write(is_granted: bool | None) -> Finding:
    if is_granted is None:
        # docs.mollie.com/docs/permissions does not name the scopes of partners either.
        text = "Mollie's list of permissions does not say whether the token holds clients.write."
        return _unknown("clients.write", text, "If client links are refused with 403, this is why.")
    if is_granted:
        return _right("clients.write", "The token holds clients.write: client links can be made.")
    text = "The token lacks clients.write: no client link can be made."
    return _wrong("clients.write", text, ACCESS_HINT)


def _find_clients_read(is_granted: bool | None) -> Finding:
    """Without it everything works, only slower: no failure."""
    hint = "Without it the onboarding status is read merchant by merchant, with each one's own token; with it, 250 at a time."
    if is_granted is None:
        text = "Mollie's list of permissions does not say whether the token holds clients.read."
        return _unknown("clients.read", text, hint)
    if is_granted:
        return _right(
            "clients.read", "The token holds clients.read: the status of all clients can be listed."
        )
    return Finding("clients.read", Verdict.WRONG, "The token lacks clients.read.", hint)


def _ask_about_partner(api: MollieAPI) -> Finding:
    """https://docs.mollie.com/reference/get-partner-status"""
    try:
        partner_type = api.get_partner_type()
    except MollieConnectionError as exc:
        return _no_answer("partner", exc)
    except MollieResponseError as exc:
        text = f"Whether the token's organization is a partner cannot be asked: Mollie answered {exc.status}."
        return _unknown("partner", text, "A token that also holds organizations.read may ask.")
    if partner_type:
        return _right(
            "partner", f"The token's organization is a partner of Mollie's, of type {partner_type}."
        )
    hint = "Become a partner in Mollie's dashboard, or take a token of the organization that is one."
    return _wrong("partner", "The token's organization is no partner of Mollie's.", hint)


def _ask_about_app() -> Finding:
    """Redeem a code that does not exist: whom Mollie tells so, it has recognised. RFC 6749 section 5.2"""
    subject = "client_credentials"
    try:
        MollieAPI().exchange_code(NO_CODE)
    except ImproperlyConfigured as exc:
        return _wrong(subject, str(exc), APP_HINT)
    except InvalidGrantError:
        return _right(
            subject, "Mollie accepts MOLLIE_ONBOARDING_CLIENT_ID and MOLLIE_ONBOARDING_CLIENT_SECRET."
        )
    except MollieConnectionError as exc:
        return _no_answer(subject, exc)
    except MollieResponseError as exc:
        if exc.status == 401 or exc.error == "invalid_client":
            text = "Mollie refuses MOLLIE_ONBOARDING_CLIENT_ID with MOLLIE_ONBOARDING_CLIENT_SECRET."
            return _wrong(subject, text, APP_HINT)
        return _unknown(subject, f"Whether client id and secret are accepted is not to be seen: {exc}")
    return _unknown(subject, "Mollie redeemed a code that does not exist: nothing follows from that.")


def _look_at_redirect_uri() -> Finding:
    subject = "redirect_uri"
    try:
        callback = conf.MOLLIE_ONBOARDING_BASE_URL + reverse("mollie_onboarding:callback")
    except ImproperlyConfigured as exc:
        hint = 'Set it to the scheme and host of this site, such as "https://platform.example".'
        return _wrong(subject, str(exc), hint)
    except NoReverseMatch:
        hint = 'Add path("onboarding/", include("mollie_onboarding.urls")) to the ROOT_URLCONF.'
        return _wrong(subject, "The URLs of mollie_onboarding are not included.", hint)
    sent = conf.MOLLIE_ONBOARDING_REDIRECT_URI
    if sent in ("", callback):
        return _right(subject, f"The redirect URI to register with the OAuth app: {callback}")
    text = f"The redirect URI to register with the OAuth app: {sent}"
    hint = f"MOLLIE_ONBOARDING_REDIRECT_URI differs from the callback of this site, {callback}: it has to lead there."
    return _unknown(subject, text, hint)


def _look_at_keys() -> list[Finding]:
    keys = conf.MOLLIE_ONBOARDING_ENCRYPTION_KEYS
    hint = "Keys come from cryptography.fernet.Fernet.generate_key(), and stand newest first."
    if not keys:
        return [_wrong("encryption_keys", "MOLLIE_ONBOARDING_ENCRYPTION_KEYS is not set.", hint)]
    malformed = [str(number) for number, key in enumerate(keys, 1) if not is_encryption_key(key)]
    if malformed:
        text = (
            f"In MOLLIE_ONBOARDING_ENCRYPTION_KEYS, these are no Fernet keys: number {', '.join(malformed)}."
        )
        return [_wrong("encryption_keys", text, hint)]
    text = f"MOLLIE_ONBOARDING_ENCRYPTION_KEYS can be used, {len(keys)} in number."
    return [_right("encryption_keys", text), _look_at_stored_tokens()]


@sensitive_variables()
def _look_at_stored_tokens() -> Finding:
    """Only of the newest organization: `rotate_token_keys --dry-run` looks at all."""
    subject = "stored_tokens"
    holding = Q(access_token__isnull=False) | Q(refresh_token__isnull=False)
    newest = Organization.objects.filter(holding).order_by("-pk").first()
    if newest is None:
        return _right(subject, "No tokens are stored yet.")
    try:
        for secret in filter(None, (newest.access_token, newest.refresh_token)):
            secret.reveal()
    except DecryptionError:
        text = "The tokens that were stored last fit no key of MOLLIE_ONBOARDING_ENCRYPTION_KEYS."
        hint = (
            "Put the key back with which they were encrypted, behind the newest, and run rotate_token_keys."
        )
        return _wrong(subject, text, hint)
    return _right(subject, "The tokens that were stored last can be decrypted.")
