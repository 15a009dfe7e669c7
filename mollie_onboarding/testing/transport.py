"""Mollie's sandbox in place of the network, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import requests
from django.http import Http404
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

from mollie_onboarding.conf import conf
from mollie_onboarding.sandbox.server import ConnectionDropped
from mollie_onboarding.sandbox.transport import send


def _answer(self: HTTPAdapter, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
    """What the sandbox says to a request; a dropped connection is the ConnectionError that a socket would give."""
    url = str(request.url)
    if _origin_of(url) != _origin_of(conf.MOLLIE_ONBOARDING_API_URL):
        raise requests.ConnectionError("Only Mollie can be reached in this test.", request=request)
    headers = {name: str(value) for name, value in request.headers.items()}
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    try:
        mounted_at = urlsplit(conf.MOLLIE_ONBOARDING_API_URL).path.rstrip("/") + "/"
        response = send(str(request.method), url, headers=headers, body=bytes(body), mounted_at=mounted_at)
    except ConnectionDropped:
        raise requests.ConnectionError("The connection was dropped.", request=request) from None
    except Http404:
        raise requests.ConnectionError("The sandbox has no such address.", request=request) from None
    raw = HTTPResponse(
        body=BytesIO(response.content),
        headers=dict(response.items()),
        status=response.status_code,
        preload_content=False,
    )
    return self.build_response(request, raw)


def _origin_of(url: str) -> tuple[str, str]:
    """Scheme and host: an address that begins like Mollie's may go on as somebody else's."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


@contextmanager
def sandbox_mollie() -> Iterator[None]:
    """Answer every call to Mollie from the sandbox, in every thread of this process. Nothing is retried on the way.

    It takes the place of `requests`' adapter, so it holds back no other HTTP library.
    """
    with mock.patch.object(HTTPAdapter, "send", _answer):
        yield
