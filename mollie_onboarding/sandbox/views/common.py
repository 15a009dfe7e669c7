"""What every page and every endpoint of the sandbox has in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from mollie_onboarding.sandbox.conf import conf

View = Callable[..., HttpResponse]


def sandbox_view(view: View) -> View:
    """Play a foreign site: no login of the host site, no transaction of its database, nothing without DEBUG."""

    @login_not_required
    @transaction.non_atomic_requests
    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not conf.is_allowed:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded
