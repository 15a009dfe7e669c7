"""What a page says, read from its HTML as a tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.test.html import Element, parse_html


class Page:
    """A page, or a part of one."""

    def __init__(self, source: Any) -> None:
        if isinstance(source, Element):
            self.root = source
        else:
            self.root = parse_html(source if isinstance(source, str) else source.content.decode())

    def find_all(self, tag: str = "", **attributes: str) -> list[Page]:
        """Every element of this tag with these attributes; `_` stands for `-`, and `class_` is one of the classes."""
        found = []
        for element in self._elements(self.root):
            has = dict(element.attributes)
            classes = (has.get("class") or "").split()
            wanted = {name.replace("_", "-"): value for name, value in attributes.items() if name != "class_"}
            if (
                tag in ("", element.name)
                and attributes.get("class_", "") in ("", *classes)
                and wanted.items() <= has.items()
            ):
                found.append(Page(element))
        return found

    def find(self, tag: str = "", **attributes: str) -> Page:
        [found] = self.find_all(tag, **attributes)
        return found

    def __getitem__(self, name: str) -> str | None:
        return self.attributes.get(name)

    @property
    def tag(self) -> str:
        return str(self.root.name)

    @property
    def attributes(self) -> dict[str, str | None]:
        return dict(self.root.attributes)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts(self.root)).split())

    def _elements(self, element: Element) -> Iterator[Element]:
        for child in element.children:
            if not isinstance(child, str):
                yield child
                yield from self._elements(child)

    def _texts(self, element: Element) -> Iterator[str]:
        for child in element.children:
            if isinstance(child, str):
                yield child
            else:
                yield from self._texts(child)
