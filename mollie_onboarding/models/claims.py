"""How long the claims of a process on a row hold: after that its work counts as interrupted."""

from __future__ import annotations

from datetime import timedelta

CLAIM_LIFETIME = timedelta(seconds=60)  # after which the work of a process counts as interrupted
SENDING_CLAIM_LIFETIME = timedelta(minutes=5)  # a mail server may take its time
ATTENTION_AFTER = timedelta(minutes=10)  # in the queue
