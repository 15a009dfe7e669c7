"""Bringing every stored token under the newest key, so that an older key can be taken out of the settings."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from django.db import transaction
from django.db.models import F, Model, Q
from django.views.decorators.debug import sensitive_variables

from mollie_onboarding.exceptions import DecryptionError
from mollie_onboarding.fields import Secret, is_on_newest_key
from mollie_onboarding.models import AuthorizationRequest, Organization
from mollie_onboarding.observing import observe

from .batching import keys_in_batches

logger = logging.getLogger(__name__)

MAX_NAMED = 100  # rows; the log names them all

# Every encrypted column.
COLUMNS: dict[type[Model], tuple[str, ...]] = {
    Organization: ("access_token", "refresh_token", "pending_revocation"),
    AuthorizationRequest: ("tokens",),
}


@dataclass
class Rotation:
    """How many values were re-encrypted, were on the newest key before, or fit no key; and whose the last are."""

    rotated: int = 0
    current: int = 0
    unreadable: int = 0
    unreadable_rows: list[str] = field(default_factory=list)  # the first `MAX_NAMED`


def rotate_token_keys(*, dry_run: bool = False) -> Rotation:
    """Re-encrypt with the newest key what another key encrypted. With `dry_run` it is counted, and nothing is written.

    A value that no key fits stays as it is, and the others go on. Each batch is committed by itself: a run that was
    interrupted is finished by the next one. Raises `ImproperlyConfigured` without keys, or with one that is malformed.
    """
    rotation = Rotation()
    for model, columns in COLUMNS.items():
        holding = reduce(or_, (Q(**{f"{column}__isnull": False}) for column in columns))
        for keys in keys_in_batches(model._default_manager.filter(holding)):
            if dry_run:
                for row in model._default_manager.filter(pk__in=keys):
                    _renewed(row, columns, rotation)
            else:
                _rotate_batch(model, keys, columns, rotation)
    return rotation


def _rotate_batch(model: type[Model], keys: list[Any], columns: tuple[str, ...], rotation: Rotation) -> None:
    manager = model._default_manager
    with transaction.atomic():
        # A write before the read: on SQLite, which has no row locks, it keeps every other writer out. No value changes.
        manager.filter(pk=keys[0]).update(**{columns[0]: F(columns[0])})
        # Read under the lock: what a refresh has just stored is what is re-encrypted, and the next refresh waits.
        for row in manager.select_for_update().filter(pk__in=keys).order_by("pk"):
            if renewed := _renewed(row, columns, rotation):
                manager.filter(pk=row.pk).update(**renewed)


@sensitive_variables()
def _renewed(row: Model, columns: Iterable[str], rotation: Rotation) -> dict[str, Secret]:
    """The values of a row that need the newest key, ready to be encrypted with it. Counts all of them."""
    renewed = {}
    for column in columns:
        secret: Secret | None = getattr(row, column)
        if secret is None:
            continue
        if is_on_newest_key(secret.to_stored()):
            rotation.current += 1
            continue
        try:
            renewed[column] = Secret(secret.reveal())
            rotation.rotated += 1
        except DecryptionError:
            _note_unreadable(row, column, rotation)
    return renewed


def _note_unreadable(row: Model, column: str, rotation: Rotation) -> None:
    name = row.organization_id if isinstance(row, Organization) else f"authorization request {row.pk}"
    observe(
        logger,
        logging.ERROR,
        "token_unreadable",
        "No key fits %(column)s of %(row)s.",
        column=column,
        row=name,
    )
    rotation.unreadable += 1
    if name not in rotation.unreadable_rows and len(rotation.unreadable_rows) < MAX_NAMED:
        rotation.unreadable_rows.append(name)
