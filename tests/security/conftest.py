from __future__ import annotations

import pytest

from .world import World


@pytest.fixture
def world(sandbox) -> World:
    """A merchant in every state, and nobody at Mollie who could be asked about them."""
    return World()
