"""Mails that Django's file-based e-mail backend has written, so that a demo needs no mail program."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from .conf import conf

SEPARATOR = b"-" * 79 + b"\n"  # django.core.mail.backends.filebased/console


@dataclass(frozen=True)
class Mail:
    name: str
    message: EmailMessage

    @property
    def recipient(self) -> str:
        return str(self.message["To"] or "")

    @property
    def subject(self) -> str:
        return str(self.message["Subject"] or "")

    @property
    def date(self) -> str:
        return str(self.message["Date"] or "")

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    def _part(self, subtype: str) -> str:
        body = self.message.get_body((subtype,))
        return cast(str, body.get_content()) if body is not None else ""


def all_mails() -> list[Mail]:
    """Newest first."""
    directory = conf.mail_directory
    if directory is None or not directory.is_dir():
        return []
    files = sorted(directory.glob("*.log"), key=lambda path: (path.stat().st_mtime, path.name), reverse=True)
    return [mail for path in files for mail in reversed(_mails_in(path))]


def find_mail(name: str) -> Mail | None:
    """Looked for among those that exist, never by opening a path from the address."""
    return next((mail for mail in all_mails() if mail.name == name), None)


def _mails_in(path: Path) -> list[Mail]:
    """One file holds everything that went over one connection."""
    messages = [part for part in path.read_bytes().split(b"\n" + SEPARATOR) if part.strip()]
    return [
        Mail(f"{path.stem}.{number}", message_from_bytes(part, policy=policy.default))
        for number, part in enumerate(messages)
    ]
