"""The platform's own sign-up form."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import FieldError
from django.utils.module_loading import import_string

from mollie_onboarding.conf import conf
from mollie_onboarding.forms import SignupForm
from mollie_onboarding.models import BODY_COLUMNS, ClientLink

from .messages import CheckResult, error


@register(Tags.security)
def check_signup_form(**kwargs: Any) -> CheckResult:
    """The sign-up form is one of ours, and takes every column that goes to Mollie and no other of the row."""
    try:
        form_class = import_string(str(conf.MOLLIE_ONBOARDING_SIGNUP_FORM))
    except (ImportError, FieldError) as exc:
        return [
            error(
                30,
                f"MOLLIE_ONBOARDING_SIGNUP_FORM cannot be loaded: {exc}.",
                'Write the dotted path of the class, such as "shop.forms.ShopSignupForm".',
            )
        ]
    if not (isinstance(form_class, type) and issubclass(form_class, SignupForm)):
        return [
            error(
                31,
                "MOLLIE_ONBOARDING_SIGNUP_FORM is not a subclass of SignupForm.",
                "Derive the class from mollie_onboarding.forms.SignupForm.",
            )
        ]
    columns = {field.name for field in ClientLink._meta.get_fields()}
    names = set(form_class.base_fields)
    if wrong := sorted((names & columns) ^ set(BODY_COLUMNS)):
        return [
            error(
                32,
                f"MOLLIE_ONBOARDING_SIGNUP_FORM has not exactly the columns of SignupForm: {' '.join(wrong)}.",
                "Keep SignupForm.Meta as it is, and give fields of your own names that no column of ClientLink has.",
            )
        ]
    return _check_required_columns(form_class)


def _check_required_columns(form_class: type[SignupForm]) -> list[CheckMessage]:
    """What a form leaves out when it is made is something that Mollie can do without."""
    try:
        fields = form_class().fields
    except Exception:  # it may want the database or a request, which a check does not have
        return []
    required = {name for name, field in SignupForm.base_fields.items() if field.required}
    if missing := sorted(required - set(fields)):
        return [
            error(
                33,
                f"MOLLIE_ONBOARDING_SIGNUP_FORM leaves out what Mollie cannot do without: {' '.join(missing)}.",
                "Keep these fields. Where you know the value, fill it in by initial_for, and hide the field if you like.",
            )
        ]
    return []
