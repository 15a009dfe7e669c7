"""Lifetimes, retentions, and the days of the reminders."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import ImproperlyConfigured

from mollie_onboarding.conf import LATEST_REMINDER, conf
from mollie_onboarding.mollie_api import CLIENT_LINK_LIFETIME

from .messages import CheckResult, error, warning


@register(Tags.security)
def check_durations(**kwargs: Any) -> CheckResult:
    """The lifetimes are durations, and a client link lives longer than a state."""
    messages = _find_no_durations((16, "STATE_LIFETIME"), (17, "LINK_LIFETIME"))
    if not messages and conf.MOLLIE_ONBOARDING_STATE_LIFETIME >= CLIENT_LINK_LIFETIME:
        messages.append(
            error(
                18,
                "MOLLIE_ONBOARDING_STATE_LIFETIME is not shorter than the 30 days of a client link.",
                "Every click would make a new client link. A day is plenty.",
            )
        )
    return messages


def _find_no_durations(*settings_by_number: tuple[int, str]) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for number, name in settings_by_number:
        try:
            getattr(conf, f"MOLLIE_ONBOARDING_{name}")
        except ImproperlyConfigured:
            messages.append(
                error(
                    number,
                    f"MOLLIE_ONBOARDING_{name} is not a duration.",
                    'Use a timedelta, a number of seconds, or a text such as "1 00:00:00".',
                )
            )
    return messages


@register(Tags.security)
def check_retention(**kwargs: Any) -> CheckResult:
    """The retentions are durations, and nothing is deleted while the link to it still works."""
    messages = _find_no_durations(
        (21, "REQUEST_RETENTION"), (22, "UNCONNECTED_RETENTION"), (23, "DISCONNECTED_RETENTION")
    )
    if messages or _find_no_durations((17, "LINK_LIFETIME")):
        return messages
    retention = conf.MOLLIE_ONBOARDING_UNCONNECTED_RETENTION
    if retention is not None and retention < conf.MOLLIE_ONBOARDING_LINK_LIFETIME:
        messages.append(
            warning(
                9,
                "MOLLIE_ONBOARDING_UNCONNECTED_RETENTION is shorter than MOLLIE_ONBOARDING_LINK_LIFETIME.",
                "Links would lead nowhere before the day that their mail names. Keep rows as long as their links.",
            )
        )
    return messages


@register(Tags.security)
def check_reminders(**kwargs: Any) -> CheckResult:
    """The plan of reminders is one."""
    try:
        _plan = conf.MOLLIE_ONBOARDING_REMINDER_DAYS
    except ImproperlyConfigured:
        return [
            error(
                35,
                "MOLLIE_ONBOARDING_REMINDER_DAYS is not a plan of days.",
                f"Use whole numbers from 1 to {LATEST_REMINDER}, each higher than the one before: (3, 10, 25). "
                "An empty list sends no reminders.",
            )
        ]
    return []
