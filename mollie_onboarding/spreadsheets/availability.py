"""Whether this site works with spreadsheets: django-import-export is an extra."""

from __future__ import annotations

from importlib.util import find_spec

from django.apps import apps


def are_spreadsheets_available() -> bool:
    """Whether `import_export` is an app of this site, and what reads XLSX files is installed."""
    return apps.is_installed("import_export") and find_spec("openpyxl") is not None
