"""What happens, told twice in one place: a log record with its ids as fields, and a signal that can be counted.

Names and fields are listed in the README, under "Logs and metrics". They name rows and organizations, never people.
"""

from __future__ import annotations

import logging

from .signals import observed


def observe(
    logger: logging.Logger, level: int, name: str, message: str, *, exc_info: bool = False, **fields: object
) -> None:
    """Log `message`, which takes its values from the fields (`%(reason)s`), and send `signals.observed`.

    The record has the fields as attributes, and the name as `event_name`, so that a JSON formatter needs no parsing. What
    is neither a number nor a text is written as one. A receiver's error is logged by Django and stops nobody.
    """
    values = {key: value if isinstance(value, (int, float)) else str(value) for key, value in fields.items()}
    # Without fields there is nothing to put into the message, and `logging` would not take an empty dictionary.
    arguments = [values] if values else []
    extra = {"event_name": name, **values}
    logger.log(level, message, *arguments, exc_info=exc_info, extra=extra, stacklevel=2)
    observed.send_robust(None, name=name, level=level, fields=values)
