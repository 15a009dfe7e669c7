"""What a run of a flow stands on: clean databases, a merchant's browser, the mails that left and the signals that came."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from django.core import mail
from django.core.cache import cache
from django.db import connections, models, router
from django.dispatch import Signal

from mollie_onboarding.models import (
    AuthorizationRequest,
    Batch,
    BatchItem,
    CallBudget,
    ClientLink,
    Event,
    MailQuota,
    Organization,
    StatusSync,
)
from mollie_onboarding.sandbox import service as sandbox
from mollie_onboarding.services.announcing import SIGNALS
from tests.conftest import MERCHANT, Browser

# In an order in which they can be deleted.
MODELS: tuple[type[models.Model], ...] = (
    *sandbox.MODELS,
    Event,
    BatchItem,
    AuthorizationRequest,
    ClientLink,
    Batch,
    Organization,
    StatusSync,
    CallBudget,
    MailQuota,
)


@dataclass
class Scene:
    """Where a flow begins, as text, so that another process can take it up.

    `mails` is a folder with a file for each mail, `heard` a file with a line for each signal: both outlive a process
    that is killed. `values` is whatever the flow prepares for itself.
    """

    mails: str
    heard: str
    values: dict[str, Any] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    answer: Any = field(default=None, repr=False)  # what the person in front of it was last shown

    def dump(self) -> dict[str, Any]:
        cookies = {name: morsel.value for name, morsel in self.browser.cookies.items()}
        return {"mails": self.mails, "heard": self.heard, "values": self.values, "cookies": cookies}

    @classmethod
    def load(cls, dumped: dict[str, Any]) -> Self:
        return cls(**dumped)

    def __post_init__(self) -> None:
        self.browser = Browser(enforce_csrf_checks=True)
        for name, value in self.cookies.items():
            self.browser.cookies[name] = value

    @property
    def row(self) -> ClientLink:
        """The one merchant, as the database has them."""
        return ClientLink.objects.select_related("organization").get()

    @property
    def organization(self) -> Organization:
        return Organization.objects.get()


def make_row(**columns: Any) -> ClientLink:
    row = ClientLink(**{**MERCHANT, **columns})
    row.save()
    return ClientLink.objects.get(pk=row.pk)


Rows = list[tuple[Any, ...]]


def new_scene(directory: Path) -> Scene:
    """Empty databases, no mail, nothing heard."""
    for model in MODELS:
        with _cursor(model) as cursor:
            cursor.execute(f"DELETE FROM {_table(model)[0]}")
    cache.clear()
    mail.outbox.clear()
    folder = directory / "mails"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    heard = directory / "heard"
    heard.write_text("")
    return Scene(mails=str(folder), heard=str(heard))


class Snapshot:
    """A scene that was prepared, with all that the databases hold: to be begun with again and again."""

    def __init__(self, scene: Scene) -> None:
        self._dumped = scene.dump()
        self._heard = Path(scene.heard).read_text()
        self._rows = {model: _read_rows(model) for model in MODELS}

    def restore(self, directory: Path) -> Scene:
        scene = new_scene(directory)
        Path(scene.heard).write_text(self._heard)
        for model in reversed(MODELS):
            _write_rows(model, self._rows[model])
        return Scene.load(self._dumped)


def _cursor(model: type[models.Model]) -> Any:
    return connections[router.db_for_write(model)].cursor()


def _table(model: type[models.Model]) -> tuple[str, str]:
    """The quoted name, and the quoted columns with commas between them."""
    quote = connections[router.db_for_write(model)].ops.quote_name
    columns = ", ".join(quote(field.column) for field in model._meta.concrete_fields if not field.generated)
    return quote(model._meta.db_table), columns


def _read_rows(model: type[models.Model]) -> Rows:
    table, columns = _table(model)
    with _cursor(model) as cursor:
        cursor.execute(f"SELECT {columns} FROM {table}")
        return list(cursor.fetchall())


def _write_rows(model: type[models.Model], rows: Rows) -> None:
    if rows:
        table, columns = _table(model)
        values = ", ".join(["%s"] * len(rows[0]))
        with _cursor(model) as cursor:
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({values})", rows)


def count_mails(scene: Scene) -> Counter[str]:
    """How often each mail left, by its Message-ID: those of this process, and those of killed ones."""
    found = [message.extra_headers["Message-ID"] for message in mail.outbox]
    for path in Path(scene.mails).iterdir():  # each may hold several
        found += re.findall(r"^Message-ID:\s+(<\S+>)", path.read_text(), re.MULTILINE)
    return Counter(found)


def heard_events(scene: Scene) -> Counter[int]:
    """How often the platform heard of each event, by its key."""
    return Counter(int(line) for line in Path(scene.heard).read_text().split())


@contextmanager
def listening(path: str) -> Iterator[None]:
    """Be a platform that listens to every signal, and writes down at once what it hears."""

    def receive(event: Event, **arguments: Any) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{event.pk}\n".encode())
        os.close(descriptor)

    signals: dict[int, Signal] = {id(signal): signal for signal, _sender in SIGNALS.values()}
    for signal in signals.values():
        signal.connect(receive)
    try:
        yield
    finally:
        for signal in signals.values():
            signal.disconnect(receive)
