"""The two shapes of "no": Mollie's error object, and the token endpoint's from RFC 6749."""

from __future__ import annotations

from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse, JsonResponse

HAL_JSON = "application/hal+json"
DOCUMENTATION = {"href": "https://docs.mollie.com/reference/handling-errors", "type": "text/html"}
TITLES = {401: "Unauthorized Request", 422: "Unprocessable Entity"}  # not always the reason phrase


class RefusalError(ABC, Exception):
    """The call is refused, with an answer that says why."""

    @abstractmethod
    def response(self) -> HttpResponse:
        """The answer."""


class MollieRefusalError(RefusalError):
    def __init__(self, status: int, detail: str, *, field: str = "") -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.field = field

    def response(self) -> HttpResponse:
        body: dict[str, Any] = {
            "status": self.status,
            "title": TITLES.get(self.status, HTTPStatus(self.status).phrase),
            "detail": self.detail,
        }
        if self.field:
            body["field"] = self.field
        body["_links"] = {"documentation": DOCUMENTATION}
        return JsonResponse(body, status=self.status, content_type=HAL_JSON)


class OAuthRefusalError(RefusalError):
    """RFC 6749 section 5.2."""

    def __init__(self, error: str, description: str, *, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status

    def response(self) -> HttpResponse:
        response = JsonResponse(
            {"error": self.error, "error_description": self.description}, status=self.status
        )
        if self.status == 401:
            response["WWW-Authenticate"] = 'Basic realm="Mollie sandbox"'
        return response
