"""The import of merchants: what each row of a file would become, and all of it at once or nothing."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils.translation import gettext

from mollie_onboarding.models import (
    Batch,
    BatchItem,
    Changes,
    ClientLink,
    Event,
    Reason,
    label_of,
    locked,
)
from mollie_onboarding.services import reason_not_to_send
from mollie_onboarding.services.retrying import try_again

from .columns import IMPORTED_COLUMNS, undo_neutralizing
from .duplicates import Key, SeenRows, find_client_links, keys_of, keys_to_look_for
from .reading import Row, Spreadsheet
from .resource import ClientLinkResource, GivenInstance

CHUNK_SIZE = 500  # rows that are looked up, and written, together
SHOWN_ERRORS = 100
SHOWN_ROWS = 20
SHOWN_NUMBERS = 10  # of rows that are skipped for one reason


class Becomes(StrEnum):
    """What a row of the file becomes."""

    NEW = "new"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    WRONG = "wrong"


class Finding(NamedTuple):
    """Something that is to be said of a row."""

    row: int
    column: str  # as the file calls it; '' where it is about the whole row
    sentence: str
    merchant: str = ""  # the reference, or the name, as the file has it
    value: str = ""  # of the cell


@dataclass(frozen=True)
class Outcome:
    row: int
    cells: list[str]
    becomes: Becomes
    client_link: ClientLink | None = None
    findings: tuple[Finding, ...] = ()  # errors, or why it is skipped
    warnings: tuple[Finding, ...] = ()
    could_be_updated: bool = False


@dataclass
class SkippedRows:
    """Rows that are skipped for one reason: the first of them, and how many they are."""

    sentence: str
    rows: list[int] = field(default_factory=list)
    count: int = 0

    @property
    def more(self) -> int:
        return self.count - len(self.rows)


@dataclass
class Report:
    """How many rows become what, and the first of each kind."""

    counts: Counter[Becomes] = field(default_factory=Counter)
    error_count: int = 0
    errors: list[Finding] = field(default_factory=list)
    skipped: list[SkippedRows] = field(default_factory=list)
    warning_count: int = 0
    warnings: list[Finding] = field(default_factory=list)
    sample: list[Outcome] = field(default_factory=list)
    could_be_updated: int = 0  # of those that are skipped

    def add(self, outcome: Outcome) -> None:
        self.counts[outcome.becomes] += 1
        if outcome.becomes == Becomes.WRONG:
            self.error_count += len(outcome.findings)
            self.errors += outcome.findings[: SHOWN_ERRORS - len(self.errors)]
        elif outcome.becomes == Becomes.SKIPPED:
            self._add_skipped(*outcome.findings)
            self.could_be_updated += outcome.could_be_updated
        elif len(self.sample) < SHOWN_ROWS and outcome.becomes != Becomes.UNCHANGED:
            self.sample.append(outcome)
        self.warning_count += len(outcome.warnings)
        self.warnings += outcome.warnings[: SHOWN_ROWS - len(self.warnings)]

    def leave_out(self, row: int, reason: str) -> None:
        """Skip a row after all that was counted among the updates."""
        self.counts[Becomes.UPDATED] -= 1
        self.counts[Becomes.SKIPPED] += 1
        self.sample = [outcome for outcome in self.sample if outcome.row != row]
        self._add_skipped(Finding(row, "", reason))

    def _add_skipped(self, finding: Finding) -> None:
        """To the others of the same reason: what is rare is not lost among what is frequent."""
        known = next((group for group in self.skipped if group.sentence == finding.sentence), None)
        if known is None and len(self.skipped) < SHOWN_ROWS:
            known = SkippedRows(finding.sentence)
            self.skipped.append(known)
        if known:
            known.count += 1
            known.rows += [finding.row] * (len(known.rows) < SHOWN_NUMBERS)

    @property
    def new(self) -> int:
        return self.counts[Becomes.NEW]

    @property
    def updated(self) -> int:
        return self.counts[Becomes.UPDATED]

    @property
    def unchanged(self) -> int:
        return self.counts[Becomes.UNCHANGED]

    @property
    def skipped_count(self) -> int:
        return self.counts[Becomes.SKIPPED]

    @property
    def wrong(self) -> int:
        return self.counts[Becomes.WRONG]

    @property
    def right(self) -> int:
        return self.new + self.updated


class Import:
    """One pass over a spreadsheet. With `updates` a merchant who is here already is corrected, else skipped."""

    def __init__(self, spreadsheet: Spreadsheet, *, updates: bool = False) -> None:
        self.spreadsheet = spreadsheet
        self.header = spreadsheet.header
        self.updates = updates
        self.resource = ClientLinkResource()
        # What is remembered of the rows that were right so far.
        self.seen = SeenRows()
        self.updated: dict[uuid.UUID, int] = {}  # row of the file by client link

    def preview(self) -> Report:
        """What would become of the file. Writes nothing."""
        report = Report()
        for outcomes in self.outcomes():
            for outcome in outcomes:
                report.add(outcome)
        return report

    def wrong_rows(self) -> Iterator[tuple[list[str], str]]:
        """The cells of each wrong row, and what is wrong with it."""
        for outcomes in self.outcomes():
            for outcome in outcomes:
                if outcome.becomes == Becomes.WRONG:
                    yield (
                        outcome.cells,
                        " ".join(
                            f"{finding.column}: {finding.sentence}" if finding.column else finding.sentence
                            for finding in outcome.findings
                        ),
                    )

    def write(self, batch_id: uuid.UUID, *, actor: Any, description: str) -> tuple[Report, Batch | None]:
        """Import all rows that are right, in one transaction, and prepare a batch of those that wait for a mail.

        The batch is None where none does. A second run with the same id raises `IntegrityError`, also at the same
        time. A failure leaves nothing; after a deadlock all of it is tried again.
        """
        return try_again(partial(self._write, batch_id, actor, description))

    def _write(self, batch_id: uuid.UUID, actor: Any, description: str) -> tuple[Report, Batch | None]:
        report = Report()
        edits: dict[uuid.UUID, Changes] = {}
        with transaction.atomic():
            _wait_for_other_imports()
            batch = Batch(
                pk=batch_id,
                source=Batch.Source.IMPORT,
                description=description[: Batch._meta.get_field("description").max_length],
                created_by=actor,
            )
            batch.save(force_insert=True)
            for outcomes in self.outcomes():
                _write_new(_client_links(outcomes, Becomes.NEW), batch)
                edits |= {row.pk: row.edits() for row in _client_links(outcomes, Becomes.UPDATED)}
                for outcome in outcomes:
                    report.add(outcome)
            # Last of all: a merchant who comes back from Mollie, with a code that soon is over, waits for these locks.
            self._write_edits(edits, batch, report)
            if not batch.count:
                batch.delete()
                return report, None
            batch.save(update_fields=["count"])
        return report, batch

    def _write_edits(self, edits: dict[uuid.UUID, Changes], batch: Batch, report: Report) -> None:
        """Correct the merchants who are here already, in the order in which others lock many rows."""
        keys = ClientLink.objects.in_lock_order(edits)
        for start in range(0, len(keys), CHUNK_SIZE):
            chunk = keys[start : start + CHUNK_SIZE]
            # Not the requests of whoever keeps the address: their codes can be exchanged meanwhile.
            held = ClientLink.objects.hold(
                chunk, requests_of=[pk for pk in chunk if "owner_email" in edits[pk]]
            )
            # Somebody may have connected since the row was read.
            reasons = {pk: reason for pk in chunk if (reason := _reason_to_leave_now(held.get(pk)))}
            _write_held(held, {pk: edits[pk] for pk in chunk if pk not in reasons}, batch)
            for pk, reason in reasons.items():
                report.leave_out(self.updated[pk], reason)

    def outcomes(self) -> Iterator[list[Outcome]]:
        """What becomes of the rows, some at a time. Raises `UnreadableFileError` where the file breaks off."""
        self.seen, self.updated = SeenRows(), {}
        rows = self.spreadsheet.rows()
        while chunk := list(islice(rows, CHUNK_SIZE)):
            cells = [self._cells_of(row) for _number, row in chunk]
            known = find_client_links(cells)
            yield [self._outcome(row, texts, known) for row, texts in zip(chunk, cells, strict=True)]

    def _cells_of(self, row: list[str]) -> dict[str, str]:
        """The texts of a row by column."""
        return {
            column: undo_neutralizing(row[place]) if place < len(row) else ""
            for column, place in self.header.places.items()
        }

    def _outcome(self, row: Row, cells: dict[str, str], known: dict[Key, ClientLink]) -> Outcome:
        number, texts = row
        if any(texts[len(self.header.names) :]):
            sentence = gettext("This row has more cells than there are columns.")
            finding = Finding(number, "", sentence, _merchant_of(cells))
            return Outcome(number, texts, Becomes.WRONG, findings=(finding,))
        existing = self._find(cells, known)
        reason = self._reason_to_skip(cells, existing)
        if reason or (existing and not self.updates):
            finding = Finding(number, "", reason or gettext("The merchant is here already."))
            return Outcome(number, texts, Becomes.SKIPPED, findings=(finding,), could_be_updated=not reason)
        outcome = self._read(number, texts, cells, existing)
        if outcome.client_link:
            self.seen.add(keys_of(outcome.client_link), number)
            if existing:
                self.updated[existing.pk] = number
        return outcome

    def _find(self, cells: dict[str, str], known: dict[Key, ClientLink]) -> ClientLink | None:
        """The client link that the row is about; None for a merchant who is new."""
        existing = next((known[key] for key in keys_to_look_for(cells) if key in known), None)
        if existing and cells.get("reference") and not existing.reference and existing.pk in self.updated:
            # It gets the reference of a row above, which is another one: rows with the same are among the seen ones.
            return None
        return existing

    def _reason_to_skip(self, cells: dict[str, str], existing: ClientLink | None) -> str:
        """Why the row can neither be added nor update a client link; '' where it can."""
        number = self.seen.find(keys_to_look_for(cells)) or (existing and self.updated.get(existing.pk))
        if number:
            return gettext("The same merchant is in row %(row)d.") % {"row": number}
        return _reason_to_leave(existing) if existing else ""

    def _read(
        self, number: int, texts: list[str], cells: dict[str, str], existing: ClientLink | None
    ) -> Outcome:
        before = {name: getattr(existing, name) for name in IMPORTED_COLUMNS} if existing else {}
        # An empty cell of a merchant who is here already leaves what is there.
        given = {column: text for column, text in cells.items() if text or not existing}
        if existing:
            given.setdefault("country", existing.country)  # by which other cells are read
        # A copy: a row that is wrong must leave no trace in what another one finds.
        result = self.resource.import_row(given, GivenInstance(copy(existing)), row_number=number)
        if result.errors:
            raise result.errors[0].error
        if result.validation_error:
            findings = self._name(number, result.validation_error.message_dict, cells)
            return Outcome(number, texts, Becomes.WRONG, findings=findings)
        row: ClientLink = result.instance
        is_changed = any(getattr(row, name) != value for name, value in before.items())
        warnings = self._name(number, row.warnings(), cells)
        becomes = Becomes.UPDATED if is_changed else Becomes.UNCHANGED if existing else Becomes.NEW
        return Outcome(number, texts, becomes, row, warnings=warnings)

    def _name(
        self, number: int, messages: dict[str, list[Any]], cells: dict[str, str]
    ) -> tuple[Finding, ...]:
        merchant = _merchant_of(cells)
        return tuple(
            Finding(number, self._call(column), str(sentence), merchant, cells.get(column, ""))
            for column, sentences in messages.items()
            for sentence in sentences
        )

    def _call(self, column: str) -> str:
        return self.header.name_of(column) if column in self.header.places else label_of(column)


def _merchant_of(cells: dict[str, str]) -> str:
    """By what the operator knows the merchant of a row."""
    return cells.get("reference") or cells["organization_name"] or cells["owner_email"]


def _reason_to_leave(existing: ClientLink) -> str:
    """Why a merchant who is here already is not changed, whatever the file says; '' where they may be."""
    if existing.is_cancelled:
        return str(Reason.CANCELLED.label)
    if existing.anonymized_at:
        return str(Reason.ERASED.label)
    return str(Reason.CONNECTED.label) if existing.is_connected else ""


def _client_links(outcomes: list[Outcome], becomes: Becomes) -> list[ClientLink]:
    """The client links of those rows that become this."""
    return [outcome.client_link for outcome in outcomes if outcome.becomes == becomes and outcome.client_link]


def _reason_to_leave_now(held: ClientLink | None) -> str:
    """The same of a row that is held. One that is not there any more was deleted, as the retention settings say."""
    return _reason_to_leave(held) if held else str(Reason.ERASED.label)


def _wait_for_other_imports() -> None:
    """One import at a time: of two of the same file the second one finds what the first has written."""
    # By a row that nothing else refers to. On MariaDB whoever refers to a locked row waits, such as the admin's log,
    # which refers to the content types of what the admin shows.
    content_type = ContentType.objects.get_for_model(BatchItem)
    locked(ContentType.objects.filter(pk=content_type.pk)).get()


def _write_new(rows: list[ClientLink], batch: Batch) -> None:
    """Add the merchants, and put them into the batch."""
    for row in rows:
        row.created_by = batch.created_by
    ClientLink.objects.bulk_create(rows)
    Event.objects.record_for_each("created", [row.pk for row in rows], actor=batch.created_by)
    _put_into(batch, rows)


def _write_held(held: dict[uuid.UUID, ClientLink], edits: dict[uuid.UUID, Changes], batch: Batch) -> None:
    """Write the edits of rows that are locked, and put those that wait for a mail into the batch."""
    moved = ClientLink.objects.write_edits(held, edits, actor=batch.created_by)
    _put_into(batch, [held[pk] for pk in edits if _waits_for_mail(held[pk], pk in moved)])


def _put_into(batch: Batch, rows: list[ClientLink]) -> None:
    BatchItem.objects.bulk_create(BatchItem(batch=batch, client_link=row) for row in rows)
    batch.count += len(rows)


def _waits_for_mail(row: ClientLink, is_moved: bool) -> bool:
    """Whether an updated merchant has no link in the mailbox: none was sent yet, or it went to another address."""
    return (row.first_sent_at is None or is_moved) and not reason_not_to_send(row)
