"""Brings the message catalogues up to date with the source: `make messages`.

New messages come in empty, what is gone goes, translations stay. Names of countries that django-countries lacks in a
language are taken from CLDR, by way of Babel. Needs no gettext.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import django
import django_countries
from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.pofile import read_po, write_po
from django.utils import translation
from django.utils.translation.template import templatize
from django_countries import countries

import mollie_onboarding
from mollie_onboarding.languages import LANGUAGE_NAMES

PACKAGE = Path(mollie_onboarding.__file__).parent
SANDBOX = PACKAGE / "sandbox"  # for developers: English only
LANGUAGES = sorted(LANGUAGE_NAMES.keys() - {"en"})

KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}

Key = tuple[str | None, tuple[str, ...]]
"""The context, and the message: English, and its plural where it has one."""


def key_of(context: str | None, message: str | tuple[str, ...] | list[str]) -> Key:
    return context, (message,) if isinstance(message, str) else tuple(message)


@cache
def extract_messages() -> dict[Key, str]:
    """Every message of the package with the file that it is in, as makemessages finds them."""
    found: dict[Key, str] = {}
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix not in {".py", ".html", ".txt"} or path.is_relative_to(SANDBOX):
            continue
        name = str(path.relative_to(PACKAGE))
        text = path.read_text()
        if path.suffix != ".py":
            # Django turns a template into Python whose indentation means nothing.
            text = "\n".join(line.strip() for line in templatize(text, origin=name).splitlines())
        for _line, message, _comments, context in extract("python", BytesIO(text.encode()), KEYWORDS):
            found.setdefault(key_of(context, message), name)
    return found


def path_of(language: str) -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po"


def read_catalogue(language: str) -> Catalog:
    """The catalogue as it is; an empty one for a language that has none yet."""
    if not path_of(language).exists():
        return Catalog(locale=language)
    with path_of(language).open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def entries(catalogue: Catalog) -> dict[Key, Message]:
    return {key_of(message.context, message.id): message for message in catalogue if message.id}


def missing_countries(language: str) -> Iterator[tuple[str, str]]:
    """The English name and CLDR's for each country that django-countries has no name for in this language."""
    theirs = gettext.translation(
        "django", Path(django_countries.__file__).parent / "locale", [language], fallback=True
    )
    names = Locale.parse(language).territories
    with translation.override("en"):
        for code, lazy_name in countries.countries.items():
            name = str(lazy_name)
            if theirs.gettext(name) == name and names[code] != name:
                yield name, names[code]


def update(language: str) -> int:
    """Write the catalogue of a language again. Gives how many messages wait for their translation."""
    catalogue = read_catalogue(language)
    old = entries(catalogue)
    new = Catalog(
        locale=language,
        header_comment=f"# {Locale.parse(language).english_name} translation of mollie-onboarding.",
        project="mollie-onboarding",
        version="1",
        creation_date=catalogue.creation_date,
        revision_date=catalogue.creation_date,
        msgid_bugs_address=" ",
        last_translator=" ",
        language_team=" ",
        fuzzy=False,
    )
    if old:
        # How many forms a language has changes with CLDR; those of a catalogue change with its translations only.
        new.mime_headers = [("Plural-Forms", catalogue.plural_forms)]
    for context, forms in extract_messages():
        known = old.get((context, forms))
        new.add(forms if len(forms) > 1 else forms[0], known.string if known else None, context=context)
    for english, name in missing_countries(language):
        new.add(english, name, auto_comments=["A country, from CLDR."])
    path_of(language).parent.mkdir(parents=True, exist_ok=True)
    with path_of(language).open("wb") as file:
        write_po(file, new, no_location=True, width=100)
    return sum(not all(forms_of(message)) for message in entries(new).values())


def forms_of(message: Message) -> list[str]:
    """The translation: one text, or one for each plural form of the language."""
    return [message.string or ""] if isinstance(message.string, str | None) else list(message.string)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    for language in LANGUAGES:
        if missing := update(language):
            print(f"{language}: {missing} messages to translate")  # noqa: T201 (a command)


if __name__ == "__main__":
    main()
