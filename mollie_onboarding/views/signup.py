"""The public sign-up page."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.signing import BadSignature, SignatureExpired
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from mollie_onboarding import services
from mollie_onboarding.conf import conf
from mollie_onboarding.forms import SignupForm, preset_country
from mollie_onboarding.links import SEPARATOR, is_safe_return_url, read_reference
from mollie_onboarding.models import BODY_COLUMNS, ClientLink, Status
from mollie_onboarding.mollie_api import column_of
from mollie_onboarding.state import new_secret
from mollie_onboarding.summary import checklist
from mollie_onboarding.throttle import client_address, seconds_to_wait

from .client_link import go_to_mollie
from .pages import arrives_without_strict_cookies, merchant_view, see_other, settle, show, show_recovery


@merchant_view("GET", "HEAD", "POST")
def signup(request: HttpRequest) -> HttpResponse:
    """The form, and on POST the merchant's row and the way to Mollie.

    `?for=` takes a value of `mollie_onboarding.links.sign_reference`, by which the platform names its merchant, and
    `?next=` an allowed address where the merchant goes on once connected. The form posts to its own address, so both stay.
    """
    if not conf.MOLLIE_ONBOARDING_SIGNUP_ENABLED:
        raise Http404
    if request.method != "POST" and arrives_without_strict_cookies(request):
        return settle(request)
    if conf.MOLLIE_ONBOARDING_SIGNUP_LOGIN_REQUIRED and not _user(request):
        return redirect_to_login(request.get_full_path())
    try:
        reference = read_reference(request.GET["for"]) if "for" in request.GET else ""
    except SignatureExpired:
        # A form that was sent cannot be taken either. Opened from the platform again in the same tab, it has what was
        # typed, where there is a script (see `_form_key`).
        return show_recovery(request, "old_address", status=400, return_url=conf.MOLLIE_ONBOARDING_RETURN_URL)
    except BadSignature:
        return show_recovery(request, "unknown_link", status=400)
    if request.method != "POST":
        return _show_form(request, _empty_form(request, reference))
    if "choose_country" in request.POST:
        return _show_form(request, _unsent_form(request))
    return _submit(request, reference)


def _form_class() -> type[SignupForm]:
    form_class: type[SignupForm] = import_string(conf.MOLLIE_ONBOARDING_SIGNUP_FORM)
    return form_class


def _empty_form(request: HttpRequest, reference: str) -> SignupForm:
    form_class = _form_class()
    initial = {**form_class.initial_for(request, reference), "nonce": new_secret()}
    accepted = request.headers.get("Accept-Language", "")
    given = request.GET.get("country") or initial.get("country") or ""
    initial["country"] = preset_country(str(given), accepted)  # django-countries' fields give a `Country`
    return form_class(initial=initial)


def _unsent_form(request: HttpRequest) -> SignupForm:
    """The form with what was typed, and without errors. Not with files, which browsers send but never take back."""
    form_class = _form_class()
    form = form_class(request.POST)
    initial = {}
    for name, field in form.fields.items():
        place = (request.POST, request.FILES, form.add_prefix(name))
        if not (field.widget.needs_multipart_form or field.widget.value_omitted_from_data(*place)):
            initial[name] = field.widget.value_from_datadict(*place)
    return form_class(initial=initial)


def _form_key(request: HttpRequest) -> str:
    """Under what the script remembers what was typed: another one for each user, and for each merchant of theirs."""
    user = _user(request)
    # Without the time and the signature: the form that is opened once more, with a new value, has what was typed.
    reference = request.GET.get("for", "").partition(SEPARATOR)[0]
    subject = f"{user.pk if user else ''} {reference}"
    return salted_hmac("mollie_onboarding.form", subject, algorithm="sha256").hexdigest()[:16]


def _return_url(request: HttpRequest) -> str:
    """Where the address says that the merchant goes on; '' where it says nothing, several things, or nothing allowed."""
    urls = request.GET.getlist("next")
    return urls[0] if len(urls) == 1 and is_safe_return_url(urls[0]) else ""


def _user(request: HttpRequest) -> Any:
    user = getattr(request, "user", None)
    return user if user is not None and user.is_authenticated else None


def _show_form(request: HttpRequest, form: SignupForm, *, retry_after: int = 0) -> HttpResponse:
    status = 429 if retry_after else 200
    context = {
        "form": form,
        "is_new": request.method != "POST",
        "form_key": _form_key(request),
        "minutes": -(-retry_after // 60),
        "checklist": checklist(form.country, form.legal_entity),
    }
    response = show(request, "signup", context, status=status)
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _submit(request: HttpRequest, reference: str) -> HttpResponse:
    limit = conf.MOLLIE_ONBOARDING_SIGNUP_LIMIT
    if wait := seconds_to_wait(f"address {client_address(request)}", limit):
        return _show_form(request, _unsent_form(request), retry_after=wait)
    form = _form_class()(request.POST, request.FILES)
    if not form.is_valid():
        return _show_form(request, form)
    if wait := seconds_to_wait(f"owner {form.instance.owner_email.casefold()}", limit):
        return _show_form(request, _unsent_form(request), retry_after=wait)
    row = services.store_submission(
        # These columns and no other, whatever fields the platform's form has.
        ClientLink(**{column: getattr(form.instance, column) for column in BODY_COLUMNS}),
        nonce=form.cleaned_data.get("nonce", ""),
        reference=reference,
        user=_user(request),
        return_url=_return_url(request),
        store_extra=form.store_extra,
    )
    if row.has_expired_link(timezone.now()):  # an old form's: the merchant's page says it
        return see_other(row.merchant_path())
    try:
        response = go_to_mollie(request, row, services.Flow.CLIENT_LINK)
    except ClientLink.DoesNotExist:  # an operator was quicker: the merchant's page says what they did
        return see_other(row.merchant_path())
    rows = ClientLink.objects.filter(pk=row.pk, link_generation=row.link_generation)
    refused = rows.filter(status=Status.REJECTED).first()
    if refused:
        form.add_refusal(column_of(refused.error_field), refused.error_detail)
        return _show_form(request, form)
    return response
