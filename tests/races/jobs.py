"""What somebody does at the platform during a race, by name: each job in one thread of one process.

What a job takes and gives goes through a pipe, so it is plain data.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.core.cache import cache
from django.db import connections

from mollie_onboarding import services, tasks
from mollie_onboarding.models import Batch, ClientLink, Organization
from mollie_onboarding.state import cookie_name
from tests.conftest import Browser, authorization_url, page_status

LONGEST_FINISHING = 60.0  # seconds until a page that says "finishing" must say something else
RELOAD_AFTER = 0.2  # seconds


# Merchants in their browsers.


def press(path: str, *, secret: str = "", **fields: str) -> dict[str, Any]:
    """Press a button of the merchant page. What is seen, and where it leads."""
    browser = _browser(secret)
    return _seen(browser, browser.post(path, fields))


def sign_up(address: str, **fields: str) -> dict[str, Any]:
    """Send the sign-up form from a network address."""
    browser = _browser("", REMOTE_ADDR=address)
    return _seen(browser, browser.post("/onboarding/signup/", fields))


def come_back(url: str, *, secret: str) -> dict[str, Any]:
    """Follow Mollie's redirect, and look until the page is no longer "finishing"."""
    browser = _browser(secret)
    response = browser.come_back(url)
    first = response.status_code
    path = url
    pages: list[str] = []
    give_up_at = time.monotonic() + LONGEST_FINISHING
    while time.monotonic() < give_up_at:
        if response.status_code == 303:  # a page that changed while it was made leads to itself once more
            path = response["Location"]
        else:
            pages.append(page_status(response))
            if pages[-1] != "finishing":
                break
            time.sleep(RELOAD_AFTER)
        response = browser.get(path)
    return {"first": first, "pages": pages, "last": response.status_code}


def _browser(secret: str, **kwargs: Any) -> Browser:
    browser = Browser(**kwargs)
    if secret:
        browser.cookies[cookie_name()] = secret
    return browser


def _seen(browser: Browser, response: Any) -> dict[str, Any]:
    seen = {"status": response.status_code, "page": "", "leads_to": "", "secret": ""}
    if response.status_code == 303:
        return seen | {"leads_to": response["Location"]}
    seen["page"] = page_status(response)
    if response.status_code == 200 and seen["page"] == "started":
        seen |= {"leads_to": authorization_url(response), "secret": browser.cookies[cookie_name()].value}
    return seen


# Operators and the platform's own code.


def cancel(pk: str) -> bool:
    return services.cancel_client_link(ClientLink.objects.get(pk=pk))


def correct(pk: str, **columns: str) -> list[str]:
    row = ClientLink.objects.get(pk=pk)
    for name, value in columns.items():
        setattr(row, name, value)
    return row.revise()


def delete(pk: str) -> bool:
    return services.delete_client_link(ClientLink.objects.get(pk=pk))


def disconnect(organization_id: str) -> bool:
    return services.disconnect(Organization.objects.get(organization_id=organization_id))


def get_access_token(organization_id: str) -> str:
    return services.get_access_token(organization_id)


def start_batch(pk: str) -> bool:
    return services.start_batch(Batch.objects.get(pk=pk))


# Workers and cron jobs.


def send(pk: str) -> bool | None:
    return services.send_onboarding_link(uuid.UUID(pk))


def run_task(pk: str) -> None:
    tasks.send_onboarding_link.enqueue(pk)


def drain() -> tuple[int, int]:
    return services.send_queued()


def purge() -> int:
    return services.purge_onboarding_data().deleted


# Between the tests.


def rest() -> None:
    """Hold no connection, which another test may want, and remember nothing."""
    connections.close_all()
    cache.clear()
