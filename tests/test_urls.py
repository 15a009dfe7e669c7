"""Addresses that people reach from mails, from Mollie, or by typing."""

from __future__ import annotations

from importlib import reload

import pytest
from django.test import override_settings
from django.urls import resolve, reverse

from mollie_onboarding import urls

PAGES = (("signup", []), ("callback", []), ("client_link", ["token"]))


@pytest.mark.parametrize(("name", "arguments"), PAGES)
def test_page_is_found_without_its_slash_too(name, arguments):
    path = reverse(f"mollie_onboarding:{name}", args=arguments)

    assert path.endswith("/"), "what we mail and register keeps its slash"
    with_slash, without = resolve(path), resolve(path.rstrip("/"))
    assert (without.func, without.kwargs, without.view_name) == (
        with_slash.func,
        with_slash.kwargs,
        with_slash.view_name,
    )


@pytest.mark.django_db
@pytest.mark.parametrize("append_slash", [True, False])
def test_form_keeps_working_without_the_slash(client, append_slash):
    """With APPEND_SLASH on, a redirect would lose what was posted."""
    with override_settings(APPEND_SLASH=append_slash):
        answer = client.post(reverse("mollie_onboarding:signup").rstrip("/"))

    assert answer.status_code == 200
    assert b'data-status="error"' in answer.content


def test_urls_may_be_loaded_once_more():
    """Tests of a platform do, to change what is mounted where. Django warns of a converter that is registered twice."""
    before = urls.urlpatterns

    after = reload(urls).urlpatterns

    assert after is not before
    assert [str(pattern.pattern) for pattern in after] == [str(pattern.pattern) for pattern in before]
