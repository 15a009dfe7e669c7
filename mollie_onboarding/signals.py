"""Signals for the platform.

Each is sent after the commit and at least once: when a process dies between the two, `sync_onboarding_status` sends it
again. A receiver must therefore be idempotent; `event` is the row of the history, the same one each time.
Sent with `send_robust`: what a receiver raises is logged and stops nobody. No argument ever holds a token.
"""

from __future__ import annotations

from django.dispatch import Signal

# sender=ClientLink, client_link, event: Mollie made the client link, or a new one in place of an expired one.
client_link_created = Signal()

# sender=ClientLink, client_link, event: the mail with our link was handed to the mail backend.
client_link_sent = Signal()

# sender=ClientLink, client_link, organization, identity_check ("matches", "differs" or "unknown"), event:
# the merchant's Mollie organization is connected, or connected again.
merchant_connected = Signal()

# sender=ClientLink, client_link, event: the merchant said no at Mollie.
merchant_declined = Signal()

# sender=Organization, organization, old, new (dicts of onboarding_status, can_receive_payments and
# can_receive_settlements), event: what Mollie says of the organization changed.
onboarding_status_changed = Signal()

# sender=Organization, organization, event: Mollie no longer accepts our tokens; the merchant must connect again.
connection_lost = Signal()

# sender=Organization, organization, event: the platform ended the connection.
organization_disconnected = Signal()

# sender=None, name, level (of `logging`), fields: what the log record of the same moment says, for counters. Unlike the
# others it is sent at once, at most once, on the thread where it happens, and perhaps inside a transaction: count, and
# touch no table. Names and fields are listed in the README.
observed = Signal()
