"""For the platform's own tests: Mollie's sandbox without a server, merchants in any state, faults, and time travel.

With pytest, in the `conftest.py` of your tests:

    pytest_plugins = ["mollie_onboarding.testing.fixtures"]

gives the fixtures `mollie_sandbox` and `make_merchant`. In any other test:

    from mollie_onboarding.testing import later, make_merchant, play_mollie

    with play_mollie() as mollie:
        merchant = make_merchant("declined")
        with later(days=3):
            ...

`mollie_onboarding.sandbox` must be in INSTALLED_APPS of the test settings. Nothing else has to be set: see `play_mollie`.
"""

from __future__ import annotations

from .box import play_mollie
from .clock import later
from .merchants import MERCHANT, STATES, Merchant, make_merchant
from .transport import sandbox_mollie

__all__ = ["MERCHANT", "STATES", "Merchant", "later", "make_merchant", "play_mollie", "sandbox_mollie"]
