"""System checks: every mistake that a site can make with the settings, with what to write instead.

Each module registers its checks when it is imported.
"""

from __future__ import annotations

from . import addresses, authorization, credentials, durations, limits, look, signup_form, switches  # noqa: F401
