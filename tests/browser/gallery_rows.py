"""Makes a merchant in every state that a page can show, and prints where each is. Run by itself, with the example's settings.

The browser tests must not touch the ORM, so this is a process of its own; it ends before the server starts. What a story
of the demo leads to is reached by that story; only what takes time, or a crash, or Mollie's whim is written into the row.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import django

LANGUAGES = ("en", "nl", "de", "fi")
# Of every merchant here, so that titles and pages differ by what they say and not by the name.
NAME = "Bakkerij de Gouden Korenaar"
LONG_NAME = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft mbH"
ALL_SCOPES_GONE = "organizations.read"
DAY = timedelta(days=1)


def main() -> None:
    rows = {name: make() for name, make in MAKERS.items()}
    # Where one visit uses a row up, each language has its own.
    for language in LANGUAGES:
        rows[f"unread-{language}"] = _live("needs-data")
        rows[f"unanswered-{language}"] = _live("needs-data")
    paths = {name: row.merchant_path() for name, row in rows.items()}
    paths["older-link"] = _path_of_an_older_link(rows["older-link"])
    paths["old-address"] = _address_of_last_year()
    paths["expired-state"], secret = _expired_callback(rows["expired-state"])
    invited = rows["ready"].owner_email
    print(json.dumps({"paths": paths, "secret": secret, "invited": invited}))  # noqa: T201 (what the tests read)


def _address_of_last_year() -> str:
    """A sign-up page whose signed reference is too old."""
    from unittest import mock

    from mollie_onboarding.links import sign_reference

    last_year = time.time() - 365 * DAY.total_seconds()
    with mock.patch("time.time", return_value=last_year):
        return f"/onboarding/signup/?{urlencode({'for': sign_reference('1')})}"


def _live(story: str, *, name: str = NAME, user: Any = None, **columns: Any) -> Any:
    """A merchant who has come as far as a story of the demo goes."""
    from example_project.shop.stories import live
    from mollie_onboarding.models import ClientLink

    row = ClientLink(
        organization_name=name, country="NL", street_and_number="Keizersgracht 126", postal_code="1015 CW",
        city="Amsterdam", owner_given_name="Jan", owner_family_name="Jansen", owner_locale="en_GB",
        owner_email=f"jan-{ClientLink.objects.count()}@korenaar.example", user=user,
    )  # fmt: skip
    row.full_clean()
    row.save()
    live(row, story, operator=None, age=timedelta(0))  # type: ignore[arg-type]
    _set(row, **columns)
    row.refresh_from_db()
    return row


def _set(row: Any, **columns: Any) -> None:
    if columns:
        type(row).objects.filter(pk=row.pk).update(**columns)


def _connected(story: str = "needs-data", *, columns: dict[str, Any] | None = None, **read: Any) -> Any:
    """A connected merchant of whom Mollie tells what `read` says."""
    row = _live(story, **(columns or {}))
    _set(row.organization, **read)
    return row


def _returned(**columns: Any) -> Any:
    """A merchant who came back from Mollie, and what became of that."""
    from mollie_onboarding.models import AuthorizationRequest

    row = _live("expired")
    AuthorizationRequest.objects.filter(client_link=row).update(answered_at=_now(), **columns)
    return row


def _with_tokens() -> Any:
    from mollie_onboarding.fields import Secret

    return Secret("{}")


def _requirements() -> list[dict[str, Any]]:
    """As Mollie lists them: one overdue, one that is due, one whenever it suits, one that we have no words for."""

    def requirement(name: str, *, due: timedelta | None = None, url: str = "", **more: Any) -> dict[str, Any]:
        return {"id": name, "due_at": (_now() + due).isoformat() if due else "", "url": url, **more}

    at_mollie = "https://my.mollie.com/dashboard/onboarding"
    return [
        {
            "name": "payments",
            "requirements": [
                requirement("needs-data", due=-3 * DAY, url=at_mollie, status="past-due"),
                requirement("process-first-payment"),
            ],
        },
        {
            "name": "settlements",
            "requirements": [
                requirement("stakeholder-identification-of-every-owner", due=14 * DAY, url=at_mollie)
            ],
        },
    ]


def _now() -> Any:
    from django.utils import timezone

    return timezone.now()


def _path_of_an_older_link(row: Any) -> str:
    path = str(row.merchant_path())
    _set(row, link_generation=row.link_generation + 1)
    return path


def _expired_callback(row: Any) -> tuple[str, str]:
    """A return that comes too late, and the secret of its browser."""
    from mollie_onboarding import services
    from mollie_onboarding.models import AuthorizationRequest

    started = services.start_authorization(row, browser_secret="")
    AuthorizationRequest.objects.filter(client_link=row).update(expires_at=_now() - DAY)
    [state] = parse_qs(urlsplit(started.authorization_url).query)["state"]
    return f"/onboarding/callback/?{urlencode({'state': state, 'code': 'late'})}", started.browser_secret


def _invited() -> Any:
    """Whom only their own login lets connect."""
    from django.contrib.auth.models import User

    return _live("ready", user=User.objects.get(username="merchant"))


MAKERS: dict[str, Callable[[], Any]] = {
    "ready": lambda: _live("ready"),
    "long-name": lambda: _live("ready", name=LONG_NAME),
    "started": lambda: _live("expired"),
    "declined": lambda: _live("declined"),
    "rejected": lambda: _live("rejected"),
    "taken": lambda: _live("taken"),
    "lost": lambda: _live("lost"),
    "disconnected": lambda: _live("disconnected"),
    "cancelled": lambda: _live("cancelled"),
    "finishing": lambda: _returned(claimed_until=_now() + 365 * DAY),
    "interrupted": lambda: _returned(claimed_until=_now() - DAY, tokens=_with_tokens()),
    "exchange-failed": lambda: _returned(outcome="exchange_failed"),
    "error": lambda: _returned(outcome="error", error="server_error"),
    "needs-data": lambda: _connected("needs-data"),
    "payments": lambda: _connected("needs-data", can_receive_payments=True),
    "in-review": lambda: _connected("in-review"),
    "completed": lambda: _connected("completed"),
    "long-name-connected": lambda: _live("needs-data", name=LONG_NAME),
    "requirements": lambda: _connected("in-review", capabilities=_requirements()),
    "done-but-asked": lambda: _connected("completed", capabilities=_requirements()),
    "new-consent": lambda: _connected("completed", scope=ALL_SCOPES_GONE),
    "stale": lambda: _connected("in-review", synced_at=_now() - 3 * DAY),
    "not-read": lambda: _connected("needs-data", synced_at=None, onboarding_status=""),
    "unknown-status": lambda: _connected("needs-data", onboarding_status="paused-by-a-new-rule"),
    "just-checked": lambda: _connected("needs-data"),
    "other-organization": lambda: _connected("completed", columns={"problem": "other_organization"}),
    "invited": _invited,
    "expired": lambda: _live("ready", link_expires_at=_now() - DAY),
    "expired-connected": lambda: _live("completed", link_expires_at=_now() - DAY),
    "older-link": lambda: _live("ready"),
    "expired-state": lambda: _live("ready"),
    "to-mollie": lambda: _live("ready"),
    "back-from-mollie": lambda: _live("ready"),
    "failing": lambda: _live("ready"),
    "busy": lambda: _live("draft", issuing_until=_now() + 365 * DAY),
    "unreachable": lambda: _live("draft"),
    "refused": lambda: _live("draft"),
}


if __name__ == "__main__":
    django.setup()
    main()
