"""Reading answers of any shape: what is not there, or of another type, is empty and never an error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

MAX_DETAIL = 500  # characters of a sentence of Mollie's that are kept
YEARS = range(1990, 9000)
MAX_URL = 2000  # characters; the columns take no more


def get_object(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def get_objects(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list; whatever else is in it is left out."""
    value = data.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def get_href(answer: dict[str, Any], name: str) -> str:
    """The address of a link, '' when there is none, or one that is too long: half an address leads nowhere."""
    url = get_text(get_object(get_object(answer, "_links"), name), "href", MAX_URL + 1)
    return url if len(url) <= MAX_URL else ""


def get_text(data: dict[str, Any], key: str, length: int) -> str:
    """A text of at most `length` characters, without control characters; '' for anything else."""
    value = data.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # registrationNumber is a number in Mollie's own example
    return printable(value)[:length] if isinstance(value, str) else ""


def printable(text: str) -> str:
    """The text without control characters and lone surrogates, which PostgreSQL or a log could not take."""
    return "".join(character for character in text if character.isprintable())


def get_datetime(data: dict[str, Any], key: str) -> datetime | None:
    """The moment, in UTC; None for anything else, and for years that not every database and time zone can hold."""
    try:
        value = parse_datetime(get_text(data, key, 50))
    except ValueError:
        return None
    if value is None or value.year not in YEARS:
        return None
    return (timezone.make_aware(value) if timezone.is_naive(value) else value).astimezone(UTC)
