"""The scopes Mollie's authorization server knows (metadata of 2026-08-01), and some of them in words."""

from __future__ import annotations

READ_ONLY = (
    "balance-reports", "balances", "business-accounts", "events", "invoices", "settlements",
)  # fmt: skip
WRITE_ONLY = ("business-account-payee-verifications",)
READ_WRITE = (
    "balance-transfers", "business-account-draft-transfers", "business-account-transfers", "clients", "customers",
    "disputes", "external-accounts", "files", "mandates", "onboarding", "orders", "organizations", "payment-links",
    "payments", "payouts", "persons", "pricing-rates", "pricing-segments", "profiles", "refunds", "sales-invoices",
    "sessions", "shipments", "subscriptions", "terminals", "unmatched-credit-transfers", "webhooks",
)  # fmt: skip

SCOPES = frozenset(
    {f"{name}.read" for name in (*READ_ONLY, *READ_WRITE)}
    | {f"{name}.write" for name in (*WRITE_ONLY, *READ_WRITE)}
)

WORDS = {
    "onboarding.read": "See how far your onboarding is",
    "onboarding.write": "Send onboarding data for you",
    "organizations.read": "See the details of your organization",
    "organizations.write": "Change the details of your organization",
    "payments.read": "See your payments, chargebacks and payment methods",
    "payments.write": "Make payments for you",
    "profiles.read": "See your website profiles",
    "profiles.write": "Manage your website profiles",
    "refunds.read": "See your refunds",
    "refunds.write": "Make and cancel refunds",
}


def in_words(scope: str) -> str:
    """The scope as a sentence for the consent screen; a general one where nobody wrote one."""
    name, _, right = scope.partition(".")
    general = f"{'See' if right == 'read' else 'Manage'} your {name.replace('-', ' ')}"
    return WORDS.get(scope, general)
