"""As many merchants as a table is to hold, made by the database itself: realistic in what the admin's lists look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, models

from mollie_onboarding.models import AuthorizationRequest, ClientLink, Event, Organization

TRADES = "Bakkerij Slagerij Kapsalon Garage Drukkerij Atelier Brouwerij Apotheek Juwelier Bloemist Fietsenmaker Kwekerij"
PLACES = "Amsterdam Rotterdam Utrecht Gent Antwerpen Leuven Keulen Aken Parijs Rijsel Wenen Madrid"
SYLLABLES = "Jan Bak Vis Molen Berg Dijk Hof Meer Veld Bosch Kamp Linden Stein Haas Wolf Zand"
FORMS = "BV BV BV VOF NV GmbH SARL Holding Groep Shop"
COUNTRIES = "NL NL NL NL BE BE DE DE FR AT ES IT PL PT SE DK FI IE LU CZ"
RARE_NAME = "Zonnewijzer & Dochters"  # the one row of its name
FULL_SCOPE = "organizations.read onboarding.read onboarding.write"


def word(words: str, number: str) -> str:
    """SQL for one of the words."""
    listed = words.split()
    return f"('{{{','.join(listed)}}}'::text[])[1 + ({number}) % {len(listed)}]"


def share(salt: int, per_mille: int) -> str:
    """SQL for a condition that so many of a thousand rows meet, spread evenly, whatever others say."""
    return f"{thousandth(salt)} < {per_mille}"


def thousandth(salt: int) -> str:
    # The hash of PostgreSQL is the same on every machine.
    return f"(hashint4extended(i, {salt}) & 1048575) % 1000"


NAME = " || ' ' || ".join(
    [
        word(TRADES, "i"),
        f"{word(SYLLABLES, 'i / 7')} || lower({word(SYLLABLES, 'i / 112')} || {word(SYLLABLES, 'i / 1792')})",
        word(PLACES, "i / 5"),
        word(FORMS, thousandth(1)),
    ]
)
STATUS = f"""CASE
    WHEN {thousandth(2)} < 400 THEN 'connected' WHEN {thousandth(2)} < 640 THEN 'ready'
    WHEN {thousandth(2)} < 800 THEN 'started' WHEN {thousandth(2)} < 900 THEN 'draft'
    WHEN {thousandth(2)} < 940 THEN 'declined' WHEN {thousandth(2)} < 995 THEN 'cancelled' ELSE 'rejected' END"""
IS_CONNECTED = f"{thousandth(2)} < 400"
IS_ISSUED = f"({thousandth(2)} < 800 OR {thousandth(2)} BETWEEN 900 AND 939)"
# Two years of merchants: the age of the rows is the order in which they lie in the table.
AGE = "(SELECT now()) - ({count} - i) * (interval '730 days' / {count})"
COLUMNS: dict[type[models.Model], dict[str, str]] = {
    Organization: {
        "id": "i",
        "organization_id": "'org_' || i",
        "name": NAME,
        "scope": f"CASE WHEN {share(3, 10)} THEN 'organizations.read' ELSE '{FULL_SCOPE}' END",
        "connection_status": f"CASE WHEN {share(4, 5)} THEN 'lost' WHEN {share(4, 50)} THEN 'disconnected' ELSE 'connected' END",
        "last_error": f"CASE WHEN {share(5, 10)} THEN 'invalid_client' ELSE '' END",
        "onboarding_status": f"CASE WHEN {share(6, 700)} THEN 'completed' WHEN {share(6, 800)} THEN 'in-review' ELSE 'needs-data' END",
        "can_receive_payments": share(6, 750),
        "can_receive_settlements": share(6, 700),
        "pending_revocation": f"CASE WHEN {share(7, 1)} THEN 'fernet1$' END",
        "payments_enabled_at": f"CASE WHEN {share(6, 750)} THEN {AGE} + interval '4 days' END",
        "completed_at": f"CASE WHEN {share(6, 700)} THEN {AGE} + interval '5 days' END",
        "missing_since": f"CASE WHEN {share(8, 2)} THEN {AGE} END",
        "synced_at": f"now() - {thousandth(9)} * interval '1 minute' - CASE WHEN {share(10, 10)} THEN interval '3 days' ELSE interval '0' END",
        "refresh_key": "gen_random_uuid()::text",
        "created_at": AGE,
        "updated_at": AGE,
    },
    ClientLink: {
        "id": "gen_random_uuid()",
        "owner_email": f"lower({word(SYLLABLES, 'i / 7')}) || '.' || i || '@' || lower({word(TRADES, 'i')}) || '.example'",
        "owner_given_name": word(SYLLABLES, "i / 3"),
        "owner_family_name": word(SYLLABLES, "i / 7"),
        "organization_name": f"CASE WHEN i = 700 THEN '{RARE_NAME}' ELSE {NAME} END",
        "city": word(PLACES, "i / 5"),
        "country": word(COUNTRIES, thousandth(11)),
        "reference": "'shop-' || i",
        "status": STATUS,
        "problem": f"CASE WHEN {share(12, 3)} THEN 'mail_failed' WHEN {share(12, 5)} THEN 'organization_taken' ELSE '' END",
        "identity_check": f"CASE WHEN NOT {IS_CONNECTED} THEN 'unknown' WHEN {share(13, 10)} THEN 'differs' ELSE 'matches' END",
        "mollie_id": f"CASE WHEN {IS_ISSUED} THEN 'cl_' || md5(i::text) END",
        "url": f"CASE WHEN {IS_ISSUED} THEN 'https://my.mollie.com/dashboard/client-link/' || md5(i::text) ELSE '' END",
        "issued_at": f"CASE WHEN {IS_ISSUED} THEN {AGE} END",
        "expires_at": f"CASE WHEN {IS_ISSUED} THEN {AGE} + interval '30 days' END",
        "organization_id": f"CASE WHEN {IS_CONNECTED} THEN i END",
        # A queue of a thousand, half of it waiting for too long.
        "send_requested_at": f"CASE WHEN {share(14, 1)} THEN now() - (i % 20) * interval '1 minute' END",
        "first_sent_at": f"CASE WHEN {IS_ISSUED} THEN {AGE} + interval '1 minute' END",
        "last_sent_at": f"CASE WHEN {IS_ISSUED} THEN {AGE} + interval '1 minute' END",
        "invited_at": f"CASE WHEN {IS_ISSUED} THEN {AGE} + interval '1 minute' END",
        "opened_at": f"CASE WHEN {thousandth(2)} < 400 OR {thousandth(2)} BETWEEN 560 AND 799 THEN {AGE} + interval '1 day' END",
        "started_at": f"CASE WHEN {thousandth(2)} < 400 OR {thousandth(2)} BETWEEN 640 AND 799 THEN {AGE} + interval '2 days' END",
        "connected_at": f"CASE WHEN {IS_CONNECTED} THEN {AGE} + interval '3 days' END",
        "delivery_status": f"CASE WHEN NOT {IS_ISSUED} THEN '' WHEN {share(15, 20)} THEN 'bounced' WHEN {share(15, 22)} THEN 'failed' WHEN {share(15, 300)} THEN 'sent' ELSE 'delivered' END",
        "mail_id": f"CASE WHEN {IS_ISSUED} THEN md5('m' || i) ELSE '' END",
        "created_at": AGE,
        "updated_at": AGE,
    },
}  # fmt: skip


# One click and one entry of history for each client link, of the time of its connection or start.
HISTORY: dict[type[models.Model], dict[str, str]] = {
    AuthorizationRequest: {
        "id": "nextval('{sequence}')",
        "client_link_id": "link.id",
        "flow": "'client_link'",
        "state_digest": "encode(sha256(link.id::text::bytea), 'hex')",
        "browser_digest": "encode(sha256(reverse(link.id::text)::bytea), 'hex')",
        "scope": f"'{FULL_SCOPE}'",
        "approval_prompt": "'auto'",
        "client_id": "'app_test'",
        "created_at": "link.updated_at",
        "expires_at": "link.updated_at + interval '1 day'",
        "answered_at": "link.connected_at",
        "outcome": "CASE WHEN link.connected_at IS NULL THEN '' ELSE 'connected' END",
        "exchanged_at": "link.connected_at",
    },
    Event: {
        "id": "nextval('{sequence}')",
        "client_link_id": "link.id",
        "organization_id": "link.organization_id",
        "kind": "link.status",
        "at": "link.updated_at",
        "data": "'{}'",
        "announced_at": "link.updated_at",
    },
}


def make_rows(count: int) -> None:
    """So many client link requests, with organizations for the connected ones, and no others."""
    tables = ", ".join(model._meta.db_table for model in COLUMNS)
    with connection.cursor() as cursor, _without_indexes(cursor, COLUMNS):
        cursor.execute(f"TRUNCATE {tables} CASCADE")
        for model, columns in COLUMNS.items():
            where = IS_CONNECTED if model is Organization else "TRUE"
            names, values = zip(*_columns(model, columns), strict=True)
            cursor.execute(
                f"INSERT INTO {model._meta.db_table} ({', '.join(names)}) "
                f"SELECT {', '.join(values)} FROM generate_series(1, {count}) i WHERE {where}".replace(
                    "{count}", str(count)
                )
            )
    clean_up()


def make_history() -> None:
    """An authorization request and an event for each of the client links that `make_rows` made."""
    with connection.cursor() as cursor, _without_indexes(cursor, HISTORY):
        for model, columns in HISTORY.items():
            table = model._meta.db_table
            cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
            [sequence] = cursor.fetchone()
            names, values = zip(*_columns(model, columns), strict=True)
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(names)}) "
                f"SELECT {', '.join(values)} FROM {ClientLink._meta.db_table} link".replace(
                    "{sequence}", sequence
                )
            )
        # The organizations were numbered by hand.
        organizations = Organization._meta.db_table
        cursor.execute(
            f"SELECT setval(pg_get_serial_sequence('{organizations}', 'id'), max(id)) FROM {organizations}"
        )
    clean_up()


@contextmanager
def _without_indexes(cursor: Any, tables: Iterable[type[models.Model]]) -> Iterator[None]:
    """The indexes are made anew afterwards, which is faster than one row after the other."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() "
        "AND tablename = ANY(%s) AND indexdef NOT LIKE '%%UNIQUE%%'",
        [[model._meta.db_table for model in tables]],
    )
    indexes = cursor.fetchall()
    cursor.execute("SET maintenance_work_mem = '256MB'")
    for name, _statement in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    for _name, statement in indexes:
        cursor.execute(statement)


@contextmanager
def in_schema(count: int) -> Iterator[None]:
    """In the block, every statement means the tables with so many rows."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET search_path TO with_{count}")
        try:
            yield
        finally:
            cursor.execute("SET search_path TO public")


def make_schema(count: int) -> None:
    """A schema of its own, with the tables of the project, still empty."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA with_{count}")
    with in_schema(count):
        call_command("migrate", verbosity=0)


def clean_up() -> None:
    """What PostgreSQL's own autovacuum does within a minute."""
    with connection.cursor() as cursor:
        for model in (*COLUMNS, *HISTORY, get_user_model()):
            cursor.execute(f"VACUUM ANALYZE {model._meta.db_table}")


def _columns(model: type[models.Model], given: dict[str, str]) -> list[tuple[str, str]]:
    """Each column with the SQL of its value: the given one, or what an empty row of Django's has."""
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    return [(field.column, given.get(field.column) or _literal(field)) for field in fields]


def _literal(field: models.Field[Any, Any]) -> str:
    if field.null:
        return "NULL"
    default = field.get_default()
    if isinstance(default, (list, dict)):
        return "'[]'"
    return f"'{default}'"
