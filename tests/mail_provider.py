"""A platform with django-anymail: a mail backend that keeps what it is given, and Postmark's webhook."""

from __future__ import annotations

import uuid
from typing import Any

from anymail.backends import test as anymail_test
from django.urls import include, path

from tests.urls import urlpatterns as our_urlpatterns

urlpatterns = [*our_urlpatterns, path("anymail/", include("anymail.urls"))]


class EmailBackend(anymail_test.EmailBackend):
    """Anymail's own for tests, with ids as providers give them."""

    def get_esp_message_id(self, message: Any) -> str:
        return str(uuid.uuid4())


class TakesNoMetadata(EmailBackend):
    """As MailerSend and Postal."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(payload_class=PayloadWithoutMetadata, **kwargs)


class PayloadWithoutMetadata(anymail_test.TestPayload):
    def set_metadata(self, metadata: Any) -> None:
        self.unsupported_feature("metadata")
