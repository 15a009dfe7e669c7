from __future__ import annotations

import string
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.core import signing
from django.core.signing import BadSignature
from django.urls import reverse

from mollie_onboarding.links import (
    is_safe_return_url,
    read_link,
    read_reference,
    safe_return_url,
    sign_link,
    sign_reference,
)

CLIENT_LINK_ID = uuid.UUID("5d1c3f0e-7c37-4b0a-9f4e-1b0a6b7f2c11")


def replaced_characters(text):
    """The text with each of its characters replaced by another one of the same alphabet, one at a time."""
    alphabet = string.ascii_letters + string.digits + "-_"
    for index, character in enumerate(text):
        other = alphabet[(alphabet.find(character) + 1) % len(alphabet)]
        yield text[:index] + other + text[index + 1 :]


@pytest.mark.parametrize("client_link_id", [CLIENT_LINK_ID, uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)])
@pytest.mark.parametrize("generation", [1, 2, 10**9])
def test_link_round_trip(client_link_id, generation):
    assert read_link(sign_link(client_link_id, generation)) == (client_link_id, generation)


def test_link_is_the_same_each_time():
    # A reminder carries the link of the first mail.
    assert sign_link(CLIENT_LINK_ID, 1) == sign_link(CLIENT_LINK_ID, 1)
    assert sign_link(CLIENT_LINK_ID, 1) != sign_link(CLIENT_LINK_ID, 2)


def test_link_of_an_earlier_release_still_works():
    # It lies in mailboxes: a change of form or salt would end them all.
    token = "XRw_Dnw3SwqfThsKa38sEQ.1.n2ICbJ8nSzbV-qqzzN7Gl2uFycs8cYEEAaDfOXpJXtM"

    assert sign_link(CLIENT_LINK_ID, 1) == token


def test_link_needs_no_escaping():
    token = sign_link(CLIENT_LINK_ID, 1)

    assert reverse("mollie_onboarding:client_link", args=[token]) == f"/onboarding/link/{token}/"
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")
    assert str(CLIENT_LINK_ID) not in token


def test_link_with_any_character_replaced():
    for token in replaced_characters(sign_link(CLIENT_LINK_ID, 1)):
        with pytest.raises(BadSignature):
            read_link(token)


def test_link_with_any_character_missing_or_added():
    token = sign_link(CLIENT_LINK_ID, 1)
    for index in range(len(token)):
        for other in (token[:index] + token[index + 1 :], token[:index] + "A" + token[index:], token[:index]):
            with pytest.raises(BadSignature):
                read_link(other)


def test_link_of_another_generation_is_another_signature():
    value, generation, signature = sign_link(CLIENT_LINK_ID, 1).split(".")

    assert generation == "1"
    with pytest.raises(BadSignature):
        read_link(f"{value}.2.{signature}")


@pytest.mark.parametrize("token", ["", ".", "..", "a", "a.b.c", "é.1.x", "5d1c3f0e.1", "x" * 100_000])
def test_link_of_garbage(token):
    with pytest.raises(BadSignature):
        read_link(token)


@pytest.mark.parametrize(
    "signer",
    [
        signing.Signer(salt="another.app", sep="."),
        signing.Signer(sep="."),
        signing.Signer(salt="mollie_onboarding.reference", sep="."),
        signing.Signer(salt="mollie_onboarding.link", sep=".", key="another key"),
        signing.TimestampSigner(salt="mollie_onboarding.link", sep="."),
    ],
    ids=["foreign", "default", "reference", "key", "timestamp"],
)
def test_link_with_a_foreign_signature(signer):
    value = sign_link(CLIENT_LINK_ID, 1).rpartition(".")[0]

    with pytest.raises(BadSignature):
        read_link(signer.sign(value))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        "garbage.1",
        "XRw_DnY3SwqfThsKa38sEQ",
        "XRw_DnY3SwqfThsKa38sEQ.",
        "XRw_DnY3SwqfThsKa38sEQ.x",
        "é.1",
    ],
)
def test_link_of_signed_garbage(value):
    token = signing.Signer(salt="mollie_onboarding.link", sep=".").sign(value)

    with pytest.raises(BadSignature, match="names no client link"):
        read_link(token)


def test_link_survives_a_new_secret_key(settings):
    token = sign_link(CLIENT_LINK_ID, 1)

    settings.SECRET_KEY = "a new one"
    with pytest.raises(BadSignature):
        read_link(token)
    settings.SECRET_KEY_FALLBACKS = ["tests only"]
    assert read_link(token) == (CLIENT_LINK_ID, 1)


@pytest.mark.parametrize("reference", ["merchant-1", "", "ü€ 😀", "a.b:c/d?e&f", "x" * 255])
def test_reference_round_trip(reference):
    assert read_reference(sign_reference(reference)) == reference


def test_reference_needs_no_escaping():
    assert set(sign_reference("a.b:c/d?e&f ü")) <= set(string.ascii_letters + string.digits + "-_.")


def test_reference_is_a_text():
    assert read_reference(sign_reference(42)) == "42"


def test_reference_with_any_character_replaced():
    for signed in replaced_characters(sign_reference("merchant-1")):
        with pytest.raises(BadSignature):
            read_reference(signed)


@pytest.mark.parametrize("lifetime", [timedelta(days=90), timedelta(hours=1)])
def test_reference_expires(settings, lifetime):
    settings.MOLLIE_ONBOARDING_LINK_LIFETIME = lifetime
    with time_machine.travel("2026-10-01T12:00:00Z", tick=False) as clock:
        signed = sign_reference("merchant-1")
        clock.shift(lifetime)
        assert read_reference(signed) == "merchant-1"
        clock.shift(1)
        with pytest.raises(BadSignature):
            read_reference(signed)


@pytest.mark.parametrize("signed", ["", "garbage", "a.b.c", "é.1.x"])
def test_reference_of_garbage(signed):
    with pytest.raises(BadSignature):
        read_reference(signed)


def test_reference_is_no_link_and_the_other_way_round():
    with pytest.raises(BadSignature):
        read_link(sign_reference("merchant-1"))
    with pytest.raises(BadSignature):
        read_reference(sign_link(CLIENT_LINK_ID, 1))


@pytest.mark.parametrize(
    "signer",
    [
        signing.TimestampSigner(salt="another.app", sep="."),
        signing.TimestampSigner(sep="."),
        signing.TimestampSigner(salt="mollie_onboarding.link", sep="."),
    ],
    ids=["foreign", "default", "link"],
)
def test_reference_with_a_foreign_signature(signer):
    with pytest.raises(BadSignature):
        read_reference(signer.sign_object("merchant-1"))


# Where a merchant goes on. Lessons row 17: the open redirects of other packages.

EVIL_URLS = [
    "",
    "https://evil.example/",
    "http://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "////evil.example/",
    "/\\evil.example/",
    "\\\\evil.example\\",
    "\\/evil.example/",
    "/\t/evil.example/",
    "/\n/evil.example/",
    "\t//evil.example/",
    " //evil.example/",
    "https://platform.example@evil.example/",
    "https://platform.example:secret@evil.example/",
    "https://evil.example@platform.example/",
    "https://platform.example\\@evil.example/",
    "https://platform.example.evil.example/",
    "https://evilplatform.example/",
    "https://evil.example/?https://platform.example/",
    "https://evil.example#platform.example",
    "https:/evil.example/",
    "https:///evil.example/",
    "https:evil.example",
    "https://",
    "https://[platform.example/",
    "https://platform.example:8443/",
    "https://platform\u3002example/",
    "http://platform.example/",
    "//platform.example/",
    "javascript:alert(1)",
    "java\nscript:alert(1)",
    "JavaScript://platform.example/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "ftp://platform.example/",
    "mailto:evil@evil.example",
    "dashboard/",
    "?shop=1",
    "#shop",
    "evil.example",
    "/dashboard/\r\nSet-Cookie: a=b",
    "/dashboard/\x00",
    "/dashboard/\x1b",
    "/dashboard/\u202egnp.exe",
    "/dashboard/ x",
    "/" + "x" * 2000,
]


@pytest.mark.parametrize("url", EVIL_URLS)
def test_lessons_17_return_url_that_is_refused(settings, url):
    settings.MOLLIE_ONBOARDING_RETURN_URL = "/home/"
    settings.MOLLIE_ONBOARDING_RETURN_HOSTS = ["shop.example"]

    assert not is_safe_return_url(url)
    assert safe_return_url(url) == "/home/"


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/dashboard/",
        "/dashboard/?shop=1&tab=payments#mollie",
        "/dashboard/?url=https://elsewhere.example//a",
        "/a//b",
        "/winkels/%C3%A9%C3%A9n/",
        "/winkels/één/",
        "https://platform.example",
        "https://platform.example/dashboard/",
        "https://shop.example/",
        "https://admin.shop.example:8443/?a=b",
        "/" + "x" * 1999,
    ],
)
def test_return_url_that_is_allowed(settings, url):
    settings.MOLLIE_ONBOARDING_RETURN_HOSTS = "Shop.example, admin.shop.example:8443"

    assert is_safe_return_url(url)
    assert safe_return_url(url) == url


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("http://127.0.0.1:8000/shop/", True),
        ("https://127.0.0.1:8000/shop/", True),
        ("http://127.0.0.1/shop/", False),
        ("http://localhost:8000/shop/", False),
    ],
)
def test_return_url_of_a_site_without_https(settings, url, is_safe):
    settings.MOLLIE_ONBOARDING_BASE_URL = "http://127.0.0.1:8000"

    assert is_safe_return_url(url) is is_safe


def test_return_url_that_is_refused_leads_to_the_platform():
    assert safe_return_url("https://evil.example/") == "https://platform.example/"
