"""How well connected organizations are, in words; what is wrong, and what mends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from django.db import DatabaseError
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.conf import conf
from mollie_onboarding.exceptions import MollieConnectionError, MollieResponseError, NotConnectedError
from mollie_onboarding.models import Organization, count_up_to
from mollie_onboarding.models.organizations import OrganizationQuerySet

from .confirming import Words
from .large_lists import MOST_COUNTED, bounded

Connection = Organization.ConnectionStatus


class HealthState(NamedTuple):
    """A state that organizations may be in; some in several at once."""

    key: str
    label: Promise
    query: str  # of the list that shows them
    among: Callable[[OrganizationQuerySet, datetime], OrganizationQuerySet]


def _with_status(key: str, label: Promise, status: Connection) -> HealthState:
    return HealthState(
        key,
        label,
        f"connection_status__exact={status}",
        lambda rows, now: rows.filter(connection_status=status),
    )


FLAWS = (
    HealthState("stale", _("Not read for a day"), "health=stale", lambda rows, now: rows.stale(now)),
    HealthState("missing", _("Not on Mollie's list"), "health=missing", lambda rows, now: rows.missing()),
    HealthState(
        "consent",
        _("Needs new consent"),
        "health=consent",
        lambda rows, now: rows.needing_consent(conf.MOLLIE_ONBOARDING_SCOPES),
    ),
    HealthState(
        "error",
        _("Last attempt failed"),
        "health=error",
        lambda rows, now: rows.connected().filter(last_error__gt=""),
    ),
    HealthState(
        "revocation",
        _("Waiting to be revoked"),
        "health=revocation",
        lambda rows, now: rows.filter(pending_revocation__isnull=False),
    ),
)
STATES = (
    _with_status("connected", _("Connected"), Connection.CONNECTED),
    *FLAWS[:-1],
    _with_status("lost", _("Connection lost"), Connection.LOST),
    _with_status("disconnected", _("Disconnected"), Connection.DISCONNECTED),
    FLAWS[-1],
)


def count_states() -> list[dict[str, Any]]:
    """How many organizations are in each state, as far as a list counts."""
    now = timezone.now()
    sets = [state.among(Organization.objects.all(), now) for state in STATES]
    counts = count_up_to(MOST_COUNTED + 1, sets)
    return [{"state": state, "count": bounded(count)} for state, count in zip(STATES, counts, strict=True)]


def flaws_of(row: Organization, now: datetime) -> list[HealthState]:
    """The same states as the filters find, of one row."""
    has = {
        "stale": row.is_stale(now),
        "missing": row.is_connected and row.missing_since is not None,
        "consent": row.needs_new_consent,
        "error": row.is_connected and row.last_error != "",
        "revocation": row.pending_revocation is not None,
    }
    return [state for state in FLAWS if has[state.key]]


def health_in_words(row: Organization) -> str:
    flaws = [str(state.label) for state in flaws_of(row, timezone.now())]
    if row.is_connected and flaws:
        return ", ".join(flaws)
    return ", ".join([str(row.get_connection_status_display()), *flaws])


# By the word in `Organization.last_error`: what it means, and who has to do what.
ERROR_SENTENCES = {
    "invalid_grant": _("Mollie no longer accepts the authorization: the merchant has withdrawn it, or it has ended. The merchant must connect again; send them a link."),
    "no_answer": _("Mollie gave no usable answer. It is asked again by itself: nothing is to be done, unless this lasts for hours."),
    "invalid_client": _("Mollie refused the platform's own credentials. A developer must correct MOLLIE_ONBOARDING_CLIENT_ID and MOLLIE_ONBOARDING_CLIENT_SECRET; the merchant need not do anything."),
    "revocation_failed": _("The connection has ended here, but Mollie has not confirmed it. It is tried again with each sync_onboarding_status, and by “Revoke again”; the merchant need not do anything."),
    "DecryptionError": _("The stored tokens fit none of MOLLIE_ONBOARDING_ENCRYPTION_KEYS. A developer must add the key that they were encrypted with; where it is gone, disconnect the organization and let the merchant connect again."),
    "ImproperlyConfigured": _("The platform's settings do not fit this connection. A developer must look at “manage.py check” and at the log; the merchant need not do anything."),
}  # fmt: skip
# Mollie gave none with the code: the authorization has ended with its first hour, and the way on is the same.
ERROR_SENTENCES["no_refresh_token"] = ERROR_SENTENCES["invalid_grant"]
REFUSED = _("Mollie refused the platform's request (%(word)s). A developer must look at the log; the merchant need not do anything.")  # fmt: skip


def explain_error(word: str) -> Words:
    """Whole sentences for a word of `last_error`; one that is not known here stands in a general one."""
    return ERROR_SENTENCES.get(word) or REFUSED % {"word": word}


def explain_failure(exc: Exception) -> Words:
    """Why an action did not succeed, in the same sentences."""
    if isinstance(exc, NotConnectedError):
        is_lost = exc.connection_status == Connection.LOST
        return ERROR_SENTENCES["invalid_grant"] if is_lost else _("The connection was ended meanwhile.")
    if isinstance(exc, DatabaseError):
        return _("The database did not take it. Try again in a moment.")
    if isinstance(exc, MollieResponseError):
        return explain_error(exc.error or str(exc.status))
    return explain_error("no_answer" if isinstance(exc, MollieConnectionError) else type(exc).__name__)
