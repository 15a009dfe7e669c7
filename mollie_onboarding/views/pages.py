"""What all merchant pages have in common: their headers, their protection, and how they answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import partial, wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import translation
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from mollie_onboarding.conf import conf
from mollie_onboarding.languages import chosen_language, language_of_page, language_query, offer_languages
from mollie_onboarding.models import ClientLink
from mollie_onboarding.services import StartedAuthorization
from mollie_onboarding.state import cookie_name, set_browser_cookie
from mollie_onboarding.summary import checklist

from .theme import theme_url

View = Callable[..., HttpResponse]

HEADERS = {
    "Cache-Control": "no-store",
    # Not no-referrer: browsers then send `Origin: null`, and Django refuses our own form.
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
    "X-Frame-Options": "DENY",
}
# Where a request holds its cookies and its query. RAW_URI is gunicorn's, REQUEST_URI uWSGI's and mod_wsgi's; and the form
# on a refused callback's page has the callback as its referrer.
SECRET_META = {"HTTP_COOKIE", "QUERY_STRING", "HTTP_REFERER", "RAW_URI", "REQUEST_URI"}
HIDDEN = "***"  # in a path, which WSGI has in ISO 8859-1
TRY_AGAIN_AFTER = 30  # seconds, where Mollie names no time

# Browsers inside of apps: they keep their cookies for themselves, and lose them. On iOS they do not call themselves Safari.
IN_APP_BROWSER = re.compile(
    r"FBA[NV]/|Instagram|\bLine/|MicroMessenger|LinkedInApp|Twitter|Snapchat|Pinterest|TikTok|BytedanceWebview|musical_ly"
    r"|\bGSA/|; wv\)|\((?:iPhone|iPad|iPod)(?!.*Safari/)"
)


def merchant_view(*methods: str) -> Callable[[View], View]:
    """Make a public page of a view: no login, no transaction around it, CSRF protection of our own, our headers.

    Calls to Mollie commit before and after themselves, so a view must not lie in a transaction (ATOMIC_REQUESTS). Other
    methods than `methods` get a 405; a view without any answers all.
    """
    return partial(_merchant_view, methods=methods)


def _merchant_view(view: View, methods: Collection[str]) -> View:
    @sensitive_post_parameters()
    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        _read_as_utf8(request)
        try:
            if methods and request.method not in methods:
                # Not by `require_http_methods`: it logs the path.
                response: HttpResponse = HttpResponseNotAllowed(methods)
            else:
                with translation.override(language_of_page(request)):
                    response = _protect(view, request, *args, **kwargs)
                    response.headers["Content-Language"] = translation.get_language() or ""
        except Exception:  # whatever it is: it goes on, to be reported
            _hide_secrets(request)
            raise
        if response.status_code >= 400:
            _hide_link(request)  # Django logs the path
        if response.status_code >= 500:
            # Mollie's fault, told by `observe` already. Django would mail a report to ADMINS; this is how it marks what
            # is told.
            response._has_been_logged = True  # type: ignore[attr-defined]
            _hide_secrets(request)
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    # The site's middleware would refuse with the site's bare 403 page, which leaves a merchant stuck. It is told to
    # leave this view alone, because `_protect` makes the very same check with the very same code.
    page.csrf_exempt = True  # type: ignore[attr-defined]  # as Django reads it
    transaction.non_atomic_requests(page)
    return login_not_required(page)


def _read_as_utf8(request: HttpRequest) -> None:
    """Leave it to nobody else in which encoding our forms and addresses are read: a browser sends them as we wrote them.

    In some that Python knows (utf-7, unicode_escape) half a character can be written, which no page or database takes.
    """
    # Only then: what somebody has read before is forgotten, and a body that was streamed cannot be read again.
    if request.encoding and request.encoding.lower() not in ("utf-8", "utf8"):
        request.encoding = "utf-8"


def _hide_secrets(request: HttpRequest) -> None:
    """Take out of a request that failed what a report shows of it: state, code, the browser's secret, the merchant's link.

    Django's reports hide passwords and local variables that are marked, but not the query and other cookies than the
    session's.
    """
    token = _token_of(request)
    # As they stand in an address: whoever wrote this one may have put anything there, and a letter is in all else.
    secrets = [f"/{token}"] if token else []
    secrets += [f"={value}" for name in ("state", "code") if (value := request.GET.get(name))]
    _hide_link(request)
    request.COOKIES.pop(cookie_name(), None)
    request.GET = QueryDict()
    for name, value in request.META.items():
        # Web servers and proxies repeat addresses under many names.
        if name in SECRET_META or (isinstance(value, str) and any(secret in value for secret in secrets)):
            request.META[name] = ""


def _hide_link(request: HttpRequest) -> None:
    """Take the merchant's link out of the path, which Django logs, and of which it makes the subject of mails to ADMINS."""
    token = _token_of(request)
    request.path = _without(token, request.path)
    request.path_info = _without(token, request.path_info)
    request.META["PATH_INFO"] = _without(token, request.META.get("PATH_INFO", ""))


def _token_of(request: HttpRequest) -> str:
    """The token of the merchant's link in the address; '' at other addresses."""
    return str(request.resolver_match.kwargs.get("token", "")) if request.resolver_match else ""


def _without(token: str, path: str) -> str:
    if not token or token not in path:
        return path
    head, _, tail = path.rpartition(token)
    return f"{head}{HIDDEN}{tail}"


@sensitive_variables("path")
def _protect(view: View, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Run Django's CSRF middleware around the view, and answer a refusal with a page that shows the way on."""
    middleware = CsrfViewMiddleware(lambda request: HttpResponse())
    middleware.process_request(request)
    path, request.path = request.path, _without(_token_of(request), request.path)  # it logs what it refuses
    refusal = middleware.process_view(request, view, args, kwargs)
    request.path = path
    if refusal is not None:
        return show(request, "cookies", {}, status=403)
    response = middleware.process_response(request, view(request, *args, **kwargs))
    assert isinstance(response, HttpResponse)  # noqa: S101 (for mypy)
    return response


def show(request: HttpRequest, name: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """The page `mollie_onboarding/<name>.html`, in the language that is active."""
    # Not an address that only takes a form, or Mollie's answer.
    match = request.resolver_match
    may_open_again = match is not None and match.url_name in ("signup", "client_link")
    context = {
        "platform_name": conf.MOLLIE_ONBOARDING_PLATFORM_NAME,
        "home_url": conf.home_url(),
        "contact_url": conf.MOLLIE_ONBOARDING_CONTACT_URL,
        "privacy_url": conf.MOLLIE_ONBOARDING_PRIVACY_URL,
        "logo_url": _static_url(conf.MOLLIE_ONBOARDING_PLATFORM_LOGO),
        "stylesheets": [*map(_static_url, conf.MOLLIE_ONBOARDING_STYLESHEETS)],
        "theme_url": theme_url(),
        "checklist": checklist("", ""),
        "languages": offer_languages(request) if may_open_again else [],
        "language_query": language_query(chosen_language(request)),
        "may_open_again": may_open_again,
        "in_app_browser": IN_APP_BROWSER.search(request.headers.get("User-Agent", "")) is not None,
        **context,
    }
    return render(request, f"mollie_onboarding/{name}.html", context, status=status)


def show_recovery(request: HttpRequest, cause: str, status: int = 200, **context: Any) -> HttpResponse:
    """The page for somebody who cannot go on here: why, in the words of the cause, and a way on."""
    return show(request, "recovery", {"cause": cause, **context}, status=status)


def _static_url(path: str) -> str:
    """The address of a static file; what is an address already stays as it is."""
    return static(path) if path and not path.startswith(("/", "https://", "http://")) else path


@sensitive_variables()
def leave(request: HttpRequest, client_link: ClientLink, started: StartedAuthorization) -> HttpResponse:
    """The page that moves on to Mollie by itself, and binds this browser.

    A 303 to another host would be blocked by a `form-action 'self'` policy in Chromium; a page of zero seconds is not,
    and leaves no trap for the back button.
    """
    response = show(
        request, "leaving", {"client_link": client_link, "authorization_url": started.authorization_url}
    )
    set_browser_cookie(response, started.browser_secret)
    return response


def see_other(path: str) -> HttpResponse:
    """A 303: the browser asks with GET, and a reload repeats nothing."""
    response = HttpResponseRedirect(path)
    response.status_code = 303
    return response


def arrives_without_strict_cookies(request: HttpRequest) -> bool:
    """Whether a cross-site arrival withheld cookies that are there: with `SameSite=Strict` a browser does that.

    A page that then wrote a session or a CSRF token would overwrite the merchant's own. `Sec-Fetch-Site` tells; the
    answer is `settle`, after which the browser sends everything.
    """
    if request.headers.get("Sec-Fetch-Site") != "cross-site":
        return False
    cookies = (
        (settings.SESSION_COOKIE_SAMESITE, settings.SESSION_COOKIE_NAME),
        (settings.CSRF_COOKIE_SAMESITE, settings.CSRF_COOKIE_NAME),
    )
    return any(samesite == "Strict" and name not in request.COOKIES for samesite, name in cookies)


def settle(request: HttpRequest, path: str = "") -> HttpResponse:
    """A page that goes at once to a path of ours, or to itself again: from here on the request is same-site."""
    return show(request, "settling", {"path": path or request.get_full_path()})
