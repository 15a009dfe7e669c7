"""A row of a spreadsheet and a client link: what django-import-export calls a resource."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from import_export.fields import Field
from import_export.resources import ModelResource
from import_export.widgets import Widget

from mollie_onboarding.models import ClientLink

from .columns import IMPORTED_COLUMNS
from .values import READERS, read_text, refuse_cell_error


class CellWidget(Widget):  # type: ignore[misc]  # untyped
    """Reads the text of one column's cell; the other cells of the row help."""

    def __init__(self, column: str) -> None:
        super().__init__()
        self.read = READERS.get(column, read_text)

    def clean(self, value: str, row: Any = None, **kwargs: Any) -> Any:
        return self.read(refuse_cell_error(value), row)


class GivenInstance:
    """An instance loader for a row that was looked for already."""

    def __init__(self, instance: ClientLink | None) -> None:
        self.instance = instance

    def get_instance(self, row: Any) -> ClientLink | None:
        return self.instance


class ClientLinkResource(ModelResource):  # type: ignore[misc]  # untyped
    """Import: `import_row` fills and checks an instance, as the admin's form does. Export: the columns besides."""

    organization_id = Field("organization__organization_id", "organization_id", readonly=True)
    onboarding_status = Field("organization__onboarding_status", "onboarding_status", readonly=True)

    class Meta:
        model = ClientLink
        # Neither a status nor a token nor whose the row is: nothing else of a file is ever written.
        fields = (
            *IMPORTED_COLUMNS,
            "status",
            "delivery_status",
            "last_sent_at",
            "reminder_count",
            "organization_id",
            "onboarding_status",
        )
        export_order = fields
        skip_diff = True
        store_instance = True

    @classmethod
    def field_from_django_field(cls, field_name: str, django_field: Any, readonly: bool) -> Field:
        if field_name in IMPORTED_COLUMNS:
            return Field(field_name, field_name, CellWidget(field_name))
        return Field(field_name, field_name, readonly=True)

    def get_instance(self, instance_loader: GivenInstance, row: Any) -> ClientLink | None:
        return instance_loader.get_instance(row)

    def validate_instance(
        self, instance: ClientLink, import_validation_errors: Any = None, validate_unique: bool = True
    ) -> None:
        """What the admin's form refuses, with what could not be read. Nothing is asked of the database."""
        errors = dict(import_validation_errors or {})
        others = {field.name for field in instance._meta.fields} - set(IMPORTED_COLUMNS)
        try:
            instance.full_clean(exclude={*others, *errors}, validate_unique=False, validate_constraints=False)
        except ValidationError as exc:
            # A column that could not be read holds nothing: what else is said of it would be about that.
            errors = {**exc.error_dict, **errors}
        if errors:
            raise ValidationError(errors)

    def save_instance(self, instance: ClientLink, is_create: bool, row: Any, **kwargs: Any) -> None:
        """Not yet: the rows of an import are written many at a time, with their history."""
