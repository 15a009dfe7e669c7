"""axe-core, run inside a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Target size is in none of the tags that axe runs by default.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
RUN = """async ([within, only]) => {
  const found = await axe.run(within || document, {runOnly: only, resultTypes: ["violations"]});
  return found.violations.map(rule => [rule.id, rule.help, rule.nodes.map(node => [node.html, node.failureSummary])]);
}"""


def load_axe(page: Page) -> None:
    from axe_playwright_python.base import AXE_SCRIPT

    page.evaluate(AXE_SCRIPT)


def find_violations(page: Page, *, only_colours: bool = False, within: str = "") -> list[str]:
    """What axe-core objects to, in readable lines. Needs `load_axe`. `within` is the selector of a part of the page."""
    only = {"type": "rule", "values": COLOUR_RULES} if only_colours else {"type": "tag", "values": TAGS}
    found: list[Any] = page.evaluate(RUN, [within, only])
    return [
        f"{rule}: {help_text}\n    {html}\n    {' '.join(summary.split())}"
        for rule, help_text, nodes in found
        for html, summary in nodes
    ]
