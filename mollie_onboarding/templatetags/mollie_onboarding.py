"""What the platform shows a merchant on its own pages: `{% load mollie_onboarding %}`."""

from __future__ import annotations

from typing import Any

from django import template

from mollie_onboarding.models import ClientLink
from mollie_onboarding.summary import OnboardingSummary
from mollie_onboarding.summary import onboarding_summary as summarize

register = template.Library()


@register.inclusion_tag("mollie_onboarding/includes/connect_button.html")
def connect_with_mollie(
    client_link: ClientLink | None, *, signup_url: str = "", css_class: str = "mollie-onboarding-button"
) -> dict[str, Any]:
    """A link to the merchant's next step, with words that say what it is; a short text where there is nothing to press.

    `{% connect_with_mollie client_link %}`, or for a merchant who may have none yet
    `{% connect_with_mollie client_link signup_url=url %}`. Only a link: nothing goes to Mollie before the merchant
    presses the button of the merchant page.

    The address of the merchant page is a secret that lets its holder connect an account. So show this only to that
    merchant, and not on a page that others can read or that is cached for several visitors.
    """
    return {"summary": onboarding_summary(client_link, signup_url=signup_url), "css_class": css_class}


@register.simple_tag
def onboarding_summary(client_link: ClientLink | None, *, signup_url: str = "") -> OnboardingSummary:
    """`{% onboarding_summary client_link as summary %}`: all that `mollie_onboarding.summary` says of a merchant.

    `summary.action_url` may be that merchant's secret: see `connect_with_mollie`.
    """
    # A template knows no None for what is missing: it is '' there.
    return summarize(client_link or None, signup_url=signup_url)
