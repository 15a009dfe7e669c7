"""What arrives in a mailbox: both parts of every mail, their looks, and the preview of them in the admin."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from django.urls import reverse_lazy
from django.utils import timezone

from mollie_onboarding import colors, services
from mollie_onboarding.admin.mail_preview import TEST_LIMIT
from mollie_onboarding.models import ClientLink, Event, Organization, Status
from mollie_onboarding.services import Purpose, mailing
from tests.conftest import MERCHANT
from tests.test_admin import LIST, act, change, csrf, make_staff_with, page_of, said, snapshot

DATABASES = ["default", "mollie_sandbox"]
pytestmark = pytest.mark.django_db(databases=DATABASES)

LOGO = "https://platform.example/static/logo.png"
EXAMPLE_URL = f"https://platform.example/onboarding/link/{mailing.EXAMPLE_TOKEN}/"
VOID = {"br", "img", "link", "meta"}
READABLE = 4.5  # www.w3.org/TR/WCAG22/#contrast-minimum


class Page(HTMLParser):
    """The HTML of a mail: its elements, and each visible text with the colours that it has."""

    def __init__(self, source: str, scheme: str = "light") -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str, str]] = []  # text, colour, background
        self.paragraphs: list[str] = []
        self.dark = dark_rules(source) if scheme == "dark" else {}
        self.stack: list[tuple[str, dict[str, str]]] = [("", {"color": "", "background-color": ""})]
        self.feed(source)
        assert len(self.stack) == 1, "an element is not closed"

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        given = {name: value or "" for name, value in attributes}
        self.elements.append((tag, given))
        style = dict(self.stack[-1][1]) | declarations(given.get("style", ""))
        for name in given.get("class", "").split():
            style |= self.dark.get(name, {})
        if tag == "p":
            self.paragraphs.append("")
        if given.get("alt"):
            self.texts.append((given["alt"], style["color"], style["background-color"]))
        if tag not in VOID:
            self.stack.append((tag, style))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        style = self.stack[-1][1]
        is_shown = style.get("display") != "none" and "head" not in (tag for tag, _ in self.stack)
        if is_shown and (text := " ".join(data.split())):
            self.texts.append((text, style["color"], style["background-color"]))
            if "p" in (tag for tag, _ in self.stack):
                self.paragraphs[-1] = f"{self.paragraphs[-1]} {text}".strip()

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def declarations(style: str) -> dict[str, str]:
    pairs = (part.split(":", 1) for part in style.split(";") if ":" in part)
    return {name.strip(): value.replace("!important", "").strip() for name, value in pairs}


def dark_rules(source: str) -> dict[str, dict[str, str]]:
    [block] = re.findall(r"prefers-color-scheme: dark\) \{(.*?)\n      \}", source, re.DOTALL)
    return {name: declarations(body) for name, body in re.findall(r"\.(\w+) \{(.*?)\}", block)}


def html_of(message: Any) -> str:
    [(content, mimetype)] = message.alternatives
    assert mimetype == "text/html"
    return content


def example(purpose: Purpose = Purpose.INVITATION, language: str = "en", **columns: Any) -> Any:
    return services.build_example(ClientLink(**{**MERCHANT, **columns}), purpose, language)


def paragraphs(body: str) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in body.strip().split("\n\n")]


# What they say.


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("privacy_url", [None, "https://platform.example/privacy"])
def test_text_and_html_say_the_same_in_the_same_order(settings, purpose, privacy_url):
    settings.MOLLIE_ONBOARDING_PRIVACY_URL = privacy_url
    message = example(purpose)
    page = Page(html_of(message))

    in_text, in_html = paragraphs(message.body), page.paragraphs

    in_both = [paragraph for paragraph in in_text if paragraph in in_html]
    assert in_both == [paragraph for paragraph in in_html if paragraph in in_text]
    assert set(in_text) - set(in_both) <= {
        "Open this page to begin:",
        EXAMPLE_URL,
        f"Privacy policy: {privacy_url}",
    }
    assert set(in_html) - set(in_both) == {
        "Shopwise",
        f"If the button does not work, copy this address into your browser: {EXAMPLE_URL}",
        *(["Privacy policy"] if privacy_url else []),
    }
    links = {link["href"] for link in page.all("a")}
    assert links == {EXAMPLE_URL, "https://platform.example/", privacy_url} - {None}
    assert links == set(re.findall(r"^https://\S+$", message.body, re.MULTILINE))


@pytest.mark.parametrize(
    ("purpose", "subject", "heading", "label", "words"),
    [
        (
            Purpose.INVITATION,
            "Shopwise: connect Bakkerij Jansen with Mollie",
            "Connect Bakkerij Jansen with Mollie",
            "Begin",
            ["about ten minutes", "an identity document", "You log in at Mollie, or make an account"],
        ),
        (
            Purpose.LOST,
            "Shopwise: connect Bakkerij Jansen with Mollie again",
            "Connect Bakkerij Jansen with Mollie again",
            "Connect again",
            ["The connection of Bakkerij Jansen with Mollie was lost"],
        ),
        (
            Purpose.DISCONNECTED,
            "Shopwise: connect Bakkerij Jansen with Mollie again",
            "Connect Bakkerij Jansen with Mollie again",
            "Connect again",
            ["Shopwise has ended the connection of Bakkerij Jansen"],
        ),
        (
            Purpose.NEW_CONSENT,
            "Shopwise: please agree to more permissions at Mollie for Bakkerij Jansen",
            "Agree to more permissions at Mollie",
            "Agree at Mollie",
            ["Everything keeps working until then."],
        ),
        (
            Purpose.REMINDER,
            "Shopwise: reminder to connect Bakkerij Jansen with Mollie",
            "Connect Bakkerij Jansen with Mollie",
            "Begin",
            ["Shopwise asked you to connect", "a friendly reminder", "about ten minutes"],
        ),
        (
            Purpose.REMINDER_AGAIN,
            "Shopwise: what it takes to connect Bakkerij Jansen with Mollie",
            "Connect Bakkerij Jansen with Mollie",
            "Begin",
            ["is not connected with Mollie yet", "an identity document", "about ten minutes"],
        ),
        (
            Purpose.REMINDER_LAST,
            "Shopwise: last reminder to connect Bakkerij Jansen with Mollie",
            "Connect Bakkerij Jansen with Mollie",
            "Begin",
            ["the last reminder that you get from Shopwise", "there is nothing for you to do"],
        ),
        (
            Purpose.CONNECTED,
            "Shopwise: Bakkerij Jansen is connected with Mollie",
            "Bakkerij Jansen is connected with Mollie",
            "See the status",
            ["Bakkerij Jansen (org_12345678)", "Was that not you", "do not pass it on"],
        ),
    ],
)
def test_each_mail_says_who_why_and_what_next(purpose, subject, heading, label, words):
    message = example(purpose)
    source = html_of(message)
    page = Page(source)

    assert message.subject == subject
    assert f"<title>{subject}</title>" in source
    assert re.findall(r"<h1[^>]*>(.*?)</h1>", source) == [heading]
    assert re.findall(r'<a class="button"[^>]*>(.*?)</a>', source) == [label]
    assert page.paragraphs[1] == "Hello Jan Jansen,"
    for sentence in (*words, "You get this mail because Shopwise (https://platform.example)"):
        assert sentence in message.body
        assert sentence in " ".join(page.paragraphs)
    assert ("The link works until" in message.body) is (purpose != Purpose.CONNECTED)
    assert "do not pass it on" in message.body


@pytest.mark.parametrize("purpose", Purpose)
def test_there_is_one_button_and_its_address_on_a_line_of_its_own(purpose):
    message = example(purpose)
    links = Page(html_of(message)).all("a")

    assert [link["href"] for link in links if link["class"] == "button"] == [EXAMPLE_URL]
    [copied] = [link for link in links if link["href"] == EXAMPLE_URL and link["class"] != "button"]
    assert "overflow-wrap:anywhere" in copied["style"]
    assert f"\n\n{EXAMPLE_URL}\n\n" in message.body


@pytest.mark.parametrize(
    ("columns", "connection", "purpose"),
    [
        ({}, None, Purpose.INVITATION),
        ({"status": Status.STARTED}, {"connection_status": "lost"}, Purpose.INVITATION),
        ({"status": Status.CONNECTED}, {"connection_status": "lost"}, Purpose.LOST),
        ({"status": Status.CONNECTED}, {"connection_status": "disconnected"}, Purpose.DISCONNECTED),
        ({"status": Status.CONNECTED}, {"scope": "onboarding.read"}, Purpose.NEW_CONSENT),
        ({"status": Status.CONNECTED}, {}, Purpose.CONNECTED),
    ],
)
def test_purpose_follows_the_connection(columns, connection, purpose):
    organization = None if connection is None else Organization(organization_id="org_1", **connection)

    assert services.purpose_of(ClientLink(organization=organization, **columns)) == purpose


NAMES = [
    "<b>Jansen</b> & \"Zonen\" 'BV'",
    "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} 24",
    "Bakkerij \N{WOMAN}\N{ZERO WIDTH JOINER}\N{COOKING} Jansen",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("purpose", Purpose)
def test_names_are_text_wherever_they_stand(purpose, name):
    message = example(purpose, organization_name=name, owner_given_name=name)
    page = Page(html_of(message))

    assert name in message.subject
    assert f"Hello {name} Jansen," in message.body
    assert page.paragraphs[1] == f"Hello {name} Jansen,"
    assert name in " ".join(page.paragraphs[2:])
    assert page.all("b") == []


@pytest.mark.parametrize("purpose", Purpose)
def test_names_begin_no_line_and_turn_nothing_around(purpose):
    evil = "Jansen\r\nBcc: a@b.example\u2028\n\nhttps://evil.example/\n\N{RIGHT-TO-LEFT OVERRIDE}gro\x00"
    organization = Organization(organization_id="org_1", name=evil)

    message = example(purpose, organization_name=evil, owner_given_name=evil, organization=organization)

    plain = "Jansen Bcc: a@b.example … gro"
    assert plain in message.subject
    assert plain in message.body
    assert plain in html_of(message)
    assert "evil.example" not in message.subject + message.body + html_of(message)
    assert message.message()["Bcc"] is None
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in message.subject + message.body + html_of(message)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Booking.com B.V.", "Booking.com B.V."),
        ("www.jansen.example A/S", "www.jansen.example A/S"),
        ("Jansen: log in at (HTTPS://evil.example/x), now", "Jansen: log in at … now"),
        ("a://b c://d Jansen", "… … Jansen"),
        ("https://jansen.example", "…"),
        ("://", "…"),
    ],
)
def test_names_bring_no_address_of_their_own(name, plain):
    """Rows that are older than the rule of the form, or were made by code."""
    message = example(
        Purpose.CONNECTED,
        organization_name=name,
        owner_given_name=name,
        organization=Organization(organization_id="org_1", name=name),
    )

    assert message.subject == f"Shopwise: {plain} is connected with Mollie"
    assert f"Hello {plain} Jansen"[:80] in message.body
    assert f"The Mollie organization {plain} (org_1) was just connected with Shopwise, for {plain}." in (
        paragraphs(message.body)
    )
    assert f"The Mollie organization {plain} (org_1) " in " ".join(Page(html_of(message)).paragraphs)


def test_greeting_is_too_short_for_a_message_of_somebody_else():
    given, family = (
        "Wolfgang-Amadeus Maximilian-Theophilus J",
        "von Habsburg-Lothringen und zu Sonnenstein"[:39],
    )
    longest = f"{given} {family}"
    assert len(longest) == 80

    assert f"Hello {longest},\n" in example(owner_given_name=given, owner_family_name=family).body
    cut = example(owner_given_name=given, owner_family_name=family + "r")
    assert f"Hello {longest[:-1]}…,\n" in cut.body
    assert Page(html_of(cut)).paragraphs[1] == f"Hello {longest[:-1]}…,"
    name = "Stichting " + "x" * 240
    assert name in example(organization_name=name).body


def test_headers_ask_for_no_automatic_answer():
    message = message_from_bytes(example().message().as_bytes(), policy=policy.default)

    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert message["List-Unsubscribe"] is None
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    ("contact_url", "shown"),
    [
        ("https://platform.example/help?topic=1", "https://platform.example/help?topic=1"),
        ("mailto:help@shopwise.example?subject=Mollie", "help@shopwise.example"),
    ],
)
@pytest.mark.parametrize("purpose", [Purpose.INVITATION, Purpose.CONNECTED])
def test_contact_can_be_read_and_followed(settings, purpose, contact_url, shown):
    settings.MOLLIE_ONBOARDING_CONTACT_URL = contact_url
    message = example(purpose)
    page = Page(html_of(message))

    assert f"Questions? Contact Shopwise:\n{shown}\n" in message.body
    assert page.paragraphs.count(f"Questions? Contact Shopwise: {shown}") == 1
    assert [link["href"] for link in page.all("a")].count(contact_url) == 1


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("/help/", "https://platform.example/help/"),
        ("/help?topic=1#mollie", "https://platform.example/help?topic=1#mollie"),
        (reverse_lazy("mollie_onboarding:signup"), "https://platform.example/onboarding/signup/"),
        ("https://shop.example/help", "https://shop.example/help"),
    ],
)
@pytest.mark.parametrize("purpose", [Purpose.INVITATION, Purpose.CONNECTED])
def test_paths_of_the_platform_are_full_addresses(settings, purpose, url, address):
    settings.MOLLIE_ONBOARDING_CONTACT_URL = settings.MOLLIE_ONBOARDING_PRIVACY_URL = url
    message = example(purpose)
    page = Page(html_of(message))

    assert f"Questions? Contact Shopwise:\n{address}\n\nPrivacy policy:\n{address}\n" in message.body
    assert f"Questions? Contact Shopwise: {address}" in page.paragraphs
    assert {link["href"] for link in page.all("a")} == {EXAMPLE_URL, address}


def test_telephone_stays_a_telephone(settings):
    settings.MOLLIE_ONBOARDING_CONTACT_URL = "tel:+31201234567"

    assert "tel:+31201234567" in {link["href"] for link in Page(html_of(example())).all("a")}


def test_language_and_direction_are_where_mail_programs_leave_them(settings):
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "Arabic")]
    for language, direction, align in (("en", "ltr", "left"), ("ar", "rtl", "right")):
        page = Page(html_of(example(language=language)))
        assert [{"lang": language, "dir": direction}] == [one for one in page.all("div") if "lang" in one]
        assert page.all("html") == [{"lang": language}]
        assert {cell["align"] for cell in page.all("td") if cell.get("class") in ("card", "under")} == {align}


# How they look.


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("accent", [None, "#0b5fff", "#ffe14d", "#000000", "#ffffff", "#c2185b", "#7a7a7a"])
@pytest.mark.parametrize("purpose", [Purpose.INVITATION, Purpose.CONNECTED])
def test_every_text_can_be_read_in_the_light_and_in_the_dark(settings, purpose, accent, scheme):
    settings.MOLLIE_ONBOARDING_ACCENT_COLOR = accent
    settings.MOLLIE_ONBOARDING_PRIVACY_URL = "https://platform.example/privacy"
    settings.MOLLIE_ONBOARDING_PLATFORM_LOGO = "/static/logo.png"

    page = Page(html_of(example(purpose)), scheme)

    assert len(page.texts) > 10
    unreadable = [one for one in page.texts if colors.contrast(one[1], one[2]) < READABLE]
    assert unreadable == []
    if scheme == "dark":
        assert {"#12161c", "#1b212a"} <= {background for _, _, background in page.texts}


@pytest.mark.parametrize("purpose", Purpose)
def test_layout_is_what_mail_programs_understand(purpose):
    page = Page(html_of(example(purpose)))

    assert {table.get("role") for table in page.all("table")} == {"presentation"}
    assert len(page.all("h1")) == 1
    # Outlook reads the attribute, the others the style.
    coloured = [
        one for _, one in page.elements if "background-color" in one.get("style", "") and "href" not in one
    ]
    assert coloured
    for one in coloured:
        assert one["bgcolor"] == declarations(one["style"])["background-color"]
    assert {"name": "color-scheme", "content": "light dark"} in page.all("meta")
    assert {"name": "supported-color-schemes", "content": "light dark"} in page.all("meta")


@pytest.mark.parametrize("purpose", Purpose)
def test_list_of_mails_shows_why_it_comes(purpose):
    """The line beside the subject in a mailbox: the first text of the HTML, hidden in the mail itself."""
    message = example(purpose)
    first = re.search(r'<div style="display:none;[^"]*">(.*?)</div>', html_of(message), re.DOTALL)[1]

    assert " ".join(first.split()) == paragraphs(message.body)[1]


@pytest.mark.parametrize("logo", [None, "logo.png"])
@pytest.mark.parametrize("purpose", Purpose)
def test_nothing_is_loaded_but_the_logo(settings, purpose, logo):
    settings.MOLLIE_ONBOARDING_PLATFORM_LOGO = logo
    source = html_of(example(purpose))

    assert re.findall(r'\b(?:src|srcset|background|poster|data)="([^"]*)"', source) == (
        [LOGO] if logo else []
    )
    for loading in (
        "url(",
        "@import",
        "<link",
        "<script",
        "<form",
        "<iframe",
        "<object",
        "<svg",
        "http-equiv",
    ):
        assert loading not in source


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("", ""),
        ("logo.png", LOGO),
        ("/media/logo.png", "https://platform.example/media/logo.png"),
        ("https://cdn.example/logo.png?v=2", "https://cdn.example/logo.png?v=2"),
        ("logo.SVG", ""),
        ("https://cdn.example/logo.svg?v=2", ""),
    ],
)
def test_logo_has_a_full_address_or_is_the_name(settings, path, address):
    settings.MOLLIE_ONBOARDING_PLATFORM_LOGO = path
    page = Page(html_of(example()))

    assert mailing.logo_url() == address
    assert [(one["src"], one["alt"], one["height"]) for one in page.all("img")] == (
        [(address, "Shopwise", "40")] if address else []
    )
    assert ("Shopwise" in page.paragraphs) is (not address)


# The preview.


def preview(row: ClientLink) -> str:
    return page_of(row, "mail")


def frame(row: ClientLink) -> str:
    return page_of(row, "mail_html")


def shown(response: Any) -> Any:
    return response.context["message"]


@pytest.mark.parametrize(
    ("codenames", "may_look", "may_send"),
    [
        (("view_clientlink",), True, False),
        (("change_clientlink", "cancel_clientlink"), True, False),
        (("view_clientlink", "send_clientlink"), True, True),
        (("send_clientlink",), False, False),
        (("view_organization",), False, False),
    ],
)
def test_preview_is_for_who_may_look_and_a_test_for_who_may_send(
    make_client_link, codenames, may_look, may_send
):
    browser = make_staff_with(*codenames)
    get_user_model().objects.update(email="me@shopwise.example")
    row = make_client_link()

    for path in (preview(row), frame(row)):
        assert browser.get(path).status_code == (200 if may_look else 403)
    if may_look:
        assert preview(row) in browser.get(change(row)).content.decode()
        assert ("Send me a test" in browser.get(preview(row)).content.decode()) is may_send
        offered = re.findall(r'<option value="(\w+)"', browser.get(LIST).content.decode())
        assert ("send_me_a_test" in offered) is may_send
    assert browser.post(preview(row), csrf(browser)).status_code == (302 if may_send else 403)
    assert [message.to for message in mail.outbox] == ([["me@shopwise.example"]] if may_send else [])


def test_strangers_see_no_preview(make_client_link):
    row = make_client_link()

    for path in (preview(row), frame(row)):
        assert Client().get(path).headers["Location"].startswith("/admin/login/")


def test_preview_of_no_row_is_not_found(staff, make_client_link):
    row = make_client_link()
    ClientLink.objects.all().delete()

    assert staff.get(preview(row)).status_code == staff.get(frame(row)).status_code == 404


def test_preview_shows_what_would_arrive(staff, make_client_link):
    row = make_client_link(owner_locale="en_GB")

    response = staff.get(preview(row))

    page = response.content.decode()
    for words in (
        "Shopwise: connect Bakkerij Jansen with Mollie",
        "Shopwise &lt;onboarding@shopwise.example&gt;",
        "jan@bakkerij-jansen.example",
        "Please have an identity document",
        'title="The mail as HTML"',
        f'src="{frame(row)}?mail=invitation&amp;language=en&amp;width=desktop" sandbox=""',
        "It goes to operator@shopwise.example, not to the merchant.",
    ):
        assert words in page
    assert "The merchant gets no such mail now" not in page
    assert html_of(shown(response)) == staff.get(frame(row)).content.decode()


def test_preview_shows_every_mail_in_every_language(staff, make_client_link):
    row = make_client_link(owner_locale="nl_NL")

    for purpose in Purpose:
        for language in ("en", "nl"):
            greeting = paragraphs(example(purpose, language).body)[0]
            assert (greeting == "Hello Jan Jansen,") is (language == "en")
            query = {"mail": purpose.value, "language": language, "width": "phone"}
            response = staff.get(preview(row), query)
            assert shown(response).subject == example(purpose, language).subject
            assert greeting in shown(response).body
            assert greeting in staff.get(frame(row), query).content.decode()
            assert '<iframe class="mollie-mail phone"' in response.content.decode()


@pytest.mark.parametrize("query", ["", "?mail=&language=&width=", "?mail=x&language=xx&width=1e9px"])
def test_preview_of_what_there_is_not_is_the_merchants_own(staff, make_client_link, query):
    organization = Organization.objects.create(organization_id="org_1", connection_status="lost")
    row = make_client_link(status=Status.CONNECTED, organization=organization, owner_locale="nl_BE")

    response = staff.get(preview(row) + query)

    assert shown(response).subject == example(Purpose.LOST, "nl").subject
    assert response.context["form"].data == {"mail": "lost", "language": "nl", "width": "desktop"}


def test_preview_offers_the_languages_of_the_site(staff, make_client_link, settings):
    settings.LANGUAGES = [("en", "English"), ("nl", "Dutch"), ("ja", "Japanese")]

    choices = staff.get(preview(make_client_link())).context["form"].fields["language"].choices

    assert [*choices] == [("en", "English"), ("nl", "Nederlands")]


@pytest.mark.parametrize("query", [f"?mail={purpose}" for purpose in Purpose])
def test_preview_and_test_hold_no_secret(sandbox, staff, make_client_link, query):
    row = make_client_link(send_requested_at=timezone.now())
    services.send_onboarding_link(row.pk)
    row.refresh_from_db()
    [real] = mail.outbox
    token = row.merchant_path().split("/")[-2]
    assert token in real.body

    answers = [staff.get(path + query).content.decode() for path in (preview(row), frame(row))]
    assert staff.post(preview(row), {"mail": query.partition("=")[2], **csrf(staff)}).status_code == 302
    test = mail.outbox[1]

    assert row.url
    for text in (*answers, test.message().as_string(), test.body, html_of(test)):
        assert token not in text
        assert token.split(".")[2] not in text
        assert row.url not in text
    assert EXAMPLE_URL in test.body
    assert Client().get(EXAMPLE_URL.removeprefix("https://platform.example")).status_code == 404


@pytest.mark.parametrize("purpose", Purpose)
def test_templates_of_a_platform_find_no_secret_in_the_row(
    sandbox, staff, make_client_link, settings, tmp_path, purpose
):
    """The row is a documented variable of the templates, and its properties are no secret to them."""
    organization = Organization.objects.create(organization_id="org_1", connection_status="lost")
    row = make_client_link(send_requested_at=timezone.now(), reference="shop-5")
    services.send_onboarding_link(row.pk)
    ClientLink.objects.update(status=Status.CONNECTED, organization=organization)
    row.refresh_from_db()
    assert row.url
    secret = row.merchant_path().split("/")[-2].split(".")
    template = tmp_path / "mollie_onboarding" / "mail" / f"{purpose.template}_body.txt"
    template.parent.mkdir(parents=True)
    template.write_text(
        "{% autoescape off %}{{ client_link.merchant_url }} {{ client_link.merchant_path }} [{{ client_link.url }}] "
        "{{ client_link.reference }} {{ client_link }} {{ client_link.organization.organization_id }} "
        "{{ client_link.needs_reconnecting }} {{ client_link.status }}{% endautoescape %}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    before = snapshot()

    query = {"mail": purpose.value}
    preview_text = shown(staff.get(preview(row), query)).body
    staff.post(preview(row), {**query, **csrf(staff)})
    test_text = mail.outbox[-1].body

    for text in (preview_text, test_text):
        assert "[] shop-5 Bakkerij Jansen org_1 True connected" in text
        assert secret[0] not in text
        assert secret[2] not in text
        url = text.split()[0]
        assert url.startswith("https://platform.example/onboarding/link/")
        assert Client().get(url.removeprefix("https://platform.example")).status_code == 404
    assert snapshot() == before
    # And what merchants get is as it was.
    row.refresh_from_db()
    context = {"url": row.merchant_url()}
    assert (
        row.merchant_url()
        in services.mailing.build_mail(row, purpose.template, message_id="1", context=context).body
    )


def test_looking_at_the_preview_changes_nothing(sandbox, staff, make_client_link):
    row = make_client_link()
    before = snapshot()

    for path in (preview(row), frame(row)):
        for query in ("", "?mail=connected&language=nl", "?post=yes"):
            assert staff.get(path + query).status_code == 200
            assert staff.head(path + query).status_code == 200

    assert snapshot() == before
    assert sandbox.calls() == []
    assert mail.outbox == []
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize(
    ("columns", "query", "reason"),
    [
        ({"status": Status.CANCELLED}, "", "The client link is cancelled."),
        ({"status": Status.CONNECTED}, "?mail=invitation", "The merchant is connected."),
        ({"status": Status.CONNECTED}, "", ""),
        ({"status": Status.REJECTED}, "", ""),
    ],
)
def test_preview_works_whatever_the_row_is(staff, make_client_link, columns, query, reason):
    organization = Organization.objects.create(organization_id="org_1", name="Jansen Holding")
    row = make_client_link(organization=organization, **columns)

    response = staff.get(preview(row) + query)

    page = response.content.decode()
    assert ("The merchant gets no such mail now" in page) is bool(reason)
    assert reason in page
    assert shown(response).to == ["jan@bakkerij-jansen.example"]
    assert staff.get(frame(row)).status_code == 200


def test_merchant_who_was_forgotten_has_no_mail(staff, make_client_link):
    row = make_client_link(anonymized_at=timezone.now(), owner_email="", organization_name="")

    page = staff.get(preview(row)).content.decode()
    response = staff.post(preview(row), csrf(staff))

    assert "The personal data of the merchant were erased." in page
    assert "<iframe" not in page
    assert "Send me a test" not in page
    assert said(response) == ["The personal data of the merchant were erased."]
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("logo", "images"), [("", "'none'"), ("https://cdn.example/a.png", "https://cdn.example")]
)
def test_frame_loads_and_runs_nothing(staff, make_client_link, settings, logo, images):
    settings.MOLLIE_ONBOARDING_PLATFORM_LOGO = logo

    response = staff.get(frame(make_client_link()))

    policies = dict(
        part.strip().partition(" ")[::2] for part in response.headers["Content-Security-Policy"].split(";")
    )
    assert policies == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": images,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
        "sandbox": "",
    }
    assert response.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "no-store" in response.headers["Cache-Control"]


# A test of it.


def test_test_goes_to_the_operator_and_leaves_the_row_alone(staff, operator, make_client_link):
    row = make_client_link(owner_locale="nl_NL")
    before = snapshot()

    response = staff.post(
        preview(row), {"mail": "connected", "language": "en", "width": "phone", **csrf(staff)}
    )

    assert response.headers["Location"] == f"{preview(row)}?mail=connected&language=en&width=phone"
    assert said(response) == ["A test of the mail was sent to operator@shopwise.example."]
    [message] = mail.outbox
    assert message.subject == "[Test] Shopwise: Bakkerij Jansen is connected with Mollie"
    assert message.recipients() == ["operator@shopwise.example"]
    assert "Was that not you" in message.body
    assert message.extra_headers["Message-ID"].startswith("<test.")
    assert snapshot() == before
    assert not Event.objects.exists()
    [entry] = LogEntry.objects.all()
    assert (entry.user, entry.object_id) == (operator, str(row.pk))
    assert entry.get_edited_object() == row
    assert "Jansen" not in f"{entry.object_repr} {entry.change_message}"
    assert "A test of the mail was sent." in staff.get(f"{LIST}{row.pk}/history/").content.decode()


def test_test_without_a_csrf_token_is_refused(staff, make_client_link):
    assert staff.post(preview(make_client_link())).status_code == 403
    assert mail.outbox == []


def test_operator_without_an_address_is_told(staff, operator, make_client_link):
    operator.email = ""
    operator.save()
    row = make_client_link()

    response = staff.post(preview(row), csrf(staff))

    assert said(response) == ["Your account has no e-mail address, so no test was sent."]
    assert "It goes to" not in staff.get(preview(row)).content.decode()
    assert mail.outbox == []
    assert LogEntry.objects.count() == 0


def test_mail_server_that_fails_is_no_error_page(staff, make_client_link, monkeypatch, caplog):
    def refuse(*args: Any) -> None:
        raise OSError("550 operator@shopwise.example is unknown here")

    monkeypatch.setattr(EmailBackend, "send_messages", refuse)

    response = staff.post(preview(make_client_link()), csrf(staff))

    assert said(response) == ["The mail server did not take the test. Nothing was sent."]
    assert LogEntry.objects.count() == 0
    assert "operator@" not in caplog.text


def test_tests_are_limited_for_each_operator(staff, make_client_link, monkeypatch):
    monkeypatch.setattr("mollie_onboarding.admin.mail_preview.TEST_LIMIT", "2/d")
    row = make_client_link()
    for _ in range(2):
        staff.post(preview(row), csrf(staff))

    refused = staff.post(preview(row), csrf(staff))

    assert len(mail.outbox) == 2
    assert re.fullmatch(
        r"You have sent many tests\. You can send the next one in \d+ minutes?\.", said(refused)[-1]
    )
    other = make_staff_with("view_clientlink", "send_clientlink")
    get_user_model().objects.filter(email="").update(email="me@shopwise.example")
    other.post(preview(row), csrf(other))
    assert len(mail.outbox) == 3
    assert TEST_LIMIT == "20/h"


def test_action_of_the_list_sends_one_test(staff, make_client_link):
    row = make_client_link(owner_locale="nl_NL")
    before = snapshot()

    response = act(staff, "send_me_a_test", row)

    assert said(response) == ["A test of the mail was sent to operator@shopwise.example."]
    [message] = mail.outbox
    assert message.to == ["operator@shopwise.example"]
    assert message.subject == f"[Test] {example(language='nl').subject}"
    assert snapshot() == before


def test_action_of_the_list_takes_one_merchant(staff, make_client_link):
    rows = [make_client_link() for _ in range(3)]

    response = act(staff, "send_me_a_test", *rows)

    assert said(response) == ["Choose one merchant: a test shows the mail of one."]
    assert mail.outbox == []
