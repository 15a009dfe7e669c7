from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import CommandError
from django.core.serializers.base import DeserializationError
from django.db import IntegrityError, connection, transaction
from django.views.debug import ExceptionReporter

from mollie_onboarding.exceptions import DecryptionError
from mollie_onboarding.fields import Secret, decrypt, encrypt, is_encryption_key
from mollie_onboarding.models import ClientLink, Organization

TOKEN = "access_canary_ü"
KEY, OTHER_KEY = (Fernet.generate_key().decode() for _ in range(2))
BAD_KEY = "canary-that-is-no-key"


@pytest.fixture(autouse=True)
def _keys(settings):
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [KEY]


@pytest.fixture
def organization(db):
    Organization.objects.create(organization_id="org_1", access_token=Secret(TOKEN))
    return Organization.objects.get()


def column(name="access_token"):
    """What is really in the database."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name} FROM mollie_onboarding_organization")
        [[value]] = cursor.fetchall()
    return value


# The ciphertext


@pytest.mark.parametrize("text", ["access_1", "", "ü€😀", "fernet1$", "x" * 5000])
def test_encrypt_round_trip(text):
    assert decrypt(encrypt(text)) == text


def test_encrypt_has_a_version_and_no_text():
    first, second = encrypt(TOKEN), encrypt(TOKEN)

    assert first.startswith("fernet1$")
    assert first != second
    assert TOKEN not in first
    assert Fernet(KEY).decrypt(first.removeprefix("fernet1$")) == TOKEN.encode()


@pytest.mark.parametrize("version", ["", "fernet2$", "FERNET1$"])
def test_decrypt_unknown_version(version):
    with pytest.raises(DecryptionError, match="a form that this version does not know"):
        decrypt(version + encrypt(TOKEN).removeprefix("fernet1$"))


def test_lessons_23_wrong_key_raises(settings):
    stored = encrypt(TOKEN)
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [OTHER_KEY]

    with pytest.raises(DecryptionError, match="MOLLIE_ONBOARDING_ENCRYPTION_KEYS"):
        decrypt(stored)


def test_decrypt_changed_text():
    stored = encrypt(TOKEN)

    with pytest.raises(DecryptionError):
        decrypt(stored[:-5] + ("A" if stored[-5] != "A" else "B") + stored[-4:])


def test_decrypt_after_rotation(settings):
    old = encrypt(TOKEN)
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [OTHER_KEY, KEY]
    new = encrypt(TOKEN)

    assert decrypt(old) == TOKEN
    # What is written from now on no longer needs the old key.
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [OTHER_KEY]
    assert decrypt(new) == TOKEN
    with pytest.raises(DecryptionError):
        decrypt(old)


def test_keys_as_one_text(settings):
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = f"{KEY}, {OTHER_KEY}"

    assert decrypt(encrypt(TOKEN)) == TOKEN


@pytest.mark.parametrize("keys", [[], "", None])
def test_keys_missing(settings, keys):
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = keys

    with pytest.raises(ImproperlyConfigured, match="MOLLIE_ONBOARDING_ENCRYPTION_KEYS is not set"):
        encrypt(TOKEN)


@pytest.mark.parametrize(
    "key",
    [KEY, f" {KEY}", KEY[:-1], KEY[:-4], KEY + "AAAA", KEY.replace("=", ""), BAD_KEY, KEY + "€", ""],
    ids="whole space cut short long unpadded words euro empty".split(),
)
def test_encryption_key_is_what_fernet_takes(key):
    try:
        Fernet(key)
    except ValueError:
        assert not is_encryption_key(key)
    else:
        assert is_encryption_key(key)


@pytest.mark.parametrize(
    "use", [lambda: encrypt(TOKEN), lambda: decrypt("fernet1$x")], ids=["encrypt", "decrypt"]
)
@pytest.mark.parametrize("bad_key", [BAD_KEY, BAD_KEY + "€", "c2hvcnQgY2FuYXJ5"])
def test_key_malformed_is_not_shown(settings, bad_key, use):
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [KEY, bad_key]

    with pytest.raises(ImproperlyConfigured, match="something that is not a Fernet key") as caught:
        use()

    frames = ExceptionReporter(None, *sys_info(caught.value)).get_traceback_frames()
    shown = "".join(traceback.format_exception(caught.value)) + repr(
        [frame["vars"] for frame in frames if frame["filename"].endswith("mollie_onboarding/fields.py")]
    )
    for secret in (KEY, bad_key, TOKEN):
        assert secret not in shown


def sys_info(error):
    return type(error), error, error.__traceback__


# The secret


def test_secret_reveals_only_when_asked(caplog):
    secret = Secret(TOKEN)

    logging.getLogger("test").warning("%s %r %s", secret, secret, [secret])
    shown = f"{secret} {secret!r} {secret!s} {format(secret)} {[secret]} {(secret,)}"

    assert secret.reveal() == TOKEN
    assert TOKEN not in shown + caplog.text
    assert str(secret) == "<Secret>"
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        format(secret, ">20")


def test_secret_equality(settings):
    assert Secret(TOKEN) == Secret(stored=encrypt(TOKEN))
    assert Secret(TOKEN) != Secret("another")
    assert Secret(TOKEN) != TOKEN
    assert (Secret(TOKEN) == None) is False  # noqa: E711


def test_secret_is_no_key_of_a_dict():
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret(TOKEN))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_secret_is_not_pickled(protocol):
    with pytest.raises(TypeError):
        pickle.dumps(Secret(TOKEN), protocol)


@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy])
def test_secret_is_its_own_copy(copying):
    secret = Secret(TOKEN)

    assert copying(secret) is secret
    assert copying([secret])[0] is secret


def test_secret_is_decrypted_once(monkeypatch):
    calls = []
    monkeypatch.setattr("mollie_onboarding.fields.decrypt", lambda stored: calls.append(stored) or TOKEN)
    secret = Secret(stored="fernet1$x")

    assert [secret.reveal(), secret.reveal()] == [TOKEN, TOKEN]
    assert calls == ["fernet1$x"]


def test_secret_is_encrypted_once():
    secret = Secret(TOKEN)

    assert secret.to_stored() == secret.to_stored()


def test_secret_of_nothing():
    assert decrypt(Secret("").to_stored()) == ""
    assert decrypt(Secret().to_stored()) == ""
    with pytest.raises(DecryptionError):
        Secret().reveal()


# The column


def test_column_round_trip(organization):
    assert organization.access_token.reveal() == TOKEN
    assert organization.refresh_token is None
    assert column().startswith("fernet1$")
    assert TOKEN not in column()
    assert Organization.objects.values_list("access_token", flat=True).get().reveal() == TOKEN


def test_column_is_read_without_a_key(settings, organization):
    # A wrong key breaks the use of a token, not the pages and lists that read the row.
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [OTHER_KEY]

    row = Organization.objects.get()

    assert f"{row} {row.access_token!r}".endswith("<Secret>")
    with pytest.raises(DecryptionError):
        row.access_token.reveal()


@pytest.mark.parametrize("keys", [[OTHER_KEY], []])
def test_lessons_23_column_saved_under_a_wrong_key_keeps_its_bytes(settings, organization, keys):
    before = column()
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = keys
    row = Organization.objects.get()
    row.name = "Changed"

    row._meta.get_field("access_token").clean(row.access_token, row)
    row.save()

    assert column("name") == "Changed"
    assert column() == before
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [KEY]
    assert Organization.objects.get().access_token.reveal() == TOKEN


def test_column_saved_after_use_keeps_its_bytes(organization):
    before = column()
    assert organization.access_token.reveal() == TOKEN

    organization.save()

    assert column() == before


def test_column_takes_the_new_key_with_a_new_value(settings, organization):
    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [OTHER_KEY, KEY]

    organization.access_token = Secret(organization.access_token.reveal())
    organization.save()

    settings.MOLLIE_ONBOARDING_ENCRYPTION_KEYS = [OTHER_KEY]
    assert Organization.objects.get().access_token.reveal() == TOKEN


def test_column_to_none(organization):
    Organization.objects.update(access_token=None)

    assert column() is None
    assert Organization.objects.get().access_token is None


@pytest.mark.parametrize(
    "write",
    [
        lambda: Organization(organization_id="org_2", access_token=TOKEN).save(),
        lambda: Organization.objects.create(organization_id="org_2", access_token=TOKEN),
        lambda: Organization.objects.bulk_create([Organization(organization_id="org_2", access_token=TOKEN)]),
        lambda: Organization.objects.update(access_token=TOKEN),
        lambda: Organization(organization_id="org_2", access_token=TOKEN).full_clean(),
        lambda: Organization.objects.update(access_token=b"bytes"),
        lambda: Organization.objects.update(access_token=""),
    ],
    ids=["save", "create", "bulk_create", "update", "full_clean", "bytes", "empty"],
)
def test_column_refuses_plain_text(organization, write):
    before = column()

    with pytest.raises(TypeError, match="takes a Secret or None") as caught, transaction.atomic():
        write()

    assert TOKEN not in str(caught.value)
    assert column() == before


@pytest.mark.parametrize(
    "lookup",
    ["exact", "iexact", "in", "contains", "startswith", "regex", "gt", "range", "date", "length"],
)
@pytest.mark.django_db
def test_column_lookup_refused(lookup):
    with pytest.raises(FieldError) as caught:
        Organization.objects.filter(**{f"access_token__{lookup}": Secret(TOKEN)})

    assert TOKEN not in str(caught.value)


@pytest.mark.django_db
def test_column_lookup_without_a_name_refused():
    with pytest.raises(FieldError, match="encrypted"):
        Organization.objects.get(access_token=Secret(TOKEN))


def test_column_lookup_isnull(organization):
    assert Organization.objects.filter(access_token__isnull=False).get() == organization
    assert not Organization.objects.filter(refresh_token__isnull=False).exists()


def test_column_is_in_no_form(organization):
    assert not Organization._meta.get_field("access_token").editable


@pytest.mark.parametrize("serializer", ["json", "python", "xml", "jsonl"])
def test_column_is_not_serialized(organization, serializer):
    with pytest.raises((FieldError, TypeError)) as caught:
        serializers.serialize(serializer, [organization])

    assert TOKEN not in str(caught.value)


def test_column_is_not_dumped(organization, capsys):
    with pytest.raises(CommandError, match="is not serialized"):
        call_command("dumpdata", "mollie_onboarding.organization")

    printed = capsys.readouterr()
    assert TOKEN not in printed.out + printed.err
    assert column() not in printed.out + printed.err


@pytest.mark.django_db
def test_column_is_not_loaded():
    fixture = [{"model": "mollie_onboarding.organization", "pk": 9, "fields": {"access_token": TOKEN}}]

    with pytest.raises((DeserializationError, TypeError)):
        list(serializers.deserialize("json", json.dumps(fixture)))


def test_model_is_not_pickled_with_a_secret(organization):
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(organization)


def test_model_is_copied_with_its_secret(organization):
    """Django does it with what a test case makes in `setUpTestData`."""
    copied = copy.deepcopy(organization)

    assert copied is not organization
    assert copied.access_token == organization.access_token


# Text that is compared exactly


@pytest.mark.parametrize(
    ("vendor", "collation"), [("mysql", "utf8mb4_bin"), ("postgresql", None), ("sqlite", None)]
)
def test_exact_column_collation(monkeypatch, vendor, collation):
    # Only MariaDB and MySQL compare without regard to case of their own accord.
    monkeypatch.setattr(connection, "vendor", vendor)

    parameters = Organization._meta.get_field("organization_id").db_parameters(connection)

    assert parameters.get("collation") == collation


@pytest.mark.django_db
def test_exact_column_tells_case():
    Organization.objects.create(organization_id="org_aB")
    Organization.objects.create(organization_id="org_Ab")

    assert Organization.objects.get(organization_id="org_aB").organization_id == "org_aB"
    assert Organization.objects.filter(organization_id__in=["org_ab", "org_AB"]).count() == 0
    assert not Organization.objects.filter(organization_id="ORG_AB").exists()
    assert Organization.objects.exclude(organization_id="org_aB").get().organization_id == "org_Ab"


@pytest.mark.django_db
def test_exact_column_tells_accents():
    Organization.objects.create(organization_id="org_e")

    assert not Organization.objects.filter(organization_id="org_é").exists()


@pytest.mark.django_db
def test_exact_column_stays_unique():
    Organization.objects.create(organization_id="org_aB")

    with pytest.raises(IntegrityError), transaction.atomic():
        Organization.objects.create(organization_id="org_aB")


def test_exact_column_of_a_client_link(make_client_link):
    make_client_link(mollie_id="cl_a")
    make_client_link(mollie_id="cl_A")

    assert ClientLink.objects.filter(mollie_id="cl_A").count() == 1
    assert not ClientLink.objects.filter(mollie_id="CL_a").exists()
