"""A form that Django refuses when this module is imported."""

from __future__ import annotations

from mollie_onboarding.forms import SignupForm


class WritesTheStatus(SignupForm):
    class Meta(SignupForm.Meta):
        fields = (*SignupForm.Meta.fields, "status")
