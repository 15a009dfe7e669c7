"""The mails of a merchant, as they would arrive, and a test of them in the operator's own mailbox.

The merchant's link is secret, so an example stands in its place, for everybody. Looking changes nothing; a test leaves a
line in the admin's own log, and nothing in the row or in its history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mollie_onboarding import services
from mollie_onboarding.languages import LANGUAGE_NAMES, supported_language
from mollie_onboarding.models import ClientLink
from mollie_onboarding.services import Purpose
from mollie_onboarding.services.mailing import REMINDERS, logo_url
from mollie_onboarding.throttle import seconds_to_wait

from .labels import reason_not_to_remind, reason_not_to_send

if TYPE_CHECKING:
    from .client_links import ClientLinkAdmin

TEST_LIMIT = "20/h"  # test mails of one operator
WIDTHS = (("desktop", _("Desktop")), ("phone", _("Phone")))


def spoken_languages() -> list[tuple[str, str]]:
    return [(code, name) for code, name in LANGUAGE_NAMES.items() if supported_language(code)]


class PreviewForm(forms.Form):
    """What is shown. A value that is missing or unknown is the merchant's own, or the first."""

    mail = forms.ChoiceField(label=_("Mail"), choices=Purpose.choices)
    language = forms.ChoiceField(label=_("Language"), choices=spoken_languages)
    width = forms.ChoiceField(label=_("Width"), choices=WIDTHS)

    def __init__(self, asked_for: Any, client_link: ClientLink) -> None:
        shown = {
            "mail": str(services.purpose_of(client_link)),
            "language": services.language_of(client_link),
            "width": WIDTHS[0][0],
        }
        choices: dict[str, Any] = {name: field.choices for name, field in self.base_fields.items()}  # type: ignore[attr-defined]  # all are choices
        shown |= {name: asked_for[name] for name in shown if asked_for.get(name) in dict(choices[name])}
        super().__init__(shown)
        self.purpose = Purpose(shown["mail"])
        self.language_code = shown["language"]
        self.query = urlencode(shown)


class MailPreview:
    """Two pages of the client link admin: the mail with everything around it, and its HTML alone, for the frame."""

    def __init__(self, modeladmin: ClientLinkAdmin) -> None:
        self.modeladmin = modeladmin

    def urls(self) -> list[URLPattern]:
        protect = self.modeladmin.admin_site.admin_view
        return [
            # A test that was sent stays sent, whatever fails after it.
            path(
                "<uuid:object_id>/mail/",
                transaction.non_atomic_requests(protect(self.page)),
                name="mollie_onboarding_clientlink_mail",
            ),
            path(
                "<uuid:object_id>/mail/html/",
                protect(self.frame),
                name="mollie_onboarding_clientlink_mail_html",
            ),
        ]

    def find(self, request: HttpRequest, object_id: Any) -> ClientLink:
        row = get_object_or_404(self.modeladmin.get_queryset(request), pk=object_id)
        if not self.modeladmin.has_view_permission(request, row):
            raise PermissionDenied
        return row

    def page(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        row = self.find(request, object_id)
        form = PreviewForm(request.POST if request.method == "POST" else request.GET, row)
        if request.method == "POST":
            if not self.modeladmin.has_send_permission(request):
                raise PermissionDenied
            send_test(request, row, form.purpose, form.language_code)
            return HttpResponseRedirect(f"{address_of_preview(row)}?{form.query}")
        modeladmin = self.modeladmin
        context = {
            **modeladmin.admin_site.each_context(request),
            "title": gettext("Preview of the mail"),
            "subtitle": str(row),
            "opts": modeladmin.opts,
            "media": modeladmin.media,
            "original": row,
            "form": form,
            "reason": reason_not_to_preview(row, form.purpose),
            "message": None
            if row.anonymized_at
            else services.build_example(row, form.purpose, form.language_code),
            "frame_url": reverse("admin:mollie_onboarding_clientlink_mail_html", args=[row.pk]),
            "may_send": modeladmin.has_send_permission(request),
            "own_address": own_address(request),
        }
        return TemplateResponse(request, "admin/mollie_onboarding/mail_preview.html", context)

    def frame(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        row = self.find(request, object_id)
        form = PreviewForm(request.GET, row)
        [(content, _mimetype)] = services.build_example(row, form.purpose, form.language_code).alternatives
        response = HttpResponse(str(content))
        response.headers["Content-Security-Policy"] = content_security_policy()
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response


def address_of_preview(row: ClientLink) -> str:
    return reverse("admin:mollie_onboarding_clientlink_mail", args=[row.pk])


def content_security_policy() -> str:
    """A mail with its own styles and the platform's logo; nothing else is loaded, run or sent."""
    logo = urlsplit(logo_url())
    images = f"{logo.scheme}://{logo.netloc}" if logo.netloc else "'none'"
    return (
        "default-src 'none'; style-src 'unsafe-inline'; "
        f"img-src {images}; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"
    )


def reason_not_to_preview(row: ClientLink, purpose: Purpose) -> Any:
    """Why this merchant would not get this mail now; '' when they would."""
    if purpose in REMINDERS:
        return reason_not_to_remind(row)
    if row.anonymized_at or purpose != Purpose.CONNECTED:
        return reason_not_to_send(row)
    return ""


def own_address(request: HttpRequest) -> str:
    """The operator's e-mail address, '' where the account has none."""
    user: Any = request.user
    return str(getattr(user, user.get_email_field_name(), "") or "")


def send_test(request: HttpRequest, row: ClientLink, purpose: Purpose, language: str) -> None:
    """A test of one mail to the operator who asks for it, with a message of what became of it."""
    user, address = request.user, own_address(request)
    if row.anonymized_at:
        messages.error(request, str(reason_not_to_send(row)))
    elif not address:
        messages.error(request, _("Your account has no e-mail address, so no test was sent."))
    elif seconds := seconds_to_wait(f"test mail {user.pk}", TEST_LIMIT):
        minutes = -(-seconds // 60)
        text = ngettext(
            "You have sent many tests. You can send the next one in %d minute.",
            "You have sent many tests. You can send the next one in %d minutes.",
            minutes,
        )
        messages.error(request, text % minutes)
    elif services.send_test_mail(row, purpose, language=language, to=address):
        _log_test(user, row)
        messages.success(request, _("A test of the mail was sent to %(address)s.") % {"address": address})
    else:
        messages.error(request, _("The mail server did not take the test. Nothing was sent."))


def _log_test(user: Any, row: ClientLink) -> None:
    """In the admin's log. By its id: the merchant's name is to be gone once the row is anonymized.

    And not in the row's own history, by which it is known for how long nothing has happened with a merchant.
    """
    LogEntry.objects.create(
        user_id=user.pk,
        content_type_id=get_content_type_for_model(row).pk,
        object_id=str(row.pk),
        object_repr=str(row.pk),
        action_flag=CHANGE,
        change_message=gettext("A test of the mail was sent."),
    )


@admin.action(description=_("Send me a test of the mail"), permissions=["send"])
def send_me_a_test(modeladmin: ClientLinkAdmin, request: HttpRequest, queryset: QuerySet[ClientLink]) -> None:
    """The mail that one merchant would get next, to the operator."""
    rows = list(queryset[:2])
    if len(rows) == 1:
        send_test(request, rows[0], services.purpose_of(rows[0]), services.language_of(rows[0]))
    else:
        messages.error(request, _("Choose one merchant: a test shows the mail of one."))
