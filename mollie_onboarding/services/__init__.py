"""The flows. What the platform may call is listed here; everything else is for this package alone."""

from __future__ import annotations

from .announcing import announce_overdue, unannounced_events
from .authorizing import Flow, StartedAuthorization, start_authorization
from .batches import Progress, cancel_batch, count_outcomes, create_batch, rerun_batch, start_batch
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
from .delivery import record_delivery
from .disconnecting import disconnect, revoke_pending, revoke_tokens
from .draining import Drained, count_due, count_held, count_postponed, drain_queue, send_queued
from .feeding import INLINE_LIMIT, count_due_items, feed_batch, queue_started_batches, send_next
from .mailing import Purpose, build_example, language_of, purpose_of, send_test_mail
from .notices import send_connected_notice
from .purging import Purge, delete_client_link, purge_onboarding_data
from .queueing import (
    reason_not_to_send,
    request_sending,
    request_sending_by_merchant,
    tasks_run_inline,
)
from .reminders import reason_not_to_remind, request_reminders
from .reviewing import allow_sharing, mark_reviewed, points_to_review
from .rotating import Rotation, rotate_token_keys
from .sending import send_onboarding_link
from .signing_up import store_submission
from .status import apply_onboarding_status, check_onboarding_status
from .syncing import SyncResult, sync_onboarding_status
from .tokens import get_access_token

__all__ = [
    "INLINE_LIMIT",
    "TEMPORARY_ERRORS",
    "CallbackParameters",
    "Completion",
    "Drained",
    "Finding",
    "Flow",
    "Progress",
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
    "cancel_batch",
    "cancel_client_link",
    "check_mollie",
    "check_onboarding_status",
    "complete_authorization",
    "count_due",
    "count_due_items",
    "count_held",
    "count_outcomes",
    "count_postponed",
    "create_batch",
    "create_client_link",
    "delete_client_link",
    "disconnect",
    "drain_queue",
    "feed_batch",
    "get_access_token",
    "language_of",
    "mark_reviewed",
    "points_to_review",
    "purge_onboarding_data",
    "purpose_of",
    "queue_started_batches",
    "reason_not_to_remind",
    "reason_not_to_send",
    "record_delivery",
    "replace_client_link",
    "request_reminders",
    "request_sending",
    "request_sending_by_merchant",
    "rerun_batch",
    "resume_authorization",
    "resume_interrupted",
    "retry_rejected",
    "revoke_pending",
    "revoke_tokens",
    "rotate_token_keys",
    "send_connected_notice",
    "send_next",
    "send_onboarding_link",
    "send_queued",
    "send_test_mail",
    "start_authorization",
    "start_batch",
    "store_submission",
    "sync_onboarding_status",
    "tasks_run_inline",
    "unannounced_events",
]
