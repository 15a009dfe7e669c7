"""One key, one piece of work: docs.mollie.com/reference/api-idempotency."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from django.db import IntegrityError, router, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from .conf import IDEMPOTENCY_LIFETIME
from .errors import MollieRefusalError, RefusalError
from .models import IdempotentAnswer

REPLAYED = "Idempotent-Replayed"
MAX_KEY_LENGTH = 255
NOT_REMEMBERED = frozenset({409, 429})  # both say "ask again"


def key_of(request: HttpRequest) -> str:
    return request.headers.get("Idempotency-Key", "")


def once(request: HttpRequest, credential: str, work: Callable[[], HttpResponse]) -> HttpResponse:
    """Do the work, or repeat the answer it had under the same key; keys are kept per credential.

    Raises `MollieRefusalError`: 400 if the key was used for another call, 409 if its work is not done yet.
    """
    key = key_of(request)
    if not key:
        return _answer(work)
    if len(key) > MAX_KEY_LENGTH:
        raise MollieRefusalError(400, "The idempotency key is too long")
    claim = IdempotentAnswer(credential=credential, key=key, fingerprint=_fingerprint(request))
    if not _insert(claim):
        return _replay(claim)
    try:
        response = _answer(work)
    except BaseException:
        # The work never came to an answer; without this the key would be "in progress" for an hour.
        claim.delete()
        raise
    _remember(claim, response)
    return response


def _answer(work: Callable[[], HttpResponse]) -> HttpResponse:
    try:
        return work()
    except RefusalError as refusal:
        return refusal.response()


def _insert(claim: IdempotentAnswer) -> bool:
    """Claim the key; the unique constraint lets one process through."""
    rows = IdempotentAnswer.objects.filter(credential=claim.credential, key=claim.key)
    rows.filter(created_at__lte=timezone.now() - IDEMPOTENCY_LIFETIME).delete()
    try:
        with transaction.atomic(using=router.db_for_write(IdempotentAnswer)):
            claim.save(force_insert=True)
    except IntegrityError:
        return False
    return True


def _replay(claim: IdempotentAnswer) -> HttpResponse:
    first = IdempotentAnswer.objects.filter(credential=claim.credential, key=claim.key).first()
    if first is None or (first.fingerprint == claim.fingerprint and first.status is None):
        # None: the first call has just been forgotten (it ended in 409 or 429). Ask again.
        raise MollieRefusalError(409, "A call with this idempotency key is in progress")
    if first.fingerprint != claim.fingerprint:
        raise MollieRefusalError(400, "This idempotency key was used for another call")
    response = HttpResponse(first.body, status=first.status, content_type=first.content_type)
    response[REPLAYED] = "true"
    return response


def _remember(claim: IdempotentAnswer, response: HttpResponse) -> None:
    if response.status_code in NOT_REMEMBERED:
        claim.delete()
        return
    claim.status = response.status_code
    claim.content_type = response["Content-Type"]
    claim.body = response.content.decode()
    claim.save(update_fields=["status", "content_type", "body"])


def _fingerprint(request: HttpRequest) -> str:
    """Endpoint and parameters; JSON counts as the same in whatever order its keys are written."""
    try:
        body = json.dumps(json.loads(request.body), sort_keys=True).encode()
    except ValueError:
        body = request.body
    return hashlib.sha256(b"\n".join([request.path.encode(), body])).hexdigest()
