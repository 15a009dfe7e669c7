"""What is said of a merchant in each state, and of what Mollie tells."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.models import Organization

Onboarding = Organization.OnboardingStatus


class Words(NamedTuple):
    headline: str | Promise
    sentence: str | Promise
    action_label: str | Promise = ""  # '' where there is nothing to press


INVITATION = _("%(platform_name)s handles payments through Mollie and asks you to connect this organization with it.")  # fmt: skip
NEW_CONSENT = _("%(platform_name)s asks for more permissions at Mollie than you agreed to. Everything keeps working until you agree.")  # fmt: skip
# By the state of a row that is not connected. The sentences may name the platform.
WORDS = {
    "none": Words(_("Not connected"), INVITATION, _("Connect with Mollie")),
    "ready": Words(_("Ready to connect"), INVITATION, _("Connect with Mollie")),
    "started": Words(
        _("Not finished at Mollie"),
        _("You have been at Mollie, but nothing is connected yet. Nothing is lost: you can go on where you were."),
        _("Continue connecting with Mollie"),
    ),
    "finishing": Words(
        _("Finishing the connection"),
        _("You agreed at Mollie, and we are completing the connection."),
    ),
    "interrupted": Words(
        _("One last step is missing"),
        _("Mollie has your consent. One last step is missing; the button takes it, and you need not go back to Mollie."),
        _("Finish connecting with Mollie"),
    ),
    "declined": Words(
        _("You said no at Mollie"),
        _("Nothing was connected. If that was not what you meant, you can start again."),
        _("Start again with Mollie"),
    ),
    "rejected": Words(
        _("Mollie did not accept the details"),
        _("Mollie did not accept the details that %(platform_name)s has about you. %(platform_name)s must correct them first; you will get a new mail then."),
    ),
    "organization_taken": Words(
        _("Not connected"),
        _("The Mollie organization that you chose belongs to another customer of %(platform_name)s, so it was not connected here. %(platform_name)s has been told. You can try again with another Mollie organization."),
        _("Start again with Mollie"),
    ),
    "lost": Words(
        _("Connection lost"),
        _("What you agreed to at Mollie no longer holds, so %(platform_name)s cannot act there for this organization. Connect it again to go on."),
        _("Connect with Mollie again"),
    ),
    "disconnected": Words(
        _("Disconnected"),
        _("%(platform_name)s has ended the connection with Mollie. Connect this organization again if you want to go on."),
        _("Connect with Mollie again"),
    ),
    "expired": Words(
        _("Your link has expired"),
        _("Links of %(platform_name)s work for a limited time. We can send a new one to the address that we have for you."),
        _("Get a new link"),
    ),
    "cancelled": Words(
        _("The invitation was withdrawn"),
        _("%(platform_name)s has withdrawn this invitation, and nothing was connected. Ask %(platform_name)s if you think that this is a mistake."),
    ),
}  # fmt: skip

# The five combinations of status, payments and settlements that Mollie documents.
# docs.mollie.com/docs/connect-platforms-onboarding-customers
DOCUMENTED: dict[tuple[str, bool, bool], Promise] = {
    (Onboarding.NEEDS_DATA, False, False): _("Mollie needs more data from you before you can receive payments."),
    (Onboarding.NEEDS_DATA, True, False): _("You can receive payments. Mollie needs more data from you before it pays out to your bank account."),
    (Onboarding.IN_REVIEW, False, False): _("Mollie has your data and is checking it. You can receive payments after that."),
    (Onboarding.IN_REVIEW, True, False): _("You can receive payments. Mollie is checking your data before it pays out to your bank account."),
    (Onboarding.COMPLETED, True, True): _("Mollie has checked your data. You can receive payments, and Mollie pays out to your bank account."),
}  # fmt: skip
HEADLINES: dict[str, Promise] = {
    Onboarding.NEEDS_DATA: _("Mollie needs more data"),
    Onboarding.IN_REVIEW: _("Mollie is checking the data"),
    Onboarding.COMPLETED: _("Mollie has checked your data"),
}
