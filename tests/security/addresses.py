"""Every address of the site, found by walking the URL resolver, so that none that is added is forgotten."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from django.urls.resolvers import RegexPattern

from .world import World

# The sandbox is Mollie, not the platform: a server of its own for demo and tests, which a system check keeps out of production.
NOT_OURS = {"mollie_sandbox"}

CONVERTED = re.compile(r"<(?:\w+:)?(\w+)>")  # of `path()`
NAMED_GROUP = re.compile(r"\(\?P<(\w+)>[^)]*\)")  # of `re_path()`


@dataclass(frozen=True)
class Address:
    """One place that the URL resolver leads to."""

    route: str  # with its arguments in it, by which it is known
    arguments: tuple[str, ...]
    callback: Callable[..., Any]

    def paths(self, world: World) -> list[str]:
        """The address with each of the things behind it. Empty where an earlier pattern answers in its place."""
        choices = [self._values(name, world) for name in self.arguments]
        paths = [self._fill(values) for values in itertools.product(*choices)]
        return [path for path in paths if _leads_to(path, self.callback)]

    def _values(self, argument: str, world: World) -> list[Any]:
        model = re.search(r"/(clientlink|organization|batch|user|group)/", self.route)
        if argument == "token":
            return world.tokens()
        if argument in ("object_id", "id") and model:
            return [*world.keys_of(model[1]), "nonsense"]
        return {
            "object_id": [world.client_links["draft"].pk],
            "content_type_id": [world.content_type_id()],
            "app_label": ["mollie_onboarding", "auth"],
            "url": ["no/such/page/", "no/such/page"],
        }[argument]

    def _fill(self, values: tuple[Any, ...]) -> str:
        path = self.route
        for name, value in zip(self.arguments, values, strict=True):
            path = path.replace(f"<{name}>", str(value))
        return path


def _leads_to(path: str, callback: Callable[..., Any]) -> bool:
    try:
        return bool(resolve(path).func == callback)
    except Resolver404:
        return False  # an argument that the converter refuses


def every_address() -> list[Address]:
    """All of them, in the order in which Django tries them."""
    return list(_walk(get_resolver(), "/"))


def _walk(resolver: URLResolver, prefix: str) -> Iterator[Address]:
    for pattern in resolver.url_patterns:
        route = prefix + _plain(pattern)
        if isinstance(pattern, URLResolver):
            if pattern.namespace not in NOT_OURS:
                yield from _walk(pattern, route)
        else:
            yield Address(route, tuple(re.findall(r"<(\w+)>", route)), pattern.callback)


def _plain(pattern: URLPattern | URLResolver) -> str:
    """The pattern with `<name>` for each argument."""
    text = str(pattern.pattern)
    if isinstance(pattern.pattern, RegexPattern):
        return NAMED_GROUP.sub(r"<\1>", text.strip("^$"))
    return CONVERTED.sub(r"<\1>", text)
