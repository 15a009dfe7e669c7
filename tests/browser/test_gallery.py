"""Every page in every state: what it owes its visitors, at every width, with a picture to look at."""

from __future__ import annotations

import re

import pytest

from .gallery import LANGUAGES, STATES, page_templates

pytestmark = pytest.mark.browser

# 640: a window of 1280 at 200 %; 320: one at 400 %, and the narrowest phone. WCAG 2.2, 1.4.4 and 1.4.10
WIDTHS = (320, 360, 640, 1280)
PICTURED = ("en", "de")


def title_of(text: str) -> str:
    return " ".join(re.search(r"<title>(.*?)</title>", text, re.DOTALL)[1].split())


def test_every_template_is_in_the_gallery():
    missing = page_templates() - {state.template for state in STATES}
    assert not missing, (
        f"give these templates an entry in STATES of tests/browser/gallery.py: {sorted(missing)}"
    )
    gone = {state.template for state in STATES} - page_templates()
    assert not gone, f"these have no template any more: {sorted(gone)}"
    assert len({state.name for state in STATES}) == len(STATES)


@pytest.mark.parametrize("state", STATES, ids=str)
def test_page_is_whole(gallery, open_gallery, state):
    visitor = open_gallery()
    for language in LANGUAGES:
        page = gallery.show(visitor, state, language)
        visitor.sees(state.status)
        assert page.locator("html").get_attribute("lang") == language
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            needed, given = page.evaluate(
                "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
            )
            assert needed <= given == width, f"{language}, {width}: needs {needed}"
        if language in PICTURED:
            visitor.take_picture(language)


def test_titles_say_the_state(gallery):
    """Who has several tabs open, or hears the title first, knows where they are."""
    states_of: dict[str, set[str]] = {}
    for state in STATES:
        title = title_of(gallery.answer(state).text)
        states_of.setdefault(title, set()).add(state.name.partition("/")[0])
    shared = {title: sorted(states) for title, states in states_of.items() if len(states) > 1}
    assert not shared


@pytest.mark.parametrize("state", STATES, ids=str)
def test_page_stays_until_its_visitor_goes_on(gallery, state):
    """A page may take its visitor on at once; to be replaced while it is read, with no way to stop it, is another matter.

    WCAG 2.2, 2.2.1 and failure F41. Browsers without scripts cannot be offered better, so `noscript` is left out.
    """
    for order in gallery.answer(state).refreshes():
        assert re.match(r"0\s*;\s*url=", order, re.IGNORECASE), order


@pytest.mark.parametrize("state", [state for state in STATES if state.announces], ids=str)
def test_outcome_is_announced(gallery, open_gallery, state):
    """By a role that screen readers speak up for, or by the focus, which they follow."""
    page = gallery.show(open_gallery(), state)
    announced = page.locator("main :is([role=status], [role=alert], :focus)")
    texts = [text.strip() for text in announced.all_inner_texts()]
    assert texts
    assert all(texts)
