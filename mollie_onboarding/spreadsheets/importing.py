"""The import of merchants: what each row of a file would become, and all of it at once or nothing."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils.translation import gettext

from mollie_onboarding.models import (
    Batch,
    BatchItem,
    ClientLink,
    Event,
    Reason,
    label_of,
    locked,
)
from mollie_onboarding.services import reason_not_to_send

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
            self._add_skipped(outcome)
            self.could_be_updated += outcome.could_be_updated
        elif len(self.sample) < SHOWN_ROWS and outcome.becomes != Becomes.UNCHANGED:
            self.sample.append(outcome)
        self.warning_count += len(outcome.warnings)
        self.warnings += outcome.warnings[: SHOWN_ROWS - len(self.warnings)]

    def _add_skipped(self, outcome: Outcome) -> None:
        """To the others of the same reason: what is rare is not lost among what is frequent."""
        [finding] = outcome.findings
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
        time. A failure leaves nothing.
        """
        report = Report()
        client_links = ContentType.objects.get_for_model(ClientLink)
        with transaction.atomic():
            # One import at a time: of two of the same file the second one finds what the first has written.
            locked(ContentType.objects.filter(pk=client_links.pk)).get()
            batch = Batch(
                pk=batch_id,
                source=Batch.Source.IMPORT,
                description=description[: Batch._meta.get_field("description").max_length],
                created_by=actor,
            )
            batch.save(force_insert=True)
            for judged in self.outcomes():
                held = ClientLink.objects.hold([row.pk for row in _client_links(judged, Becomes.UPDATED)])
                outcomes = [_judge_again(outcome, held) for outcome in judged]
                batch.count += self._write_chunk(outcomes, held, batch, actor)
                for outcome in outcomes:
                    report.add(outcome)
            if not batch.count:
                batch.delete()
                return report, None
            batch.save(update_fields=["count"])
        return report, batch

    def _write_chunk(
        self, outcomes: list[Outcome], held: dict[uuid.UUID, ClientLink], batch: Batch, actor: Any
    ) -> int:
        """Write the rows that are right. Gives how many of them the batch has got."""
        new_rows = _client_links(outcomes, Becomes.NEW)
        for row in new_rows:
            row.created_by = actor
        ClientLink.objects.bulk_create(new_rows)
        Event.objects.record_for_each("created", [row.pk for row in new_rows], actor=actor)
        edits = {row.pk: row.edits() for row in _client_links(outcomes, Becomes.UPDATED)}
        moved = ClientLink.objects.write_edits(held, edits, actor=actor)
        to_mail = new_rows + [held[pk] for pk in edits if _waits_for_mail(held[pk], pk in moved)]
        BatchItem.objects.bulk_create(BatchItem(batch=batch, client_link=row) for row in to_mail)
        return len(to_mail)

    def outcomes(self) -> Iterator[list[Outcome]]:
        """What becomes of the rows, some at a time. Raises `UnreadableFileError` where the file breaks off."""
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


def _judge_again(outcome: Outcome, held: dict[uuid.UUID, ClientLink]) -> Outcome:
    """The same, of a merchant who is to be updated, with the row held: somebody may have connected since it was read."""
    if outcome.becomes != Becomes.UPDATED or outcome.client_link is None:
        return outcome
    row = held.get(outcome.client_link.pk)
    # One that is not there any more was deleted meanwhile, as the retention settings say.
    reason = _reason_to_leave(row) if row else str(Reason.ERASED.label)
    if not reason:
        return outcome
    return Outcome(outcome.row, outcome.cells, Becomes.SKIPPED, findings=(Finding(outcome.row, "", reason),))


def _waits_for_mail(row: ClientLink, is_moved: bool) -> bool:
    """Whether an updated merchant has no link in the mailbox: none was sent yet, or it went to another address."""
    return (row.first_sent_at is None or is_moved) and not reason_not_to_send(row)
