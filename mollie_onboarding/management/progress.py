"""How far a command is: a bar where somebody looks at a terminal, a line now and then where the output is kept."""

from __future__ import annotations

import time

from django.core.management.base import OutputWrapper

WIDTH = 30  # characters of the bar
BAR_INTERVAL = 0.2  # seconds
LINE_INTERVAL = 10.0  # seconds


class Progress:
    """Writes to a stream how many of `total` are done. Call `show` as often as you like, and `finish` at the end."""

    def __init__(self, stream: OutputWrapper, total: int) -> None:
        self._stream = stream
        self._total = total
        self._is_terminal = stream.isatty()
        self._shown_at = time.monotonic()
        self._was_shown = False

    def show(self, done: int, failed: int) -> None:
        interval = BAR_INTERVAL if self._is_terminal else LINE_INTERVAL
        if time.monotonic() - self._shown_at < interval:
            return
        self._shown_at = time.monotonic()
        self._was_shown = True
        total = max(self._total, done)  # rows whose claim ran out on the way come on top
        numbers = f"{done} of {total}, {failed} failed"
        if self._is_terminal:
            full = WIDTH * done // total if total else WIDTH
            self._write(f"\r[{'#' * full}{'.' * (WIDTH - full)}] {numbers}\x1b[K")
        else:
            self._write(f"{numbers}\n")

    def finish(self) -> None:
        """Clear the bar away, for what is printed next."""
        if self._was_shown and self._is_terminal:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self._stream.write(text, style_func=str, ending="")
        self._stream.flush()
