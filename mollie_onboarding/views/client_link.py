"""The merchant page, behind our own link. GET shows what is true and changes nothing; the button is a POST."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.views.decorators.debug import sensitive_variables
from django_countries import countries

from mollie_onboarding import links, services
from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import (
    ClientLinkUnusableError,
    CreationInProgressError,
    DecryptionError,
    MollieConnectionError,
    MollieResponseError,
    NotConnectedError,
)
from mollie_onboarding.languages import chosen_language, language_of_page, language_query, offer_languages
from mollie_onboarding.links import read_link
from mollie_onboarding.models import CHECK_INTERVAL, AuthorizationRequest, ClientLink, Organization
from mollie_onboarding.mollie_api import column_of
from mollie_onboarding.observing import observe
from mollie_onboarding.state import browser_secret_of
from mollie_onboarding.summary import OnboardingSummary, checklist, find_standing, summarize

from .pages import (
    TRY_AGAIN_AFTER,
    arrives_without_strict_cookies,
    leave,
    merchant_view,
    see_other,
    settle,
    show,
    show_recovery,
)

logger = logging.getLogger(__name__)

Onboarding = Organization.OnboardingStatus


@merchant_view("GET", "HEAD", "POST")
@sensitive_variables()
def client_link(request: HttpRequest, token: str) -> HttpResponse:
    """Show where the merchant stands, and on POST take the next step.

    POST takes `action`: `start` (the default), `authorize` (an organization exists already), `replace` (the link is
    dead at Mollie), `mail` (a new mail to the stored address) or `check` (ask Mollie how far it is).
    """
    try:
        pk, generation = read_link(token)
    except BadSignature:
        return show_recovery(request, "unknown_link", status=404)
    row = ClientLink.objects.select_related("organization").filter(pk=pk).first()
    if row is None:
        return show_recovery(request, "unknown_link", status=404)
    if row.is_cancelled:
        return show_recovery(request, "cancelled", status=410)
    if request.method != "POST" and arrives_without_strict_cookies(request):
        return settle(request)
    if request.method == "POST" and generation == row.link_generation and row.opened_at is None:
        # A person: mail scanners only fetch pages. Not by an older link, which may be in a stranger's hands.
        ClientLink.objects.note_opening(row.pk, timezone.now())
    if request.method == "POST" and request.POST.get("action") == "mail":
        services.request_sending_by_merchant(row)
        return show_recovery(request, "mailed")
    if generation != row.link_generation or row.has_expired_link(timezone.now()):
        # An older link tells its holder nothing of the row: it may have gone to a wrong address.
        can_mail = generation != row.link_generation or not services.reason_not_to_send(row)
        return show(request, "expired", {"can_mail": can_mail}, status=410)
    translation.activate(language_of_page(request, row.owner_locale))
    try:
        if request.method == "POST":
            return _take_next_step(request, row)
        return show_merchant_page(request, row)
    except (ClientLink.DoesNotExist, AuthorizationRequest.DoesNotExist):
        # Deleted, cancelled, or the address corrected, since the row was read. Opened again, the page says which.
        return see_other(_path_of(request, row))


@sensitive_variables()
def show_merchant_page(
    request: HttpRequest, row: ClientLink, *, notice: str = "", status: int = 200
) -> HttpResponse:
    """The page in the row's present state. `notice` is why the last press of the button did not lead to Mollie.

    Raises `ClientLink.DoesNotExist` where the link is an older one since the row was read.
    """
    row, answered = _find_standing(row)
    summary = summarize(row, answered)
    now = timezone.now()
    path = _path_of(request, row)
    is_at_home = request.path == row.merchant_path()
    context: dict[str, Any] = {
        # At the sign-up form's address, which could not lead to Mollie, another language is to show this page.
        "languages": offer_languages(request, "" if is_at_home else row.merchant_path()),
        "client_link": row,
        "organization": row.organization,
        "status": summary.status,
        "summary": summary,
        "answered": answered,
        "is_interrupted": answered is not None and answered.is_interrupted(now),
        "may_check": row.organization is not None and row.organization.may_be_checked(now),
        "is_preparing": summary.status in ("ready", "started"),
        "may_go_on": _may_go_on(summary, row.organization),
        "refused_field": _label_of(column_of(row.error_field)),
        "country_name": countries.name(row.country),
        "checklist": checklist(row.country, row.legal_entity),
        "needs_login": not _may_connect(request, row),
        "login_url": redirect_to_login(path).url,
        "return_url": links.safe_return_url(row.return_url),
        "notice": notice,
        "action_path": path,
    }
    response = show(request, "client_link", context, status=status)
    if status == 503:
        response.headers["Retry-After"] = str(TRY_AGAIN_AFTER)
    return response


def _may_go_on(summary: OnboardingSummary, organization: Organization | None) -> bool:
    """Whether there is nothing left that the merchant could do at Mollie now."""
    is_waiting = organization is not None and organization.onboarding_status == Onboarding.IN_REVIEW
    return (summary.is_done or is_waiting) and not summary.needs_new_consent


def _label_of(column: str) -> str:
    """What a column is called on our pages; '' for none."""
    labels = {field.name: field.verbose_name for field in ClientLink._meta.concrete_fields}
    return str(labels.get(column, ""))


def _path_of(request: HttpRequest, row: ClientLink) -> str:
    """The merchant page, in the language that was chosen."""
    return row.merchant_path() + language_query(chosen_language(request))


def _may_connect(request: HttpRequest, row: ClientLink) -> bool:
    """Whether the button works here: for a row with a user only for that user, where the platform wants it so."""
    if not (conf.MOLLIE_ONBOARDING_REQUIRE_LOGIN and row.user_id):
        return True
    user = getattr(request, "user", None)
    return bool(user is not None and user.pk == row.user_id)


def _take_next_step(request: HttpRequest, row: ClientLink) -> HttpResponse:
    if not _may_connect(request, row):
        return show_merchant_page(request, row, status=403)
    action = request.POST.get("action", "start")
    if action == "check":
        return _check(request, row)
    row, answered = _find_standing(row)
    now = timezone.now()
    if answered and answered.is_interrupted(now):
        completion = services.resume_authorization(answered)
        answered.refresh_from_db()
        if completion.outcome or answered.is_in_progress(timezone.now()):
            return see_other(_path_of(request, row))
        # It cannot be finished now, so the button does what it does otherwise: a new consent can. The tokens are kept.
        row = _reload(row)
    elif answered and answered.is_in_progress(now):
        return see_other(_path_of(request, row))
    if action == "replace" and services.replace_client_link(row):
        row = _reload(row)
    return go_to_mollie(
        request, row, services.Flow.AUTHORIZE if action == "authorize" else services.Flow.CLIENT_LINK
    )


def _check(request: HttpRequest, row: ClientLink) -> HttpResponse:
    """Read the status at Mollie and show it. Where it was read less than a minute ago, the page says so instead."""
    try:
        if row.is_connected and row.organization:
            services.check_onboarding_status(row.organization)
    except NotConnectedError:
        pass  # the page says it
    except MollieConnectionError:
        response = show_merchant_page(request, _reload(row), notice="unreachable", status=503)
        response.headers["Retry-After"] = str(int(CHECK_INTERVAL.total_seconds()))
        return response
    except (MollieResponseError, DecryptionError, ImproperlyConfigured) as exc:
        # The platform's own fault, not the merchant's.
        observe(
            logger,
            logging.ERROR,
            "status_not_read",
            "Status of client link %(client_link)s not read: %(detail)s",
            client_link=row.pk,
            detail=exc,
        )
        return show_merchant_page(request, _reload(row), notice="unread", status=502)
    return see_other(_path_of(request, row))


@sensitive_variables("started")
def go_to_mollie(request: HttpRequest, row: ClientLink, flow: services.Flow) -> HttpResponse:
    """Send the merchant to Mollie, or say why not now. The row keeps everything, and the page keeps its button.

    Raises `ClientLink.DoesNotExist` where the row was deleted, or its link is an older one, since it was read.
    """
    try:
        started = services.start_authorization(
            row, browser_secret=browser_secret_of(request), flow=flow, language=chosen_language(request)
        )
    except CreationInProgressError:
        return show_merchant_page(request, _reload(row), notice="busy", status=503)
    except MollieConnectionError:
        return show_merchant_page(request, _reload(row), notice="unreachable", status=503)
    except MollieResponseError:
        return show_merchant_page(request, _reload(row), notice="refused", status=502)
    except ClientLinkUnusableError:
        return see_other(_path_of(request, row))
    return leave(request, row, started)


# A row that is read again must have the link that was asked for: a page for the holder of an older one would give the
# new one away. Both raise `ClientLink.DoesNotExist`.


def _reload(row: ClientLink) -> ClientLink:
    rows = ClientLink.objects.select_related("organization")
    return rows.get(pk=row.pk, link_generation=row.link_generation)


def _find_standing(row: ClientLink) -> tuple[ClientLink, AuthorizationRequest | None]:
    current, answered = find_standing(row)
    if current.link_generation != row.link_generation:
        raise ClientLink.DoesNotExist
    return current, answered
