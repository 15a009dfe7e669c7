"""The funnel as pictures: SVG without script or style. A page's stylesheet colours the classes; text takes the page's colour.

Without a viewBox: lengths across are percentages, so the pictures fill any width and their letters keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from .cohorts import WeekCohort
from .report import Step

STEP_HEIGHT = 46  # pixels, as all lengths here that are no percentages
BAR_HEIGHT = 18
PLOT_HEIGHT = 180  # of the columns
TOP, BOTTOM = 14, 26  # above and below them, for words
MOST_LABELS = 6  # below the columns, so that they fit on a phone
LEFT = 10.0  # percent, for the numbers beside the columns


def draw_steps(steps: Sequence[Step]) -> SafeString:
    """One bar for each stage, as long as its share of all, with its number."""
    parts = [_draw_step(number, step) for number, step in enumerate(steps)]
    title = _("How far the merchants came")
    return _svg("mollie-funnel-steps", title, _describe(steps), STEP_HEIGHT * len(steps), parts)


def _describe(steps: Iterable[Step]) -> str:
    return ", ".join(f"{step.label}: {_format(step.count)}" for step in steps)


def _draw_step(number: int, step: Step) -> SafeString:
    top = STEP_HEIGHT * number
    return format_html(
        '<text x="0" y="{}">{}</text><text x="100%" y="{}" text-anchor="end">{}</text>'
        '<rect class="mollie-funnel-track" x="0" y="{}" width="100%" height="{}" rx="3"/>'
        '<rect class="mollie-funnel-{}" x="0" y="{}" width="{}%" height="{}" rx="3"/>',
        *(top + 14, step.label, top + 14, _number_and_share(step)),
        *(top + 20, BAR_HEIGHT),
        *(step.stage, top + 20, step.share or 0, BAR_HEIGHT),
    )


def _number_and_share(step: Step) -> str:
    return _format(step.count) if step.share is None else f"{_format(step.count)} · {step.share}%"


def draw_weeks(weeks: Sequence[WeekCohort]) -> SafeString:
    """One column for each week, as high as many entered; within it, from below, how far they came."""
    top_number = _round_up(max(week.counts.total for week in weeks))
    labelled = range(len(weeks) - 1, -1, -math.ceil(len(weeks) / MOST_LABELS))
    width = (100 - LEFT) / len(weeks)
    parts = [
        *_draw_grid(top_number),
        *(
            _draw_week(week, LEFT + width * number, width, top_number, is_labelled=number in labelled)
            for number, week in enumerate(weeks)
        ),
    ]
    height = TOP + PLOT_HEIGHT + BOTTOM
    description = _("The table has the same numbers.")
    return _svg(
        "mollie-funnel-weeks", _("How far they came, by the week they began in"), description, height, parts
    )


def _draw_grid(top_number: int) -> Iterator[SafeString]:
    for number in (0, top_number // 2, top_number):
        y = _y(number, top_number)
        yield format_html(
            '<line class="mollie-funnel-grid" x1="{}%" x2="100%" y1="{}" y2="{}"/>'
            '<text class="mollie-funnel-axis" x="{}%" y="{}" text-anchor="end">{}</text>',
            *(LEFT, y, y),
            *(LEFT - 1.5, float(y) + 4, _format(number)),
        )


def _draw_week(
    week: WeekCohort, left: float, width: float, top_number: int, *, is_labelled: bool
) -> SafeString:
    gap = width * 0.1
    x, column = f"{left + gap:.2f}", f"{width - 2 * gap:.2f}"
    # Each stage over the one before it: what shows of a colour is who came no further.
    bars = format_html_join(
        "",
        '<rect class="mollie-funnel-{}" x="{}%" y="{}" width="{}%" height="{}"/>',
        (
            (stage, x, _y(count, top_number), column, _height(count, top_number))
            for stage, count, _share in week.counts
            if count
        ),
    )
    label = format_html(
        '<text class="mollie-funnel-axis" x="{}%" y="{}" text-anchor="middle">{}</text>',
        *(f"{left + width / 2:.2f}", TOP + PLOT_HEIGHT + 18, week.short_name),
    )
    return format_html("<g><title>{}</title>{}{}</g>", _read_out(week), bars, label if is_labelled else "")


def _read_out(week: WeekCohort) -> str:
    numbers = (f"{stage.label} {_format(count)}" for stage, count, _share in week.counts)
    day = week.monday or ""
    return f"{day} {week.short_name}: {', '.join(numbers)}".strip()


def _svg(name: str, title: str, description: str, height: int, parts: Iterable[SafeString]) -> SafeString:
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" class="mollie-funnel-plot" role="img" width="100%" height="{}"'
        ' aria-labelledby="{}-title" aria-describedby="{}-description" fill="currentColor">'
        '<title id="{}-title">{}</title><desc id="{}-description">{}</desc>{}</svg>',
        *(height, name, name, name, title, name, description, SafeString("".join(parts))),
    )


def _y(count: int, top_number: int) -> str:
    return f"{TOP + PLOT_HEIGHT * (1 - count / top_number):.1f}"


def _height(count: int, top_number: int) -> str:
    return f"{PLOT_HEIGHT * count / top_number:.1f}"


def _round_up(number: int) -> int:
    """An even number of one or two digits that count, so that half of it is whole."""
    step = 2 * int("1" + "0" * (len(str(number)) - 2)) if number > 99 else 2
    return max(step, math.ceil(number / step) * step)


def _format(number: int) -> str:
    return number_format(number, use_l10n=True, force_grouping=True)
