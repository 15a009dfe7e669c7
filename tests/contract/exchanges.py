"""One call of Mollie's API as it went over the wire: ours, or one that a test makes by itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.http import HttpResponse

from mollie_onboarding.sandbox.transport import send

API = "https://api.mollie.com"


@dataclass(frozen=True)
class Exchange:
    """Header names are in lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path} → {self.status}"

    @property
    def content_type(self) -> str:
        return media_type(self.headers)

    @property
    def answer_type(self) -> str:
        return media_type(self.answer_headers)

    @property
    def caller(self) -> str:
        """Who calls: the partner with its own token, the app with its secret, else a merchant's token does."""
        credentials = self.headers.get("authorization", "")
        if credentials == partner():
            return "partner"
        return "app" if credentials.lower().startswith("basic ") else "merchant"

    def json(self) -> Any:
        return json.loads(self.answer)

    def answering(self, body: object) -> Exchange:
        """The same, had the answer been another."""
        return replace(self, answer=json.dumps(body).encode())

    def asking(self, body: object) -> Exchange:
        """The same, had the body been another."""
        return replace(self, body=json.dumps(body).encode())


class Recorder:
    """Stands where our requests enter the sandbox (`mollie_onboarding.testing.transport.send`), and keeps what passes."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", mounted_at: str = "/"
    ) -> HttpResponse:
        response = send(method, url, headers=headers, body=body, mounted_at=mounted_at)
        parts = urlsplit(url)
        self.exchanges.append(
            Exchange(
                method=method,
                path=parts.path,
                query=tuple(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))),
                headers={name.lower(): value for name, value in headers.items()},
                body=body,
                status=response.status_code,
                answer_headers={name.lower(): value for name, value in response.items()},
                answer=response.content,
            )
        )
        return response

    def call(self, method: str, path: str, *, body: object = None, **headers: str) -> Exchange:
        """Call by hand what our code does not call, or calls otherwise. Underscores of header names become hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent.setdefault("content-type", "application/json")
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self(method, API + path, headers=sent, body=content)
        return self.exchanges[-1]


def media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip()


def bearer(token: str) -> str:
    return f"Bearer {token}"


def partner() -> str:
    return bearer(settings.MOLLIE_SANDBOX_ACCESS_TOKEN)


def app(client_secret: str = "") -> str:
    credentials = (
        f"{settings.MOLLIE_SANDBOX_CLIENT_ID}:{client_secret or settings.MOLLIE_SANDBOX_CLIENT_SECRET}"
    )
    return "Basic " + base64.b64encode(credentials.encode()).decode()
