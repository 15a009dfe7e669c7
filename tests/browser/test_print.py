"""On paper: what there is to know, without what one would press."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


def test_merchant_page_on_paper(merchant):
    merchant.merchant_page("Bakkerij Papier")
    page = merchant.page
    page.emulate_media(media="print", color_scheme="light")

    assert page.get_by_role("heading", level=1).is_visible()
    assert page.locator("dl.card").get_by_text("Bakkerij Papier").is_visible()
    assert not page.locator("main button").first.is_visible()
    assert not page.locator(".languages").is_visible()
    colors = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert colors == ["rgb(0, 0, 0)", "rgba(0, 0, 0, 0)"]


def test_funnel_on_paper(operator):
    """Nothing of the admin's frame, and the whole width for the numbers."""
    page = operator.page
    page.goto("/admin/mollie_onboarding/clientlink/funnel/")
    page.emulate_media(media="print", color_scheme="light")

    for frame in ("#header", "#nav-sidebar", ".breadcrumbs", ".mollie-funnel-choice"):
        assert not page.locator(frame).is_visible(), frame
    assert page.locator("#content svg").first.is_visible()
    assert page.locator("#content").evaluate("element => element.offsetWidth / innerWidth") > 0.9
