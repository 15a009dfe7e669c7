"""What a strict site adds to the example: its policy, and static files under the prefix, as its web server would."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.contrib.staticfiles.views import serve
from django.http import HttpRequest, HttpResponse
from django.urls import path

from example_project.urls import urlpatterns as example

POLICY = "default-src 'self'; form-action 'self'; frame-ancestors 'none'"

urlpatterns = [*example, path("static/<path:path>", login_not_required(serve))]


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Set it where a page brings none of its own, as the middleware of Django 6.0 and of django-csp does."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # "Mollie" is another site, by another name of this machine, and has its own policy.
        if request.get_host().partition(":")[0] != "localhost":
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware
