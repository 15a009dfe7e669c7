"""The values in our own addresses: the link that is mailed, the platform's reference, and where a merchant goes on."""

from __future__ import annotations

import base64
import binascii
import uuid
from urllib.parse import urlsplit

from django.core import signing
from django.urls.converters import StringConverter
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_variables

from .conf import conf

RETURN_URL_LENGTH = 2000  # characters, as in `ClientLink.return_url`
SEPARATOR = "."  # not in URL-safe base64, and needs no escaping in a path


class LinkToken(str):
    """The token of our own link as it came in an address. Django's reports print local variables, and this one not."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<LinkToken>"


class LinkTokenConverter(StringConverter):
    def to_python(self, value: str) -> LinkToken:
        return LinkToken(value)


def _link_signer() -> signing.Signer:
    return signing.Signer(salt="mollie_onboarding.link", sep=SEPARATOR)


def _reference_signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(salt="mollie_onboarding.reference", sep=SEPARATOR)


def sign_link(client_link_id: uuid.UUID, generation: int) -> str:
    """The token of our own link. Whoever has it may open the merchant page while the generation lasts."""
    value = base64.urlsafe_b64encode(client_link_id.bytes).decode().rstrip("=")
    return _link_signer().sign(f"{value}.{generation}")


@sensitive_variables()
def read_link(token: str) -> tuple[uuid.UUID, int]:
    """The client link's id and the generation that a token names. Raises `BadSignature`."""
    value, _, generation = _link_signer().unsign(token).partition(".")
    try:
        return uuid.UUID(bytes=base64.urlsafe_b64decode(value + "==")), int(generation)
    except (binascii.Error, ValueError) as exc:
        raise signing.BadSignature("The token is signed but names no client link.") from exc


def sign_reference(reference: str) -> str:
    """A value by which the platform tells the sign-up page which of its merchants this is: `signup/?for=…`."""
    return _reference_signer().sign_object(reference)


def read_reference(signed: str) -> str:
    """The reference behind a signed value. Raises `BadSignature`, also when it is older than `LINK_LIFETIME`."""
    return str(_reference_signer().unsign_object(signed, max_age=conf.MOLLIE_ONBOARDING_LINK_LIFETIME))


def is_safe_return_url(url: str) -> bool:
    """Whether a merchant may be sent to an address: a path of this site, or one at an allowed host.

    Allowed are the hosts of the base URL and of `RETURN_HOSTS`, by https where the base URL is https. Stricter than
    Django's check, because browsers mend what they read: no spaces, no control characters, no backslashes, and nothing
    that takes another page's address to be complete.
    """
    if len(url) > RETURN_URL_LENGTH or not url.isprintable() or " " in url or "\\" in url:
        return False
    if not url.startswith(("/", "https://", "http://")) or url.startswith("//"):
        return False
    base_url = urlsplit(conf.MOLLIE_ONBOARDING_BASE_URL)
    hosts = {host.lower() for host in (base_url.netloc, *conf.MOLLIE_ONBOARDING_RETURN_HOSTS)}
    return url_has_allowed_host_and_scheme(url, hosts, require_https=base_url.scheme == "https")


def safe_return_url(url: str) -> str:
    """The address if it is safe to send a merchant there, else the platform's `RETURN_URL`."""
    return url if is_safe_return_url(url) else conf.MOLLIE_ONBOARDING_RETURN_URL
