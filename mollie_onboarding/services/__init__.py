"""The flows. What the platform may call is listed here; everything else is for this package alone."""

from __future__ import annotations

from .announcing import announce_overdue
from .authorizing import Flow, StartedAuthorization, start_authorization
from .cancelling import cancel_client_link
from .checking import Finding, Verdict, check_mollie
from .completing import (
    TEMPORARY_ERRORS,
    CallbackParameters,
    Completion,
    complete_authorization,
    resume_authorization,
    resume_interrupted,
)
from .creation import create_client_link, replace_client_link, retry_rejected
from .disconnecting import disconnect, revoke_pending, revoke_tokens
from .mailing import Purpose, build_example, language_of, purpose_of, send_test_mail
from .purging import Purge, purge_onboarding_data
from .reviewing import allow_sharing, mark_reviewed, points_to_review
from .rotating import Rotation, rotate_token_keys
from .sending import (
    reason_not_to_send,
    request_sending,
    request_sending_by_merchant,
    send_connected_notice,
    send_onboarding_link,
    send_queued,
)
from .signing_up import store_submission
from .status import apply_onboarding_status, check_onboarding_status
from .syncing import SyncResult, sync_onboarding_status
from .tokens import get_access_token

__all__ = [
    "TEMPORARY_ERRORS",
    "CallbackParameters",
    "Completion",
    "Finding",
    "Flow",
    "Purge",
    "Purpose",
    "Rotation",
    "StartedAuthorization",
    "SyncResult",
    "Verdict",
    "allow_sharing",
    "announce_overdue",
    "apply_onboarding_status",
    "build_example",
    "cancel_client_link",
    "check_mollie",
    "check_onboarding_status",
    "complete_authorization",
    "create_client_link",
    "disconnect",
    "get_access_token",
    "language_of",
    "mark_reviewed",
    "points_to_review",
    "purge_onboarding_data",
    "purpose_of",
    "reason_not_to_send",
    "replace_client_link",
    "request_sending",
    "request_sending_by_merchant",
    "resume_authorization",
    "resume_interrupted",
    "retry_rejected",
    "revoke_pending",
    "revoke_tokens",
    "rotate_token_keys",
    "send_connected_notice",
    "send_onboarding_link",
    "send_queued",
    "send_test_mail",
    "start_authorization",
    "store_submission",
    "sync_onboarding_status",
]
