"""A platform with Celery, as Celery's documentation has it: whoever reads the settings imports the app."""

from __future__ import annotations

from .celery import app

__all__ = ["app"]
