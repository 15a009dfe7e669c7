"""The platform's colour, as a stylesheet: pages carry no inline style, which a content security policy would block."""

from __future__ import annotations

import hashlib

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from mollie_onboarding.colors import for_dark, on_color
from mollie_onboarding.conf import conf

CACHE_LIFETIME = 24 * 60 * 60  # seconds; a changed colour has another address, so this may be long


def theme_url() -> str:
    """The address of the stylesheet with the platform's colour, to be linked after our own; '' without a colour."""
    content = _content()
    if not content:
        return ""
    # The content's own digest: a colour that was changed is seen at once.
    version = hashlib.sha256(content.encode()).hexdigest()[:8]
    return f"{reverse('mollie_onboarding:theme')}?v={version}"


# It asks the database for nothing, so it needs no transaction there either (ATOMIC_REQUESTS).
@transaction.non_atomic_requests
@login_not_required
@require_safe
def theme(request: HttpRequest) -> HttpResponse:
    """The variables of `merchant.css` that the platform's colour changes. It reads no session and sets no cookie."""
    content = _content()
    if not content:
        raise Http404
    headers = {"Cache-Control": f"public, max-age={CACHE_LIFETIME}"}
    return HttpResponse(content, content_type="text/css; charset=utf-8", headers=headers)


def _content() -> str:
    accent = conf.MOLLIE_ONBOARDING_ACCENT_COLOR
    if not accent:
        return ""
    dark = _variables(for_dark(accent))
    return f"{_variables(accent)}@media (prefers-color-scheme: dark) {{ {dark.strip()} }}\n"


def _variables(accent: str) -> str:
    return f":root {{ --mollie-onboarding-accent: {accent}; --mollie-onboarding-on-accent: {on_color(accent)}; }}\n"
