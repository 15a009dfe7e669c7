"""The signed values in our own addresses: the link that is mailed, and the platform's reference on the sign-up page."""

from __future__ import annotations

import base64
import binascii
import uuid

from django.core import signing

from .conf import conf

SEPARATOR = "."  # not in URL-safe base64, and needs no escaping in a path


def _link_signer() -> signing.Signer:
    return signing.Signer(salt="mollie_onboarding.link", sep=SEPARATOR)


def _reference_signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(salt="mollie_onboarding.reference", sep=SEPARATOR)


def sign_link(client_link_id: uuid.UUID, generation: int) -> str:
    """The token of our own link. Whoever has it may open the merchant page while the generation lasts."""
    value = base64.urlsafe_b64encode(client_link_id.bytes).decode().rstrip("=")
    return _link_signer().sign(f"{value}.{generation}")


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
