"""The Dutch catalogue: complete, faithful to the English, and what a merchant really reads."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.pofile import read_po
from django.utils import translation
from django.utils.translation.template import templatize

import mollie_onboarding
from mollie_onboarding.models import Organization, Status
from mollie_onboarding.services import sending

PACKAGE = Path(mollie_onboarding.__file__).parent
SANDBOX = PACKAGE / "sandbox"  # for developers: English only
SOURCE = PACKAGE / "locale" / "nl" / "LC_MESSAGES" / "django.po"

KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|\{\w*\}")

Key = tuple[str | None, tuple[str, ...]]
"""The context, and the message: English, and its plural where it has one."""


def key_of(context: str | None, message: str | tuple[str, ...]) -> Key:
    return context, (message,) if isinstance(message, str) else tuple(message)


@cache
def extract_messages() -> dict[Key, str]:
    """Every message of the package with the file that it is in, as makemessages finds them, without gettext."""
    found: dict[Key, str] = {}
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix not in {".py", ".html", ".txt"} or path.is_relative_to(SANDBOX):
            continue
        name = str(path.relative_to(PACKAGE))
        text = path.read_text()
        if path.suffix != ".py":
            # Django turns a template into Python whose indentation means nothing.
            text = "\n".join(line.strip() for line in templatize(text, origin=name).splitlines())
        for _line, message, _comments, context in extract("python", BytesIO(text.encode()), KEYWORDS):
            found[key_of(context, message)] = name
    return found


def catalogue() -> Any:
    with SOURCE.open("rb") as file:
        return read_po(file, abort_invalid=True)


def entries() -> dict[Key, Message]:
    return {key_of(message.context, message.id): message for message in catalogue() if message.id}


def pairs() -> Iterator[tuple[str, str]]:
    """Each English form with the Dutch one that stands for it."""
    for (_, english), message in entries().items():
        dutch = [message.string] if isinstance(message.string, str) else message.string
        yield from zip(english, dutch, strict=True)


def edges(text: str) -> tuple[str, str]:
    """The white space around a text."""
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


def test_extraction_finds_what_is_there():
    names = set(extract_messages().values())
    for name in ("admin/labels.py", "models/client_links.py", "validation.py", "services/sending.py"):
        assert name in names
    for name in ("client_link.html", "includes/actions.html", "mail/onboarding_link_body.txt"):
        assert f"templates/mollie_onboarding/{name}" in names
    assert len([english for _, english in extract_messages() if len(english) == 2]) > 5


def test_every_message_is_translated():
    translated = entries()
    missing = [f"{name}: {key}" for key, name in extract_messages().items() if key not in translated]
    assert not missing, missing
    untranslated = [english for english, dutch in pairs() if not dutch.strip()]
    assert not untranslated, untranslated
    fuzzy = [message.id for message in catalogue() if message.fuzzy]
    assert not fuzzy, fuzzy


def test_nothing_is_translated_that_no_longer_is_there():
    assert not catalogue().obsolete
    unused = entries().keys() - extract_messages().keys()
    assert not unused, unused


def test_placeholders_are_the_same():
    differing = [
        (english, dutch)
        for english, dutch in pairs()
        if sorted(PLACEHOLDER.findall(english)) != sorted(PLACEHOLDER.findall(dutch))
    ]
    assert not differing, differing


def test_white_space_around_is_the_same():
    differing = [(english, dutch) for english, dutch in pairs() if edges(english) != edges(dutch)]
    assert not differing, differing


def test_header_names_the_language():
    header = catalogue()
    assert str(header.locale) == "nl"
    assert (header.num_plurals, header.plural_expr) == (2, "(n != 1)")
    assert not header.fuzzy
    assert "@" not in header.header_comment + str(dict(header.mime_headers))


# What people read.


@pytest.fixture
def organization(db):
    return Organization.objects.create(
        organization_id="org_1", name="Jansen Holding", onboarding_status="in-review"
    )


def english_left(text: str) -> list[str]:
    """Pieces of our English that are in a text; one or two words may be the same in another language."""
    text = html.unescape(text)
    sentences = [english for _, forms in extract_messages() for english in forms]
    pieces = {piece.strip() for sentence in sentences for piece in PLACEHOLDER.split(sentence)}
    return sorted(piece for piece in pieces if piece.count(" ") > 1 and piece in text)


def test_english_left_finds_english():
    assert english_left("<p>One thing is left: Mollie needs more data of you before everything works.</p>")
    assert english_left("<p>Mollie&#x27;s dashboard.</p>") == []
    assert english_left("You get this mail because Shopwise (https://") == ["You get this mail because"]


def test_mails_are_in_dutch_for_a_dutch_owner(make_client_link, organization):
    row = make_client_link(
        owner_locale="nl_NL",
        organization=organization,
        link_expires_at=datetime(2027, 5, 30, 12, tzinfo=UTC),
    )
    url = {"url": "https://platform.example/onboarding/link/x/"}

    with translation.override("en"):  # the operator's
        invitation = sending.build_mail(row, "onboarding_link", message_id="1", context=url)
        notice = sending.build_mail(row, "connected_notice", message_id="2", context={})

    assert invitation.subject == "Shopwise: koppel Bakkerij Jansen aan Mollie"
    assert notice.subject == "Shopwise: Bakkerij Jansen is aan Mollie gekoppeld"
    assert "De link werkt tot 30 mei 2027." in invitation.body
    assert "Jansen Holding (org_1) is zojuist aan Shopwise gekoppeld" in notice.body
    for message in (invitation, notice):
        page, _ = message.alternatives[0]
        assert '<html lang="nl">' in page
        for text in (message.body, page):
            assert "Beste Jan," in text
            assert "U ontvangt deze e-mail omdat u bij Shopwise" in text
            assert english_left(text) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.DRAFT, "Koppel Bakkerij Jansen aan Mollie"),
        (Status.STARTED, "Ik heb al een Mollie-account"),
        (Status.DECLINED, "U gaf bij Mollie geen toestemming"),
        (Status.REJECTED, "Bakkerij Jansen is nog niet gekoppeld"),
        (Status.CONNECTED, "Mollie heeft uw gegevens en controleert ze."),
        (Status.CANCELLED, "Deze uitnodiging is ingetrokken"),
    ],
)
def test_merchant_page_is_in_dutch_for_a_dutch_browser(
    browser, make_client_link, organization, status, words
):
    row = make_client_link(status=status, organization=organization)

    text = browser.get(row.merchant_path(), headers={"accept-language": "nl-NL,nl;q=0.9"}).content.decode()

    assert '<html lang="nl">' in text
    assert words in text
    assert english_left(text) == []


@pytest.mark.django_db
def test_sign_up_page_is_in_dutch_for_a_dutch_browser(browser):
    text = browser.get("/onboarding/signup/", headers={"accept-language": "nl"}).content.decode()

    assert "Koppel uw organisatie aan Mollie" in text
    for label in ("Rechtsvorm", "Btw-nummer", "KvK- of registratienummer", "Oprichtingsdatum"):
        assert f">{label}" in text
    assert english_left(text) == []


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Connect Bakkerij Jansen"), ("nl", "Koppel Bakkerij")]
)
def test_page_is_in_the_language_of_the_browser(browser, make_client_link, language, words):
    page = browser.get(make_client_link().merchant_path(), headers={"accept-language": language})

    assert words in page.content.decode()
