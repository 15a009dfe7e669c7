"""Model fields: text that is encrypted in the database, and text that is compared exactly."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import models
from django.db.models.lookups import IsNull
from django.views.decorators.debug import sensitive_variables

from .conf import conf
from .exceptions import DecryptionError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.expressions import Expression

    # django-stubs make the fields generic, Django itself does not.
    SecretField = models.TextField["Secret | None", "Secret | None"]
else:
    SecretField = models.TextField

VERSION_PREFIX = "fernet1$"  # a later format gets another prefix, and both stay readable
FERNET_KEY_LENGTH = 32  # bytes; https://github.com/fernet/spec/blob/master/Spec.md

# cryptography is imported with the first token, not with each start of each process.


@sensitive_variables()
def is_encryption_key(key: str) -> bool:
    """Whether it can be a key for the tokens: 32 bytes in URL-safe base64, as Fernet takes them."""
    try:
        return len(urlsafe_b64decode(key)) == FERNET_KEY_LENGTH
    except ValueError:  # what no base64 is, or letters beyond ASCII
        return False


@lru_cache(maxsize=8)
@sensitive_variables()
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet

    if not keys:
        raise ImproperlyConfigured("MOLLIE_ONBOARDING_ENCRYPTION_KEYS is not set.")
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        # The message of the library would be fine, its chain would show the key in a report with locals.
        raise ImproperlyConfigured(
            "MOLLIE_ONBOARDING_ENCRYPTION_KEYS holds something that is not a Fernet key."
        ) from None


@sensitive_variables()
def encrypt(text: str) -> str:
    """The text as it goes into the database, encrypted with the newest key."""
    return VERSION_PREFIX + _fernet(conf.MOLLIE_ONBOARDING_ENCRYPTION_KEYS).encrypt(text.encode()).decode()


def decrypt(stored: str) -> str:
    """The text behind a database value. Raises `DecryptionError` when no configured key fits."""
    return _decrypt(stored, conf.MOLLIE_ONBOARDING_ENCRYPTION_KEYS)


def is_on_newest_key(stored: str) -> bool:
    """Whether the newest key fits a database value, so that it needs none of the others."""
    try:
        _decrypt(stored, conf.MOLLIE_ONBOARDING_ENCRYPTION_KEYS[:1])
    except DecryptionError:
        return False
    return True


@sensitive_variables()
def _decrypt(stored: str, keys: tuple[str, ...]) -> str:
    from cryptography.fernet import InvalidToken

    if not stored.startswith(VERSION_PREFIX):
        raise DecryptionError("The database holds a token in a form that this version does not know.")
    try:
        return _fernet(keys).decrypt(stored.removeprefix(VERSION_PREFIX)).decode()
    except (InvalidToken, ValueError):  # ValueError: letters that no base64 has
        raise DecryptionError(
            "A token in the database was encrypted with a key that is not in MOLLIE_ONBOARDING_ENCRYPTION_KEYS."
        ) from None


class Secret:
    """A text that shows itself only when asked by `reveal()`: not in a repr, a log or an error report."""

    __slots__ = ("_stored", "_text")

    def __init__(self, text: str | None = None, *, stored: str | None = None) -> None:
        self._text = text
        self._stored = stored

    def reveal(self) -> str:
        """The text. Raises `DecryptionError` when it came from the database under another key."""
        if self._text is None:
            self._text = decrypt(self._stored or "")
        return self._text

    def to_stored(self) -> str:
        """What goes into the column. A value that was read and not touched goes back as it came, without its key."""
        if self._stored is None:
            self._stored = encrypt(self._text or "")
        return self._stored

    def __repr__(self) -> str:
        return "<Secret>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    __hash__ = None  # type: ignore[assignment]  # a secret is no key of a dict

    # It never changes, so it is its own copy: Django's test cases copy rows. Pickled it would be a text.

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __getstate__(self) -> Any:
        raise TypeError("A secret is not pickled.")


class EncryptedTextField(SecretField):
    """A nullable text column that holds ciphertext; in Python its value is a `Secret` or None.

    The value is decrypted only when somebody asks for it, so a wrong key breaks the use of a token, not the
    admin, and a row that is saved again under a wrong key keeps its ciphertext as it was.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["null"] = kwargs["blank"] = True
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def from_db_value(
        self, value: str | None, expression: Expression, connection: BaseDatabaseWrapper
    ) -> Secret | None:
        return None if value is None else Secret(stored=value)

    def to_python(self, value: Any) -> Secret | None:
        if value is None or isinstance(value, Secret):
            return value
        # A plain text here would be a token on its way past the encryption, for example from a fixture.
        raise TypeError(f"{self.name} takes a Secret or None.")

    def get_prep_value(self, value: Any) -> str | None:
        secret = self.to_python(value)
        return None if secret is None else secret.to_stored()

    def value_to_string(self, obj: models.Model) -> str:
        raise FieldError(f"{self.name} is not serialized.")

    def get_lookup(self, lookup_name: str) -> Any:
        # Every encryption of the same text differs, so no comparison can ever match.
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted: it cannot be looked up by {lookup_name!r}.")
        return IsNull


class ExactCharField(models.CharField):  # type: ignore[type-arg]  # generic in the stubs only
    """A CharField that tells upper from lower case on every database.

    MariaDB and MySQL compare without regard to case by default: two identifiers would be one (CVE-2024-32879).
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters
