"""What the mails say: the invitation and the notice after connecting, each as text and as HTML, and their delivery.

Both parts have the same facts in the same order, from the same sentences. The HTML is made for mail programs: tables,
inline styles, nothing from elsewhere but the platform's logo, and colours that can be read in the light and in the dark.
"""

from __future__ import annotations

import copy
import logging
import re
import uuid
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.core.mail import EmailMultiAlternatives
from django.db import models
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding import colors
from mollie_onboarding.conf import conf
from mollie_onboarding.languages import default_language, supported_language
from mollie_onboarding.models import ClientLink, Organization
from mollie_onboarding.observing import observe
from mollie_onboarding.validation import CONTROL_CHARACTERS, WEB_ADDRESS

logger = logging.getLogger(__name__)

ACCENT_COLOR = "#0b5fff"  # merchant.css, --mollie-onboarding-accent
EXAMPLE_TOKEN = "example.1.this-link-is-only-an-example-and-leads-nowhere"  # noqa: S105 (it opens nothing)
EXAMPLE_ORGANIZATION_ID = "org_12345678"
TEST_PREFIX = "[Test]"
HEADERS = {
    "Auto-Submitted": "auto-generated",  # RFC 3834: no out-of-office answers, please
    "X-Auto-Response-Suppress": "OOF, AutoReply",  # the same for Exchange, which does not look at the line above
}
FULL_NAME_LENGTH = 80  # characters of it in the greeting
LEFT_OUT = "…"
NO_METADATA = "AnymailUnsupportedFeature"  # the name of the class: anymail need not be there

ConnectionStatus = Organization.ConnectionStatus


class Purpose(models.TextChoices):
    """What a mail is for."""

    INVITATION = "invitation", _("Invitation")
    LOST = "lost", _("To connect again, after the connection was lost")
    DISCONNECTED = "disconnected", _("To connect again, after you disconnected")
    NEW_CONSENT = "new_consent", _("To agree to more permissions")
    REMINDER = "reminder", _("First reminder")
    REMINDER_AGAIN = "reminder_again", _("Reminder between the first and the last")
    REMINDER_LAST = "reminder_last", _("Last reminder")
    CONNECTED = "connected", _("Notice after connecting")

    @property
    def template(self) -> str:
        if self in REMINDERS:
            return "reminder"
        return "connected_notice" if self == Purpose.CONNECTED else "onboarding_link"


REMINDERS = (Purpose.REMINDER, Purpose.REMINDER_AGAIN, Purpose.REMINDER_LAST)


def purpose_of(client_link: ClientLink) -> Purpose:
    """What the next mail to this merchant is for; of a connection that is well, what the last one was."""
    if client_link.needs_reconnecting:
        assert client_link.organization is not None  # noqa: S101 (for mypy)
        is_lost = client_link.organization.connection_status == ConnectionStatus.LOST
        return Purpose.LOST if is_lost else Purpose.DISCONNECTED
    if client_link.needs_new_consent:
        return Purpose.NEW_CONSENT
    return Purpose.CONNECTED if client_link.is_connected else Purpose.INVITATION


def purpose_of_reminder(number: int) -> Purpose:
    """What a reminder says, by its number in the plan, from 1: the first and the last have words of their own."""
    if number == 1:
        return Purpose.REMINDER
    is_last = number >= len(conf.MOLLIE_ONBOARDING_REMINDER_DAYS)
    return Purpose.REMINDER_LAST if is_last else Purpose.REMINDER_AGAIN


def language_of(client_link: ClientLink) -> str:
    """The language for this owner: of their locale where the site has it, else the site's own."""
    return supported_language(client_link.owner_locale) or default_language()


@sensitive_variables()
def build_mail(
    client_link: ClientLink,
    name: str,
    *,
    message_id: str,
    context: dict[str, Any],
    language: str = "",
    metadata: dict[str, str] | None = None,
) -> EmailMultiAlternatives:
    """A mail from the templates `mollie_onboarding/mail/<name>_{subject.txt,body.txt,body.html}`.

    In the owner's language, where no other is asked for. `message_id` names the request, so that a mail sent twice by a
    crash is the same mail to the mail program. `metadata` comes back with what the mail provider tells of the mail, where
    the mail backend is one of anymail's; others leave it alone.
    """
    host = urlsplit(conf.MOLLIE_ONBOARDING_BASE_URL).hostname
    template = f"mollie_onboarding/mail/{name}"
    with translation.override(language or language_of(client_link)):
        values = _about_the_platform() | _about_the_merchant(client_link) | context
        subject = " ".join(render_to_string(f"{template}_subject.txt", values).split())
        values["subject"] = subject
        message = EmailMultiAlternatives(
            subject,
            _tidy(render_to_string(f"{template}_body.txt", values)),
            conf.MOLLIE_ONBOARDING_FROM_EMAIL,
            [client_link.owner_email],
            headers={"Message-ID": f"<{message_id}@{host}>", **HEADERS},
        )
        if metadata:
            message.metadata = metadata  # type: ignore[attr-defined]  # as anymail reads it
        message.attach_alternative(render_to_string(f"{template}_body.html", values), "text/html")
    return message


def _tidy(text: str) -> str:
    """Paragraphs with one empty line between them, however many the tags of a template left."""
    return re.sub(r"\n{3,}", "\n\n", text.strip()) + "\n"


def _about_the_platform() -> dict[str, Any]:
    accent = conf.MOLLIE_ONBOARDING_ACCENT_COLOR or ACCENT_COLOR
    accent_in_the_dark = colors.for_dark(accent)
    contact_url = _full_address(conf.MOLLIE_ONBOARDING_CONTACT_URL)
    privacy_url = conf.MOLLIE_ONBOARDING_PRIVACY_URL
    return {
        "platform_name": conf.MOLLIE_ONBOARDING_PLATFORM_NAME,
        "base_url": conf.home_url().rstrip("/"),
        "logo_url": logo_url(),
        "contact_url": contact_url,
        "contact": _readable(contact_url),
        "privacy_url": privacy_url and _full_address(privacy_url),
        "accent": accent,
        "on_accent": colors.on_color(accent),
        "dark_accent": accent_in_the_dark,
        "on_dark_accent": colors.on_color(accent_in_the_dark),
        "language": translation.get_language(),
        "direction": "rtl" if translation.get_language_bidi() else "ltr",
    }


def _full_address(url: str) -> str:
    """An address that is complete in a mailbox too, where a path alone leads nowhere."""
    return urljoin(f"{conf.MOLLIE_ONBOARDING_BASE_URL}/", url)


def _readable(url: str) -> str:
    """An address as people write it: of `mailto:` only who gets the mail."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "mailto" else url


def _about_the_merchant(client_link: ClientLink) -> dict[str, Any]:
    full_name = f"{client_link.owner_given_name} {client_link.owner_family_name}"
    return {
        "client_link": client_link,
        "purpose": purpose_of(client_link),
        "name": one_line(client_link.organization_name),
        "full_name": Truncator(one_line(full_name)).chars(FULL_NAME_LENGTH),
        "organization": one_line(str(client_link.organization or "")),
        "link_expires_at": client_link.link_expires_at,
    }


def one_line(text: str) -> str:
    """A name as a part of a sentence: it begins no line of its own, turns nothing of ours around, and leads nowhere.

    A form refuses such names (`validation`); rows that code made, or an earlier version, still get their mail. Each word
    with a web address in it is left out, and a mark in its place shows that something was.
    """
    words = CONTROL_CHARACTERS.sub(" ", text).split()
    return " ".join(LEFT_OUT if WEB_ADDRESS in word else word for word in words)


def logo_url() -> str:
    """The full address of the platform's logo; '' where there is none that mail programs show."""
    path = conf.MOLLIE_ONBOARDING_PLATFORM_LOGO
    if not path or urlsplit(path).path.lower().endswith(".svg"):  # Gmail and Outlook leave a hole for it
        return ""
    is_address = path.startswith(("/", "https://", "http://"))
    return _full_address(path if is_address else static(path))


def microseconds(at: datetime) -> int:
    """A moment as a part of a Message-ID: the same request is the same mail."""
    return int(at.timestamp() * 1_000_000)


@sensitive_variables()
def deliver(message: EmailMultiAlternatives) -> bool:
    """Hand a mail to the mail backend. False where that did not take it; the log says why."""
    try:
        return bool(message.send())
    except Exception as exc:
        if type(exc).__name__ == NO_METADATA and hasattr(message, "metadata"):
            # Two of anymail's providers take none, which it says before it sends. Then the mail is known by its id.
            del message.metadata
            return deliver(message)
        # The platform chooses the mail backend, so anything may be raised. Only the class: messages of mail servers
        # quote addresses.
        observe(
            logger,
            logging.ERROR,
            "mail_not_sent",
            "Mail %(message_id)s was not sent: %(error)s",
            message_id=message.extra_headers["Message-ID"],
            error=type(exc).__name__,
        )
        return False


def note_sent(client_link: ClientLink, kind: str) -> None:
    observe(
        logger,
        logging.INFO,
        "mail_sent",
        "Client link %(client_link)s was mailed: %(kind)s.",
        client_link=client_link.pk,
        kind=kind,
    )


# Looking at mails before merchants get them.


def build_example(client_link: ClientLink, purpose: Purpose, language: str) -> EmailMultiAlternatives:
    """A mail as this merchant would get it now, with an example in place of the merchant's own, secret link."""
    path = reverse("mollie_onboarding:client_link", args=[EXAMPLE_TOKEN])
    organization = client_link.organization or Organization(
        organization_id=EXAMPLE_ORGANIZATION_ID, name=client_link.organization_name
    )
    return build_mail(
        _without_secrets(client_link),
        purpose.template,
        message_id=f"test.{uuid.uuid4().hex}",
        context={
            "url": conf.MOLLIE_ONBOARDING_BASE_URL + path,
            "purpose": purpose,
            "organization": one_line(str(organization)),
            "link_expires_at": timezone.now() + conf.MOLLIE_ONBOARDING_LINK_LIFETIME,
        },
        language=language,
    )


def _without_secrets(client_link: ClientLink) -> ClientLink:
    """A copy of the row that no template can get a working link from; never saved.

    Our own link is made of the id and the generation: this one's is of a row that there is not.
    """
    stand_in = copy.copy(client_link)
    stand_in.pk = uuid.uuid4()
    stand_in.link_generation = 0  # a row begins with 1
    stand_in.url = ""
    return stand_in


def send_test_mail(client_link: ClientLink, purpose: Purpose, *, language: str, to: str) -> bool:
    """Send an example to somebody who is not the merchant, an operator. False where it could not be sent.

    Nothing of the row changes: it is no mail to this merchant.
    """
    message = build_example(client_link, purpose, language)
    message.subject = f"{TEST_PREFIX} {message.subject}"
    message.to = [to]
    return deliver(message)
