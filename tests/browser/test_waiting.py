"""A page that is left open, as mail scanners with a browser of their own do for a while."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


def test_lessons_24_page_that_is_left_open_presses_nothing(merchant):
    address = merchant.merchant_page("Bakkerij Wachtkamer")
    left_open = merchant.open_tab()
    left_open.clock.install()  # the page's timers follow it, so nobody has to wait for them
    sent = []
    left_open.on("request", lambda request: sent.append(request.method))
    left_open.goto(address)
    merchant.sees("declined", page=left_open)
    assert set(sent) == {"GET"}

    sent.clear()
    left_open.clock.run_for("10:00")
    left_open.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    left_open.mouse.wheel(0, 500)
    left_open.clock.run_for("10:00")

    assert set(sent) <= {"GET"}
    assert left_open.url == address
    merchant.sees("declined", page=left_open)
