"""axe-core finds nothing: in every state, in four languages, in the light and the dark, on a phone and a desktop."""

from __future__ import annotations

import pytest

from .axe import find_violations, load_axe
from .gallery import LANGUAGES, STATES
from .visitor import DESKTOP, PHONE

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("state", STATES, ids=str)
def test_axe_finds_nothing(gallery, open_gallery, state):
    found: dict[str, list[str]] = {}
    visitor = open_gallery()
    for language in LANGUAGES:
        page = gallery.show(visitor, state, language)
        load_axe(page)
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        for size in (PHONE, DESKTOP):
            page.set_viewport_size(size)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                # The dark theme has other colours, and is the same page in all else: two minutes are saved by that.
                for violation in find_violations(page, only_colours=scheme == "dark"):
                    found.setdefault(violation, []).append(f"{language} {size['width']} {scheme}")
    assert not found, "\n".join(
        f"{violation}\n    in {', '.join(where)}" for violation, where in found.items()
    )


def test_axe_finds_what_is_wrong(open_gallery):
    """If this is not found, that nothing is found means nothing."""
    page = open_gallery().page
    page.set_content(
        """<!DOCTYPE html><html><title>x</title><style>@media (prefers-color-scheme: dark) { p { color: #eee } }</style>
        <main><h2>No first heading</h2><p>Pale in the dark</p><input>
        <button style="width: 9px; height: 9px; padding: 0">a</button><button style="width: 9px; height: 9px; padding: 0">b</button>
        </main></html>"""
    )
    load_axe(page)
    in_the_light = "\n".join(find_violations(page))
    for rule in ("html-has-lang", "page-has-heading-one", "label", "target-size"):
        assert f"{rule}:" in in_the_light
    assert "color-contrast:" not in in_the_light
    page.emulate_media(color_scheme="dark")
    assert "color-contrast:" in "\n".join(find_violations(page, only_colours=True))
