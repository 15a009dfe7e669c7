"""How far merchants came: six stages, each of which implies those before it, so that no number ever rises."""

from __future__ import annotations

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _


class Stage(models.TextChoices):
    """The furthest that a merchant ever came; what is lost or declined later takes nobody back."""

    INVITED = "invited", _("Invited")
    OPENED = "opened", _("Opened by the merchant")
    STARTED = "started", _("At Mollie")
    CONNECTED = "connected", _("Connected")
    PAYMENTS = "payments", _("Payments enabled")
    COMPLETED = "completed", _("Completed")


# Where each stage is written, when it is reached for the first time: in the row, or in that of the organization.
OF_CLIENT_LINK = {
    Stage.INVITED: "first_sent_at",
    Stage.OPENED: "opened_at",
    Stage.STARTED: "started_at",
    Stage.CONNECTED: "connected_at",
}
# Nobody has an organization before.
BEFORE_CONNECTING = (Stage.INVITED, Stage.OPENED, Stage.STARTED)
OF_ORGANIZATION = {Stage.PAYMENTS: "payments_enabled_at", Stage.COMPLETED: "completed_at"}
COLUMNS = OF_CLIENT_LINK | {stage: f"organization__{column}" for stage, column in OF_ORGANIZATION.items()}
# The form opens the merchant's way and makes the row in one: a page that is opened later is later than its row.
SIGNED_UP = Q(opened_at__lte=F("created_at"))


def is_at(stage: Stage) -> Q:
    """Rows that reached this stage and none of the later ones."""
    if stage in OF_ORGANIZATION:
        return Q(organization__stage=stage)
    if stage == Stage.CONNECTED:
        return Q(stage=stage, organization__stage=None)
    return Q(stage=stage)


def stage_reached() -> Coalesce:
    """The furthest stage of a row and of its organization; NULL before the invitation."""
    return Coalesce("organization__stage", "stage")


def stage_reached_since(moment: str) -> Case:
    """The furthest stage that a row came to at that moment of it, a name in the query, or later; `invited` where to none."""
    later = [stage for stage in reversed(Stage) if stage != Stage.INVITED]
    return Case(
        *(When(**{f"{COLUMNS[stage]}__gte": F(moment)}, then=Value(stage.value)) for stage in later),
        default=Value(Stage.INVITED.value),
        output_field=models.CharField(max_length=9),
    )


def furthest(columns: dict[Stage, str]) -> models.GeneratedField:
    """A column for the furthest of these stages, NULL before the first: of many rows, the index of one column tells."""
    return models.GeneratedField(
        expression=Case(
            *(
                When(**{f"{name}__isnull": False}, then=Value(stage.value))
                for stage, name in reversed(columns.items())
            ),
            default=None,
            output_field=models.CharField(max_length=9, null=True),
        ),
        output_field=models.CharField(max_length=9, null=True),
        db_persist=True,
    )


def entered_at() -> Case:
    """When a merchant's way began: with the first mail, at the sign-up page, or as the row was made where there was no mail."""
    return Case(
        When(SIGNED_UP, then=F("created_at")),
        default=Coalesce("first_sent_at", "created_at"),
        output_field=models.DateTimeField(),
    )
