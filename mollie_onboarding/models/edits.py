"""What an edit of a merchant's data does to the rest of the row. `ClientLinkQuerySet.write_edits` writes it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from mollie_onboarding.recipients import spell

from .statuses import MOVES, Status

if TYPE_CHECKING:
    from .client_links import ClientLink

Changes = dict[str, Any]  # by column

# What `POST /v2/client-links` is made of. An edit of one of these voids a client link that was made before.
BODY_COLUMNS = (
    "owner_email",
    "owner_given_name",
    "owner_family_name",
    "owner_locale",
    "organization_name",
    "street_and_number",
    "postal_code",
    "city",
    "country",
    "registration_number",
    "vat_number",
    "legal_entity",
    "registration_office",
    "incorporation_date",
)
EDITABLE_COLUMNS = (*BODY_COLUMNS, "reference", "user_id", "reminders_excluded")

NO_CLIENT_LINK: Changes = {
    "mollie_id": None,
    "url": "",
    "issued_at": None,
    "expires_at": None,
    "idempotency_key": "",
    "attempt_started_at": None,
    "attempt_digest": "",
    "issuing_until": None,
}
NO_ERROR: Changes = {"error_status": None, "error_field": "", "error_detail": ""}
# Nothing became of a mail to a new address yet, nobody is reminded there, and one that is queued waits for nothing that
# had to do with the old address. The sign-up form that brought the old one finds the row no longer.
NOBODY_INVITED: Changes = {
    "delivery_status": "",
    "mail_id": "",
    "invited_at": None,
    "send_not_before": None,
    "send_waits_for": "",
    "send_attempts": 0,
    "submission_digest": None,
}
# What an edit may change besides.
FOLLOWING_COLUMNS = (
    "updated_at",
    "link_generation",
    "status",
    "problem",
    *NOBODY_INVITED,
    *NO_CLIENT_LINK,
    *NO_ERROR,
)


def has_other_recipient(row: ClientLink, changes: Changes) -> bool:
    """Whether mails go elsewhere after these edits of the row. Another spelling is the same mailbox."""
    return "owner_email" in changes and spell(changes["owner_email"]) != spell(row.owner_email)


def columns_to_write(row: ClientLink, changes: Changes, now: datetime) -> Changes:
    """The edits of a row, as it is now, and all that follows from them."""
    columns = {**changes, "updated_at": now}
    if has_other_recipient(row, changes):
        columns |= NOBODY_INVITED | {"link_generation": row.link_generation + 1}
    # A draft has no link, but perhaps an attempt under way, which is void now.
    if changes.keys() & set(BODY_COLUMNS) and (
        row.status == Status.DRAFT or row.status in MOVES[Status.DRAFT]
    ):
        columns |= NO_CLIENT_LINK | NO_ERROR | {"problem": "", "status": Status.DRAFT}
    return columns


def columns_to_tell(changes: Changes) -> list[str]:
    """What the history says was edited; nothing where colleagues have no use for it."""
    if changes.keys() & set(BODY_COLUMNS):
        return sorted(changes)
    return ["reminders_excluded"] if "reminders_excluded" in changes else []
