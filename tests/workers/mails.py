"""A mailbox that many processes may write to, also while one of them is killed: a file with a line for each mail."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from smtplib import SMTPRecipientsRefused
from typing import Any

from django.core.mail.backends.base import BaseEmailBackend

HELD_FOR = 60.0  # seconds, or until the process is killed


@dataclass(frozen=True)
class Mail:
    to: str
    message_id: str
    pid: int  # of the process that sent it


class EmailBackend(BaseEmailBackend):
    """Writes to the file `TEST_MAILS`, and takes `TEST_MAIL_SECONDS` to say that it did.

    After the first mail to `TEST_HELD_ADDRESS` the process says nothing more, so that it can be killed at the worst of
    moments: the mail is out, and nobody has written it down. `TEST_REFUSED_ADDRESS` is refused, by name, as mail servers do.
    """

    def send_messages(self, email_messages: Any) -> int:
        for message in email_messages:
            [to] = message.to
            if to == os.environ.get("TEST_REFUSED_ADDRESS"):
                raise SMTPRecipientsRefused({to: (550, f"No mailbox {to}".encode())})
            message_id = message.message()["Message-ID"]
            is_held = to == os.environ.get("TEST_HELD_ADDRESS") and is_first(to)
            write_mail(Mail(to, message_id, os.getpid()))
            time.sleep(HELD_FOR if is_held else float(os.environ.get("TEST_MAIL_SECONDS", "0")))
        return len(email_messages)


def is_first(to: str) -> bool:
    return to not in {mail.to for mail in read_mails(Path(os.environ["TEST_MAILS"]))}


def write_mail(mail: Mail) -> None:
    line = json.dumps(mail.__dict__).encode() + b"\n"
    file = os.open(os.environ["TEST_MAILS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)  # one call: a line is there as a whole, or not at all
    finally:
        os.close(file)


def read_mails(path: Path) -> list[Mail]:
    """All mails so far, in the order in which they went out."""
    return [Mail(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def second_mails(mails: list[Mail]) -> list[tuple[Mail, Mail]]:
    """The mails that somebody got once more, each with the one before it. One merchant is one `Message-ID`."""
    last: dict[str, Mail] = {}
    seconds = []
    for mail in mails:
        if mail.to in last:
            assert mail.message_id == last[mail.to].message_id
            seconds.append((last[mail.to], mail))
        last[mail.to] = mail
    assert len({mail.message_id for mail in last.values()}) == len(last)
    return seconds
