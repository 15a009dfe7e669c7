"""The import of 10,000 and 20,000 merchants, from CSV and XLSX, and the export of all of them.

    python -m tests.benchmarks.spreadsheets

Seconds are those of the clock, on the database of `DATABASE_URL`. Memory is what Python held at most beyond what it
held before, the uploaded file excepted.
"""

from __future__ import annotations

import os
import time
import tracemalloc
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

if __name__ == "__main__":
    django.setup()

from django.contrib.auth import get_user_model
from django.db import connection

from mollie_onboarding.models import Batch, ClientLink
from mollie_onboarding.spreadsheets.columns import IMPORTED_COLUMNS
from mollie_onboarding.spreadsheets.importing import Import
from mollie_onboarding.spreadsheets.reading import Spreadsheet
from mollie_onboarding.spreadsheets.writing import export_rows, stream_csv, write_xlsx
from tests.conftest import MERCHANT

SIZES = (10_000, 20_000)


def merchants(count: int, city: str = "Amsterdam") -> Iterator[list[str]]:
    """A spreadsheet in which no two merchants are the same."""
    yield list(IMPORTED_COLUMNS)
    for number in range(count):
        changes = {
            "reference": f"shop-{number}",
            "organization_name": f"Bakkerij {number}",
            "owner_email": f"owner-{number}@shops.example",
            "city": city,
        }
        yield [str({**MERCHANT, **changes}.get(column, "")) for column in IMPORTED_COLUMNS]


def make_csv(count: int, city: str = "Amsterdam") -> bytes:
    return "".join(stream_csv(merchants(count, city))).encode()


def make_xlsx(count: int) -> bytes:
    with write_xlsx({"Merchants": merchants(count)}) as file:
        return file.read()


def seconds(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def megabytes(function: Callable[[], Any]) -> float:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / 1024**2
    finally:
        tracemalloc.stop()


def preview(content: bytes) -> None:
    Import(Spreadsheet(content)).preview()


def write(content: bytes, actor: Any, *, updates: bool = False) -> None:
    run = Import(Spreadsheet(content), updates=updates)
    run.write(uuid.uuid4(), actor=actor, description="benchmark")


def forget() -> None:
    Batch.objects.all().delete()
    ClientLink.objects.all().delete()


def print_spreadsheets() -> None:
    actor = get_user_model().objects.create_user("operator of the benchmark")
    print(f"\nSpreadsheets, on {connection.vendor}.\n")
    print(f"{'':34}" + "".join(f"{size:>12,} rows" for size in SIZES))
    makers: dict[str, Callable[[int], bytes]] = {"CSV": make_csv, "XLSX": make_xlsx}
    for name, make in makers.items():
        files = [make(size) for size in SIZES]
        _print(f"{name}: the file", [len(file) / 1024**2 for file in files], "MB")
        _print(f"{name}: preview", [seconds(lambda file=file: preview(file)) for file in files], "s")
        imported = []
        for file in files:
            imported.append(seconds(lambda file=file: write(file, actor)))
            forget()
        _print(f"{name}: import", imported, "s")
        memory = [megabytes(lambda file=file: preview(file)) for file in files]
        _print(f"{name}: memory of the preview", memory, "MB")
        memory = []
        for file in files:
            memory.append(megabytes(lambda file=file: write(file, actor)))
            forget()
        _print(f"{name}: memory of the import", memory, "MB")
    write(make_csv(SIZES[0]), actor)
    moved = make_csv(SIZES[0], city="Utrecht")
    _print("update of every row", [seconds(lambda: write(moved, actor, updates=True))], "s")
    forget()
    for size in SIZES:
        write(make_csv(size), actor)
        print(f"export of {size:,} rows")
        for name, export in {"CSV": export_csv, "XLSX": export_xlsx}.items():
            _print(f"  {name}", [seconds(export)], "s")
            _print(f"  {name}: memory", [megabytes(export)], "MB")
        forget()


def export_csv() -> None:
    deque(stream_csv(export_rows(ClientLink.objects.all())), maxlen=0)


def export_xlsx() -> None:
    write_xlsx({"Merchants": export_rows(ClientLink.objects.all())}).close()


def _print(name: str, figures: list[float], unit: str) -> None:
    print(f"{name:34}" + "".join(f"{figure:>14.1f} {unit:2}" for figure in figures))


if __name__ == "__main__":
    from tests.benchmarks.measuring import databases

    with databases(in_memory=False):
        print_spreadsheets()
