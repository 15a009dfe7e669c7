"""What nobody expects: texts, JSON of any shape, headers, and valid things with something wrong in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

NASTY = (
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",  # half of a pair, which no database takes
    "x\udfff",
    "\u202eevil\u202c",  # right to left
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\ufeff",
    "\u2028",
    "\x85",
    "\x1b[2J",
    "\r\nSet-Cookie: a=b",
    "\uff29\u0130\u0131\ufb00\u00df",  # whose length or case changes on the way
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "e\u0301" * 40,
    "a" * 70_000,
    "9" * 5_000,
    "-1",
    "1e999",
    "NaN",
    "null",
    "[]",
    "{}",
    "None",
    "../../etc/passwd",
    "//evil.example",
    "https://evil.example/",
    "https:\\\\evil.example",
    "javascript:alert(1)",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7|add:7 }}{% debug %}",
    "%s%(x)s%",
    "%00",
    "%ed%a0%80",
    "'; DROP TABLE users; --",
    "=cmd|' /C calc'!A0",
    "a@b@c",
    "x@xn--.example",
    "x@\u00fc\ud800.example",
)

characters = st.characters(exclude_categories=())  # with lone surrogates
texts = st.sampled_from(NASTY) | st.text(characters, max_size=40)
words = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=12)

numbers = (
    st.integers()
    | st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400, -1, 0])
    | st.floats()  # with NaN and the infinities, which Python's JSON writes and reads
    | st.sampled_from([1e308, -0.0, 5e-324])
)
scalars = st.none() | st.booleans() | numbers | texts


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(children, max_size=4) | st.dictionaries(texts | words, children, max_size=4)


json_values = st.recursive(scalars, _containers, max_leaves=8)


@st.composite
def mutated(draw: Callable[..., Any], value: Any, most: int = 3) -> Any:
    """A JSON value as it should be, with up to so many mistakes anywhere in it; now and then with none."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(0, most))):
        value = _with_a_mistake(draw, value)
    return value


def _with_a_mistake(draw: Callable[..., Any], value: Any) -> Any:
    box = [value]
    places = list(_places(box))
    container, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(["replace", "text", "remove", "wrap", "add", "swap"])):
        case "replace":
            container[key] = draw(json_values)
        case "text":
            container[key] = draw(texts)
        case "remove" if container is not box:
            del container[key]
        case "wrap":
            container[key] = [container[key]]
        case "add" if isinstance(container[key], dict):
            container[key][draw(words | texts)] = draw(json_values)
        case _:
            other, name = draw(st.sampled_from(places))
            container[key] = copy.deepcopy(other[name])
    return box[0]


def _places(container: Any) -> Any:
    """Every place in which a value lies, as its container and its key or index."""
    for key in list(container) if isinstance(container, dict) else range(len(container)):
        yield container, key
        if isinstance(container[key], dict | list):
            yield from _places(container[key])


@st.composite
def bent(draw: Callable[..., Any], text: str) -> str:
    """A text with something cut out, put in or changed; now and then as it is."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 10)))
    return text[:start] + draw(st.just("") | texts | words) + text[end:]


# HTTP.

header_texts = st.text(
    st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40
) | st.sampled_from(["9" * 400, "-1", "1e9", "\u0663", '"', ";", ",", "a=b", "x" * 5_000, "\xff\xfe"])

# In some of these a lone surrogate can be written. Of those that are no text at all (rot13) Django's own request breaks.
CHARSETS = ("utf-8", "utf-7", "utf-16", "unicode_escape", "raw_unicode_escape", "latin-1", "x")

request_headers = st.fixed_dictionaries(
    {},
    optional={
        "HTTP_ACCEPT_LANGUAGE": header_texts
        | st.sampled_from(["nl", "de-AT,de;q=0.9", "x" * 600, "*", "no"]),
        "HTTP_USER_AGENT": header_texts,
        "HTTP_REFERER": header_texts,
        "HTTP_SEC_FETCH_SITE": st.sampled_from(["cross-site", "same-origin"]) | header_texts,
        "HTTP_SEC_PURPOSE": st.sampled_from(["prefetch", "prefetch;prerender"]) | header_texts,
        "HTTP_X_FORWARDED_FOR": st.sampled_from(["::1", "1.2.3.4, [::1]:80", ",,,"]) | header_texts,
        "CONTENT_TYPE": st.sampled_from([f"text/plain; charset={name}" for name in CHARSETS]) | header_texts,
        "REMOTE_ADDR": st.sampled_from(["", "unix:", "::ffff:1.2.3.4", "fe80::1%eth0"]) | header_texts,
    },
)


def queries(pairs: st.SearchStrategy[list[tuple[str, str]]]) -> st.SearchStrategy[str]:
    """Query strings as a server hands them over: well-made ones of these pairs, and anything at all."""
    made = pairs.map(lambda given: urlencode(given, errors="surrogatepass"))
    return made | made.flatmap(bent).map(_as_a_server_reads) | texts.map(_as_a_server_reads)


def _as_a_server_reads(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def path_of(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="", errors="surrogatepass")


@st.composite
def pairs(
    draw: Callable[..., Any], known: dict[str, st.SearchStrategy[str]], most: int = 6
) -> list[tuple[str, str]]:
    """Fields by the names that are known, mostly with values that fit, and a few that nobody asked for."""
    names = draw(st.lists(st.sampled_from(sorted(known)), max_size=most))
    fields = [(name, draw(known[name])) for name in names]
    if draw(st.booleans()):
        fields += draw(st.lists(st.tuples(words | texts, texts), max_size=2))
    return fields


def to_json(value: Any) -> bytes:
    return json.dumps(value).encode()
