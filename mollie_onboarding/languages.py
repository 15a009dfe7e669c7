"""The languages of the merchant pages and mails.

A page is in the language that the merchant chose, else in the browser's, else in the owner's. The choice travels in the
address, `?language=de`: it works without cookies, and a copied address keeps it.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, QueryDict
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header

PARAMETER = "language"

# All languages of Mollie's locales, by their own names: whoever looks for theirs reads it.
LANGUAGE_NAMES = {
    "ca": "Català",
    "cs": "Čeština",
    "da": "Dansk",
    "de": "Deutsch",
    "en": "English",
    "es": "Español",
    "fi": "Suomi",
    "fr": "Français",
    "hu": "Magyar",
    "is": "Íslenska",
    "it": "Italiano",
    "lt": "Lietuvių",
    "lv": "Latviešu",
    "nb": "Norsk bokmål",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt": "Português",
    "sk": "Slovenčina",
    "sv": "Svenska",
}
NORWEGIAN = ("no", "nn")  # browsers' names for what `nb` serves
KEPT_PARAMETERS = ("for", "next", "country")
KEPT_LENGTHS = range(1, 2001)  # characters


class OfferedLanguage(NamedTuple):
    code: str
    name: str
    url: str  # of the same page in this language
    is_current: bool


def supported_language(code: str) -> str:
    """The language of ours for a language code or locale (`de`, `de-AT`, `de_AT`), '' where there is none.

    None either where the site leaves it out of its `LANGUAGES`.
    """
    language = code.replace("_", "-").lower().partition("-")[0]
    language = "nb" if language in NORWEGIAN else language
    return language if language in LANGUAGE_NAMES and _is_spoken_here(language) else ""


def _is_spoken_here(language: str) -> bool:
    spoken = {code.partition("-")[0].lower() for code, _name in settings.LANGUAGES}
    return language in spoken or (language == "nb" and not spoken.isdisjoint(NORWEGIAN))


def chosen_language(request: HttpRequest) -> str:
    """The language that the page's address names, '' where it names none of ours."""
    return supported_language(_query_of(request).get(PARAMETER, "")[:10])


def _query_of(request: HttpRequest) -> QueryDict:
    try:
        return request.GET
    except TooManyFieldsSent:  # refused elsewhere, with a page that needs a language all the same
        return QueryDict()


def language_query(language: str) -> str:
    """What an address of ours needs at its end to be in a language that was chosen; '' where none was."""
    return f"?{PARAMETER}={language}" if language else ""


def language_of_page(request: HttpRequest, owner_locale: str = "") -> str:
    """The language in which to answer: chosen, else the site's for this visitor, the browser's, or the owner's."""
    return (
        chosen_language(request)
        or _language_of_site(request)
        or _language_of_browser(request)
        or supported_language(owner_locale)
        or default_language()
    )


def default_language() -> str:
    """The site's own language where it is one of ours, else English."""
    return supported_language(settings.LANGUAGE_CODE) or "en"


def _language_of_site(request: HttpRequest) -> str:
    """What the site found out for this visitor: by a prefix of the path, a cookie, or a profile."""
    language = supported_language(translation.get_language() or "")
    if language != default_language():
        return language
    # The default may be the visitor's choice, or what is left where nothing is known of them.
    urlconf = getattr(request, "urlconf", settings.ROOT_URLCONF)
    has_prefixes, _ = is_language_prefix_patterns_used(urlconf)
    is_chosen = has_prefixes or settings.LANGUAGE_COOKIE_NAME in request.COOKIES
    return language if is_chosen else ""


def _language_of_browser(request: HttpRequest) -> str:
    accepted = parse_accept_lang_header(request.headers.get("Accept-Language", "").lower())
    return next(filter(None, (supported_language(code) for code, _weight in accepted)), "")


def offer_languages(request: HttpRequest, path: str = "") -> list[OfferedLanguage]:
    """Every language of ours that the site speaks, with the address that shows this page in it.

    That is the same address with another query, or the `path` where the page is at home.
    """
    if not settings.USE_I18N:
        return []
    given = _query_of(request)
    # What the sign-up page knows; whatever else somebody appended is not repeated nineteen times.
    kept = {name: given[name] for name in KEPT_PARAMETERS if not path and _is_kept(given.getlist(name))}
    current = translation.get_language()
    return [
        OfferedLanguage(code, name, f"{path}?{urlencode({**kept, PARAMETER: code})}", code == current)
        for code, name in sorted(LANGUAGE_NAMES.items(), key=lambda item: item[1].casefold())
        if supported_language(code)
    ]


def _is_kept(values: list[str]) -> bool:
    return len(values) == 1 and len(values[0]) in KEPT_LENGTHS
