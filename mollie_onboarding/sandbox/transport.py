"""Calling the sandbox in-process: no socket, no middleware, no URLconf of the host site."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import get_resolver

from .addresses import URLCONF
from .server import ConnectionDropped, DroppedResponse


def send(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", mounted_at: str = "/"
) -> HttpResponse:
    """Answer one call, as a server behind `url` would; `mounted_at` is the part of its path that is not Mollie's.

    Raises `ConnectionDropped` where a caller over a socket would see the connection close, `Http404` for an unknown
    path and where the sandbox is not allowed.
    """
    parts = urlsplit(url)
    request = RequestFactory().generic(
        method,
        f"{parts.path}?{parts.query}",
        body,
        secure=parts.scheme == "https",
        headers={**_without_length(headers), "Host": parts.netloc},
    )
    request.get_host = lambda: parts.netloc  # type: ignore[method-assign]  # ALLOWED_HOSTS are the site's own names
    match = get_resolver(URLCONF).resolve("/" + parts.path.removeprefix(mounted_at))
    request.resolver_match = match
    response: HttpResponse = match.func(request, *match.args, **match.kwargs)
    if isinstance(response, DroppedResponse):
        raise ConnectionDropped
    return response


def _without_length(headers: Mapping[str, str]) -> dict[str, str]:
    """`RequestFactory` measures the body itself."""
    return {name: value for name, value in headers.items() if name.lower() != "content-length"}
