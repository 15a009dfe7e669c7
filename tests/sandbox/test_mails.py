from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.filebased import EmailBackend
from django.test import Client

from mollie_onboarding.sandbox.conf import conf

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])


HAS_MAILERS = django.VERSION >= (6, 1)
BACKEND = "django.core.mail.backends.filebased.EmailBackend"


@pytest.fixture
def directory(tmp_path: Path, settings: Any) -> Path:
    settings.MAILERS = {"default": {"BACKEND": BACKEND, "OPTIONS": {"file_path": str(tmp_path)}}}
    return tmp_path


def send(directory: Path, *subjects: str, html: str = "") -> None:
    alias: dict[str, Any] = {"alias": "default"} if HAS_MAILERS else {}
    connection = EmailBackend(file_path=str(directory), **alias)
    messages = []
    for subject in subjects:
        message = EmailMultiAlternatives(
            subject, "Press https://platform.example/link/abc/ now", to=["ada@bakery.example"]
        )
        if html:
            message.attach_alternative(html, "text/html")
        messages.append(message)
    connection.send_messages(messages)


def test_mails_newest_first(client: Client, directory: Path) -> None:
    send(directory, "first", "second")
    for path in directory.iterdir():
        os.utime(path, (1, 1))
    send(directory, "third")

    page = client.get("/mails/").content.decode()

    assert 'data-page="mails"' in page
    assert "ada@bakery.example" in page
    assert page.index("third") < page.index("second") < page.index("first")


def first_link(client: Client) -> str:
    page = client.get("/mails/").content.decode()
    return "/mails/" + page.split('href="/mails/')[1].split('"')[0]


def test_mail_as_text(client: Client, directory: Path) -> None:
    send(directory, "Grüße <b>")

    page = client.get(first_link(client)).content.decode()

    assert "Grüße &lt;b&gt;" in page
    assert '<a href="https://platform.example/link/abc/"' in page
    assert "<iframe" not in page


def test_mail_as_html(client: Client, directory: Path) -> None:
    send(directory, "Hello", html='<p class="x">Hi <a href="https://platform.example/">there</a></p>')

    page = client.get(first_link(client)).content.decode()

    assert 'srcdoc="&lt;base target=&quot;_top&quot;&gt;&lt;p class=&quot;x&quot;&gt;Hi &lt;a href' in page
    assert 'sandbox="allow-top-navigation-by-user-activation"' in page


def test_mail_of_html_only(client: Client, directory: Path) -> None:
    raw = b"Content-Type: text/html\nSubject: \n\n<p>Hi</p>\n"
    (directory / "1.log").write_bytes(raw)

    page = client.get(first_link(client)).content.decode()

    assert "(no subject)" in page
    assert "<h2>Text</h2>" not in page


@pytest.mark.parametrize("name", ["unknown.0", "..", "..%2F1.0"])
def test_unknown_mail(client: Client, directory: Path, name: str) -> None:
    assert client.get(f"/mails/{name}").status_code == 404


def test_without_mails(client: Client, settings: Any, tmp_path: Path) -> None:
    settings.MAILERS = {"default": {"BACKEND": BACKEND, "OPTIONS": {"file_path": str(tmp_path / "later")}}}
    assert "None yet." in client.get("/mails/").content.decode()
    settings.MAILERS = {}
    assert "backend is not set up" in client.get("/mails/").content.decode()


@pytest.mark.skipif(HAS_MAILERS, reason="Django has deprecated the setting")
def test_directory_of_older_setting(settings: Any, tmp_path: Path) -> None:
    assert conf.mail_directory is None
    settings.EMAIL_FILE_PATH = str(tmp_path)
    assert conf.mail_directory == tmp_path
