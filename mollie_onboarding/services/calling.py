"""The door to Mollie as the flows use it: what Mollie says of its limits counts for all of them."""

from __future__ import annotations

from mollie_onboarding import mollie_api

from . import budget


class MollieAPI(mollie_api.MollieAPI):
    """`mollie_api.MollieAPI`, whose answers are heeded. Every flow builds this one."""

    def heed(self) -> None:
        budget.heed(self)
