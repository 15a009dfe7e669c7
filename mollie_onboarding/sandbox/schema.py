"""Is this body a client link? The rules of docs.mollie.com/reference/create-client-link, first fault first.

Lenient where Mollie's documents are silent: no maximum lengths, unknown keys are ignored, every legal entity is taken.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from django.utils import timezone
from django_countries.data import COUNTRIES

from .errors import MollieRefusalError

NO_POSTAL_CODE = frozenset(
    "AE AN AO AW BF BI BJ BO BS BV BW BZ CD CF CG CI CK CM DJ DM ER FJ GA GD GH GM GN GQ GY HK JM KE KI KM KN KP LC "
    "ML MO MR MS MU MW NA NR NU PA QA RW SB SC SL SO SR ST SY TF TK TL TO TT TV UG VU YE ZM ZW".split()
)  # docs.mollie.com/reference/common-data-types, address object

ASCII_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,}")
LOCALE = re.compile(r"[a-z]{2}_[A-Z]{2}")
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Body = dict[str, Any]


def check_client_link(body: object) -> Body:
    """Return the body if it makes a client link; raises `MollieRefusalError` (422) naming the first wrong field."""
    if not isinstance(body, dict):
        raise MollieRefusalError(422, "The body has to be a JSON object")
    _check_owner(_required_object(body, "owner"))
    _required_text(body, "name", "name")
    _check_address(_required_object(body, "address"))
    for name in ("registrationNumber", "vatNumber"):
        _optional_text(body, name, name)
    for name in ("legalEntity", "registrationOffice"):
        _text_without_null(body, name)
    _check_incorporation_date(_optional_text(body, "incorporationDate", "incorporationDate"))
    return body


def _check_owner(owner: Body) -> None:
    email = _required_text(owner, "email", "owner.email")
    _required_text(owner, "givenName", "owner.givenName")
    _required_text(owner, "familyName", "owner.familyName")
    local_part, _, domain = email.rpartition("@")
    if not local_part or re.search(r"[\s@]", local_part) or not ASCII_DOMAIN.fullmatch(domain):
        raise MollieRefusalError(
            422, "This is not an e-mail address with an ASCII domain", field="owner.email"
        )
    locale = _optional_text(owner, "locale", "owner.locale")
    if locale is not None and not LOCALE.fullmatch(locale):
        raise MollieRefusalError(422, "A locale looks like 'nl_NL'", field="owner.locale")


def _check_address(address: Body) -> None:
    country = _required_text(address, "country", "address.country")
    if country not in COUNTRIES:
        raise MollieRefusalError(
            422, "This is not a country code of ISO 3166-1 alpha-2", field="address.country"
        )
    parts = {
        name: _optional_text(address, name, f"address.{name}")
        for name in ("streetAndNumber", "postalCode", "city")
    }
    if not parts["streetAndNumber"]:
        return
    if not parts["postalCode"] and country not in NO_POSTAL_CODE:
        raise MollieRefusalError(
            422, "A street needs a postal code in this country", field="address.postalCode"
        )
    if not parts["city"]:
        raise MollieRefusalError(422, "A street needs a city", field="address.city")


def _check_incorporation_date(value: str | None) -> None:
    if value is None:
        return
    try:
        # `fromisoformat` alone would also take '20240229' and '2024-W09-4'.
        day = date.fromisoformat(value) if ISO_DATE.fullmatch(value) else None
    except ValueError:
        day = None
    if day is None:
        raise MollieRefusalError(422, "A date looks like 'YYYY-MM-DD'", field="incorporationDate")
    if day > timezone.now().date():
        raise MollieRefusalError(422, "The date lies in the future", field="incorporationDate")


def _required_object(body: Body, name: str) -> Body:
    if name not in body:
        raise MollieRefusalError(422, f"'{name}' is required", field=name)
    value = body[name]
    if not isinstance(value, dict):
        raise MollieRefusalError(422, f"'{name}' has to be an object", field=name)
    return value


def _required_text(body: Body, name: str, field: str) -> str:
    value = _text_without_null(body, name, field)
    if value is None or not value.strip():
        raise MollieRefusalError(422, f"'{field}' is required", field=field)
    return value


def _optional_text(body: Body, name: str, field: str) -> str | None:
    return None if body.get(name) is None else _text_without_null(body, name, field)


def _text_without_null(body: Body, name: str, field: str = "") -> str | None:
    """The text, or None if the key is missing; null is as wrong as a number."""
    if name not in body:
        return None
    value = body[name]
    if not isinstance(value, str):
        raise MollieRefusalError(422, f"'{field or name}' has to be a string", field=field or name)
    return value
