"""What Mollie asks of a client link request, checked before the call.

The one place for the sign-up form, the admin, an import and code: `ClientLink.clean` comes here. An error is what Mollie
is known to refuse, or what no name should carry into a mail of ours; a warning is what looks like a slip and may still be
right. docs.mollie.com/reference/create-client-link
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from importlib import import_module
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django_countries import countries

from .enumerations import (
    COUNTRIES_WITHOUT_POSTAL_CODE,
    LEGAL_ENTITIES,
    LOCALES,
    OTHER_LEGAL_ENTITY,
    REGISTRATION_OFFICE_COUNTRIES,
)
from .registers import find_vat_number

Messages = dict[str, list[str | Promise]]
"""Sentences by the name of the column that they are about."""

# Letters and digits with the separators that people write: anything else is no number of any register.
NUMBER = re.compile(r"^(?=.*\d)[^\W_][\w .,/()\-+&]*$")
# What moves text to another line or turns the direction of what follows; joiners, as in emoji, are none of these.
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
WEB_ADDRESS = "://"
# Anybody may type a name, and a mail takes it to a mailbox that need not be theirs: it must not carry a message. An
# organization may still be called A/S Fisk or Booking.com.
NOT_IN_NAMES = re.compile(f"{WEB_ADDRESS}|{CONTROL_CHARACTERS.pattern}")
NOT_IN_PERSONAL_NAMES = re.compile(rf"www\.|[/\\@<>]|{NOT_IN_NAMES.pattern}", re.IGNORECASE)
FORBIDDEN_IN_NAMES = {
    "organization_name": NOT_IN_NAMES,
    "owner_given_name": NOT_IN_PERSONAL_NAMES,
    "owner_family_name": NOT_IN_PERSONAL_NAMES,
}
ANY_VAT_NUMBER = "NL123456789B01"
CODE = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")
EARLIEST_INCORPORATION = date(1000, 1, 1)

# Where python-stdnum knows the number that the national register gives to a business.
REGISTRATION_NUMBER_MODULES = {
    "AT": "stdnum.at.businessid",
    "BE": "stdnum.be.vat",
    "CH": "stdnum.ch.uid",
    "DK": "stdnum.dk.cvr",
    "ES": "stdnum.es.nif",
    "FI": "stdnum.fi.ytunnus",
    "FR": "stdnum.fr.siren",
    "NO": "stdnum.no.orgnr",
    "PT": "stdnum.pt.nif",
    "SE": "stdnum.se.orgnr",
}
# Where it does not, or asks for more than Mollie does (Germany: the court, which is a field of its own).
REGISTRATION_NUMBER_SHAPES = {
    "DE": re.compile(r"^(HRA|HRB|GnR|PR|VR|GsR)?\s*\d{1,7}(\s*[A-Z]{1,3})?$", re.IGNORECASE),
    "GB": re.compile(r"^([A-Z]{2}\d{6}|\d{6,8})$", re.IGNORECASE),
    "NL": re.compile(r"^\d{8}$"),
}


def find_errors(values: Mapping[str, Any]) -> Messages:
    """What is wrong, by column; empty when nothing is. `values` are the columns of a client link."""
    errors: Messages = {}

    def refuse(column: str, message: str | Promise) -> None:
        errors.setdefault(column, []).append(message)

    for column, forbidden in FORBIDDEN_IN_NAMES.items():
        if forbidden.search(values.get(column) or ""):
            refuse(column, _("Leave web addresses and special characters out of names."))
    country = values.get("country") or ""
    if country and country not in countries.countries:
        refuse("country", _("Choose a country by its two-letter code, such as NL."))
    if values.get("street_and_number"):
        if not values.get("city"):
            refuse("city", _("Enter the city that goes with the street."))
        if not values.get("postal_code") and country not in COUNTRIES_WITHOUT_POSTAL_CODE:
            refuse("postal_code", _("Enter the postal code that goes with the street."))
    if values.get("owner_locale") and values["owner_locale"] not in LOCALES:
        refuse("owner_locale", _("Choose one of the languages that Mollie offers."))
    if values.get("vat_number") and not NUMBER.match(values["vat_number"]):
        refuse(
            "vat_number",
            _("This is not a VAT number: one looks like %(example)s.")
            % {"example": number.example if (number := find_vat_number(country)) else ANY_VAT_NUMBER},
        )
    if values.get("registration_number") and not NUMBER.match(values["registration_number"]):
        refuse(
            "registration_number",
            _("This is not a registration number: enter it as your register writes it."),
        )
    if values.get("legal_entity") and not CODE.match(values["legal_entity"]):
        refuse("legal_entity", _("Choose a legal form, or give Mollie's code for it, such as nl-bv."))
    founded = values.get("incorporation_date")
    if founded and founded > timezone.localdate():
        refuse("incorporation_date", _("This date is in the future."))
    elif founded and founded < EARLIEST_INCORPORATION:
        refuse("incorporation_date", _("Enter the year with four digits."))
    return errors


def find_warnings(values: Mapping[str, Any]) -> Messages:
    """What looks like a slip, by column. None of it keeps the request from Mollie."""
    warnings: Messages = {}
    country = values.get("country") or ""
    if values.get("vat_number") and not _is_plausible_vat_number(values["vat_number"], country):
        warnings["vat_number"] = [
            _("This does not look like a VAT number of that country. Mollie may refuse it.")
        ]
    if values.get("registration_number") and not _is_plausible_registration_number(
        values["registration_number"], country
    ):
        warnings["registration_number"] = [
            _("This does not look like a registration number of that country. Mollie may refuse it.")
        ]
    legal_entity = values.get("legal_entity")
    if (
        legal_entity
        and legal_entity != OTHER_LEGAL_ENTITY
        and legal_entity not in LEGAL_ENTITIES.get(country, {})
    ):
        warnings["legal_entity"] = [_("This is not one of the known legal forms of that country.")]
    if values.get("registration_office") and country not in REGISTRATION_OFFICE_COUNTRIES:
        warnings["registration_office"] = [_("A registration office is usually asked for in Germany only.")]
    for column in ("owner_given_name", "owner_family_name"):
        name = values.get(column) or ""
        if name and (len(name) < 2 or name.isdigit()):
            warnings[column] = [_("Mollie may refuse a name of a single character, or of digits only.")]
    return warnings


def _is_plausible_vat_number(number: str, country: str) -> bool:
    """Whether the number is one of the European Union's with the country's prefix, check digits included."""
    # Here, as the modules of REGISTRATION_NUMBER_MODULES: most processes never look at a number.
    from stdnum.eu import vat as eu_vat
    from stdnum.exceptions import ValidationError as NumberError

    try:
        prefix = eu_vat.validate(number)[:2]
    except NumberError:
        return False
    return not country or prefix == {"GR": "EL"}.get(country, country)


def _is_plausible_registration_number(number: str, country: str) -> bool:
    if shape := REGISTRATION_NUMBER_SHAPES.get(country):
        return bool(shape.match(number.strip()))
    if module := REGISTRATION_NUMBER_MODULES.get(country):
        return bool(import_module(module).is_valid(number))
    return True
