"""The flows. What the platform may call is listed here; everything else is for this package alone."""

from __future__ import annotations

from .announcing import announce_overdue
from .authorizing import Flow, StartedAuthorization, start_authorization
from .cancelling import cancel_client_link
from .completing import (
    CallbackParameters,
    Completion,
    complete_authorization,
    resume_authorization,
    resume_interrupted,
)
from .creation import create_client_link, replace_client_link, retry_rejected
from .sending import (
    reason_not_to_send,
    request_sending,
    request_sending_by_merchant,
    send_connected_notice,
    send_onboarding_link,
    send_queued,
)
from .signing_up import store_submission

__all__ = [
    "CallbackParameters",
    "Completion",
    "Flow",
    "StartedAuthorization",
    "announce_overdue",
    "cancel_client_link",
    "complete_authorization",
    "create_client_link",
    "reason_not_to_send",
    "replace_client_link",
    "request_sending",
    "request_sending_by_merchant",
    "resume_authorization",
    "resume_interrupted",
    "retry_rejected",
    "send_connected_notice",
    "send_onboarding_link",
    "send_queued",
    "start_authorization",
    "store_submission",
]
