"""Addresses inside the sandbox, wherever the site has mounted it.

`reverse()` would need to know the site's URLconf and namespace. The sandbox is also called without either (in-process),
so it works out its own mount point from the request.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import get_resolver

URLCONF = f"{__package__}.urls"
DASHBOARD_HOSTS = {"api.mollie.com": "my.mollie.com"}  # a test may call us by Mollie's own name


def path_to(request: HttpRequest, name: str, **kwargs: str) -> str:
    """The path of a page of the sandbox, as seen from a request to another of its pages."""
    return _mount_point(request) + get_resolver(URLCONF).reverse(name, **kwargs)


def address_of(request: HttpRequest, name: str, **kwargs: str) -> str:
    """The same as an absolute address, on the host that was asked."""
    return request.build_absolute_uri(path_to(request, name, **kwargs))


def dashboard_address_of(request: HttpRequest, name: str, **kwargs: str) -> str:
    """The same on the host where people, not programs, meet Mollie."""
    host = request.get_host()
    return f"{request.scheme}://{DASHBOARD_HOSTS.get(host, host)}{path_to(request, name, **kwargs)}"


def _mount_point(request: HttpRequest) -> str:
    match = request.resolver_match
    assert match is not None  # noqa: S101 - views are only called through a URLconf
    own_path = get_resolver(URLCONF).reverse(match.url_name or "", *match.args, **match.kwargs)
    return request.path.removesuffix(own_path)
