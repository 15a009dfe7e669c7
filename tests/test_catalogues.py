"""The catalogues: complete, faithful to the English, and what a merchant really reads."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.utils import translation
from django_countries import countries

from mollie_onboarding.enumerations import LOCALES
from mollie_onboarding.models import Organization, Status
from mollie_onboarding.services import mailing
from tests.catalogues import (
    LANGUAGES,
    PACKAGE,
    entries,
    extract_messages,
    forms_of,
    missing_countries,
    read_catalogue,
)

PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|\{\w*\}")


def pairs(language: str) -> Iterator[tuple[str, str]]:
    """Each translated form with the English one that it stands for: the plural, where a language has forms of its own."""
    for (_, english), message in entries(read_catalogue(language)).items():
        translated = forms_of(message)
        if len(english) == len(translated):
            yield from zip(english, translated, strict=True)
        else:
            yield from ((english[-1], form) for form in translated)


def edges(text: str) -> tuple[str, str]:
    """The white space around a text."""
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


def test_extraction_finds_what_is_there():
    names = set(extract_messages().values())
    for name in ("admin/labels.py", "models/client_links.py", "validation.py", "models/batches.py"):
        assert name in names
    for name in ("client_link.html", "includes/actions.html", "mail/onboarding_link_body.txt"):
        assert f"templates/mollie_onboarding/{name}" in names
    assert len([english for _, english in extract_messages() if len(english) == 2]) > 5


def test_there_is_a_catalogue_for_each_language_of_mollies_locales():
    assert {locale[:2] for locale in LOCALES} == {"en", *LANGUAGES}
    assert {path.parent.parent.name for path in PACKAGE.glob("locale/*/LC_MESSAGES/*.po")} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated(language):
    translated = entries(read_catalogue(language))
    missing = [f"{name}: {key}" for key, name in extract_messages().items() if key not in translated]
    assert not missing, missing
    untranslated = [english for english, text in pairs(language) if not text.strip()]
    assert not untranslated, untranslated
    fuzzy = [message.id for message in translated.values() if message.fuzzy]
    assert not fuzzy, fuzzy


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_translated_that_no_longer_is_there(language):
    catalogue = read_catalogue(language)
    assert not catalogue.obsolete
    countries = {(None, (english,)) for english, _ in missing_countries(language)}
    unused = entries(catalogue).keys() - extract_messages().keys() - countries
    assert not unused, unused


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_the_same(language):
    differing = [
        (english, text)
        for english, text in pairs(language)
        if sorted(PLACEHOLDER.findall(english)) != sorted(PLACEHOLDER.findall(text))
    ]
    assert not differing, differing


@pytest.mark.parametrize("language", LANGUAGES)
def test_white_space_around_is_the_same(language):
    differing = [(english, text) for english, text in pairs(language) if edges(english) != edges(text)]
    assert not differing, differing


@pytest.mark.parametrize("language", LANGUAGES)
def test_header_names_the_language(language):
    header = read_catalogue(language)
    assert str(header.locale) == language
    assert {len(forms_of(message)) for message in header if message.pluralizable} == {header.num_plurals}
    assert not header.fuzzy
    assert "@" not in header.header_comment + str(dict(header.mime_headers))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_country_has_a_name(language):
    """Of django-countries, or where it has none, of ours."""
    ours = entries(read_catalogue(language))
    missing = [english for english, _ in missing_countries(language) if (None, (english,)) not in ours]
    assert not missing, missing


def test_countries_are_named_in_icelandic():
    """The one language of ours that django-countries lacks."""
    with translation.override("is"):
        names = dict(countries)
    assert (names["IS"], names["DE"], names["GR"]) == ("Ísland", "Þýskaland", "Grikkland")


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
        invitation = mailing.build_mail(row, "onboarding_link", message_id="1", context=url)
        notice = mailing.build_mail(row, "connected_notice", message_id="2", context={})

    assert invitation.subject == "Shopwise: koppel Bakkerij Jansen aan Mollie"
    assert notice.subject == "Shopwise: Bakkerij Jansen is aan Mollie gekoppeld"
    assert "De link werkt tot 30 mei 2027." in invitation.body
    assert "Jansen Holding (org_1) is zojuist aan Shopwise gekoppeld" in notice.body
    for message in (invitation, notice):
        page, _ = message.alternatives[0]
        assert '<html lang="nl">' in page
        for text in (message.body, page):
            assert "Beste Jan Jansen," in text
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
    for label in ("Rechtsvorm", "Btw-nummer", "Registratienummer", "Oprichtingsdatum"):
        assert f">{label}" in text
    assert english_left(text) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_and_no_mail_has_english_left(browser, make_client_link, organization, language):
    headers = {"accept-language": language}
    rows = [make_client_link(status=status, organization=organization) for status in Status]
    pages = [browser.get(row.merchant_path(), headers=headers) for row in rows]
    pages += [
        browser.get("/onboarding/signup/", headers=headers),
        browser.get("/onboarding/signup/?country=DE", headers=headers),
        browser.post("/onboarding/signup/", {"country": "DE"}, headers=headers),
        browser.get("/onboarding/callback/", headers=headers),
        browser.get("/onboarding/callback/?state=x&code=y", headers=headers),
        browser.get("/onboarding/link/x/", headers=headers),
        *(mail_page(row, purpose, language) for row in rows[:1] for purpose in mailing.Purpose),
    ]
    for page in pages:
        text = page if isinstance(page, str) else page.content.decode()
        assert f'<html lang="{language}"' in text
        assert english_left(text) == []


def mail_page(row, purpose, language):
    message = mailing.build_example(row, purpose, language)
    return f"{message.subject}\n{message.body}\n{message.alternatives[0][0]}"


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_errors_of_the_form_are_in_the_language_of_the_page(browser, language):
    """Also those that are Django's, which must have the language."""
    values = {"country": "NL", "owner_email": "x", "street_and_number": "Straat 1", "incorporation_date": "x"}
    page = browser.submit(f"/onboarding/signup/?language={language}", **values).content.decode()
    is_english = {english in page for english in ("This field is required.", "Enter a valid email address.", "Enter a valid date.", "Enter the city that goes with the street.")}  # fmt: skip
    assert is_english == {language == "en"}


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Connect Bakkerij Jansen"), ("nl", "Koppel Bakkerij")]
)
def test_page_is_in_the_language_of_the_browser(browser, make_client_link, language, words):
    page = browser.get(make_client_link().merchant_path(), headers={"accept-language": language})

    assert words in page.content.decode()
