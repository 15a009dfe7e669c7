"""Every flow, once: how it begins, what is done, what the same people do next when it did not end well, and its end.

Nothing here knows of faults. `run` happens in a process that is killed, or while a call to Mollie is spoilt; `prepare`
and `again` happen in a sound world.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest import mock

from django.core import mail
from django.http import HttpResponse
from django.utils import timezone

from mollie_onboarding import services
from mollie_onboarding.exceptions import MollieError
from mollie_onboarding.fields import Secret
from mollie_onboarding.models import AuthorizationRequest, Batch, ClientLink, Organization, SendKind
from mollie_onboarding.mollie_api import api
from mollie_onboarding.sandbox import service as sandbox
from mollie_onboarding.sandbox.models import Token
from mollie_onboarding.services import feeding
from mollie_onboarding.services.notices import notice_columns
from mollie_onboarding.services.queueing import queue_columns
from tests.conftest import MERCHANT, authorization_url, page_status
from tests.connected import connect

from .scene import Scene, make_row

SIGNUP = "/onboarding/signup/"
Connection = Organization.ConnectionStatus


@dataclass(frozen=True)
class Flow:
    """`name` is its key in the table, `person` who is in front of it.

    `again` gives a word for what was done next. `kept` names the facts (`facts.FACTS`) that the flow is about, `mails`
    is how many different ones leave, and `client_links` how many Mollie has in the end, what was there before included.
    """

    name: str
    person: str
    prepare: Callable[[Scene], None]
    run: Callable[[Scene], None]
    again: Callable[[Scene], str]
    is_done: Callable[[Scene], bool]
    kept: tuple[str, ...]
    mails: int = 0
    client_links: int = 1


# What the people do.


def press(scene: Scene, **fields: Any) -> None:
    see(scene, scene.browser.press(scene.row, **fields))


def come_back(scene: Scene, callback: str) -> None:
    """Follow Mollie's redirect."""
    see(scene, scene.browser.come_back(callback))


def see(scene: Scene, answer: HttpResponse) -> None:
    """See an answer, or where it leads."""
    if answer.status_code == 303:
        answer = scene.browser.get(answer.headers["Location"])
    scene.answer = answer


def leads_to_mollie(answer: Any) -> bool:
    return (
        answer is not None and b'http-equiv="refresh" content="0; url=https://my.mollie.com' in answer.content
    )


def consent(scene: Scene, decision: str = "allow") -> str:
    """Decide at Mollie, where the last answer has led. Gives the callback's address."""
    before = Organization.objects.first()
    organization_id = before.organization_id if before and decision == "allow" else None
    return sandbox.visit(authorization_url(scene.answer), decision=decision, organization_id=organization_id)


def press_and_connect(scene: Scene) -> str:
    """Press the button, and go to Mollie and back where it leads there."""
    press(scene)
    if not leads_to_mollie(scene.answer):
        return "press"
    come_back(scene, consent(scene))
    return "press and consent"


def is_connected(scene: Scene) -> bool:
    row = scene.row
    return row.is_connected and row.organization is not None and works(row.organization)


def works(organization: Organization) -> bool:
    """Whether Mollie takes the stored tokens."""
    token = organization.access_token
    return token is not None and live_tokens().filter(value=token.reveal()).exists()


def live_tokens() -> Any:
    return Token.objects.valid()


def is_on_the_way(scene: Scene) -> bool:
    return leads_to_mollie(scene.answer)


def ask(scene: Scene, question: Callable[[], Any]) -> None:
    """Call the app as the platform's code does, which has to expect `MollieError`."""
    try:
        scene.answer = question()
    except MollieError as exc:
        scene.answer = exc


# How they begin.


def prepare_row(scene: Scene) -> None:
    make_row()


def prepare_started(scene: Scene) -> None:
    make_row()
    press(scene)


def prepare_connected(scene: Scene) -> None:
    prepare_started(scene)
    come_back(scene, consent(scene))
    assert is_connected(scene)
    mail.outbox.clear()


# Sign-up, and the button.


def prepare_signup(scene: Scene) -> None:
    page = scene.browser.get(SIGNUP).content.decode()
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?', page))
    scene.values["fields"] = {**hidden, **MERCHANT}


def sign_up(scene: Scene) -> None:
    scene.answer = scene.browser.post(SIGNUP, scene.values["fields"])


def sign_up_again(scene: Scene) -> str:
    """Send the form again, where there was no answer, else press the button of the page that was."""
    if scene.answer is None:
        sign_up(scene)
        return "form"
    press(scene)
    return "press"


def press_again(scene: Scene) -> str:
    press(scene)
    return "press"


def prepare_renewal(scene: Scene) -> None:
    prepare_started(scene)
    ClientLink.objects.update(expires_at=timezone.now() + timedelta(hours=1))


# The return from Mollie.


def prepare_return(scene: Scene) -> None:
    prepare_started(scene)
    scene.values["callback"] = consent(scene)


def prepare_denial(scene: Scene) -> None:
    prepare_started(scene)
    scene.values["callback"] = consent(scene, "deny")


def return_from_mollie(scene: Scene) -> None:
    come_back(scene, scene.values["callback"])


def is_settled(scene: Scene) -> bool:
    """Whether the merchant sees a button, and is not told to wait."""
    return page_status(scene.browser.get(scene.row.merchant_path())) in ("started", "declined")


def prepare_interruption(scene: Scene) -> None:
    prepare_return(scene)
    fault = sandbox.add_fault("organization", "server_error")
    return_from_mollie(scene)
    fault.delete()
    assert AuthorizationRequest.objects.get().is_interrupted(timezone.now())


def prepare_old_interruption(scene: Scene) -> None:
    """One whose access token is over by now."""
    sandbox.set_switch("rotate_refresh_tokens", on=True)
    prepare_interruption(scene)
    request = AuthorizationRequest.objects.get()
    tokens = json.loads(request.tokens.reveal())
    tokens["expires_at"] = timezone.now().isoformat()
    AuthorizationRequest.objects.update(tokens=Secret(json.dumps(tokens)))


def resume(scene: Scene) -> None:
    scene.answer = "finished" if services.resume_interrupted() else "unfinished"


def resume_again(scene: Scene) -> str:
    resume(scene)
    return "run"


def prepare_reconnection(scene: Scene) -> None:
    prepare_connected(scene)
    services.disconnect(scene.organization)
    assert not live_tokens()


def reconnect(scene: Scene) -> None:
    press(scene)
    come_back(scene, consent(scene))


# Mails.


def prepare_invitation(scene: Scene) -> None:
    make_row()
    ClientLink.objects.update(**queue_columns(SendKind.INVITATION))


def send(scene: Scene) -> None:
    services.send_queued()
    scene.answer = _delivery(scene)


def send_again(scene: Scene) -> str:
    send(scene)
    return "run"


def _delivery(scene: Scene) -> str:
    """What the admin's list says of the mail."""
    return str(scene.row.delivery_status)


def is_sent(scene: Scene) -> bool:
    row = scene.row
    return row.send_requested_at is None and row.send_count == 1


def prepare_reminder(scene: Scene) -> None:
    make_row()
    at = timezone.now() - timedelta(days=4)
    ClientLink.objects.update(invited_at=at, first_sent_at=at, last_sent_at=at, delivery_status="sent")


def remind(scene: Scene) -> None:
    services.request_reminders()
    services.send_queued()
    scene.answer = _delivery(scene)


def remind_again(scene: Scene) -> str:
    remind(scene)
    return "run"


def prepare_notice(scene: Scene) -> None:
    prepare_connected(scene)
    at = timezone.now() - timedelta(minutes=2)
    ClientLink.objects.update(**{**notice_columns(), "notice_requested_at": at})


def has_no_notice(scene: Scene) -> bool:
    return scene.row.notice_requested_at is None


CORRECTED = "jan.jansen@bakkerij-jansen.example"


def prepare_correction(scene: Scene) -> None:
    row = make_row()
    services.request_sending(row)
    assert is_sent(scene)
    mail.outbox.clear()


def correct(scene: Scene) -> None:
    """The operator corrects the address, saves, and sends the link to it."""
    row = scene.row
    row.owner_email = CORRECTED
    row.save()
    services.request_sending(row)
    scene.answer = _delivery(scene)


def correct_again(scene: Scene) -> str:
    """Once more, as the operator, where it was not saved and asked for; what is queued a worker sends."""
    if scene.row.send_requested_at is None:
        correct(scene)
        return "operator"
    services.send_queued()
    return "run"


def is_corrected(scene: Scene) -> bool:
    row = scene.row
    return row.owner_email == CORRECTED and row.send_requested_at is None and row.send_count == 2


def prepare_batch(scene: Scene) -> None:
    for number in range(2):
        make_row(owner_email=f"owner{number}@bakkerij-jansen.example")
    batch = services.create_batch(ClientLink.objects.all(), pk=uuid.uuid4())
    scene.values["batch"] = str(batch.pk)


def start_batch(scene: Scene) -> None:
    """The operator presses Send; each merchant is a chunk."""
    batch = Batch.objects.get()
    with mock.patch.object(feeding, "CHUNK", 1):
        services.start_batch(batch)
    progress = services.count_outcomes([batch])[batch.pk]
    scene.answer = "waiting" if progress.waiting else "sent"


def start_batch_again(scene: Scene) -> str:
    if Batch.objects.get().started_at is None:
        start_batch(scene)
        return "operator"
    services.send_queued()
    return "run"


def is_batch_over(scene: Scene) -> bool:
    return all(row.send_count == 1 for row in ClientLink.objects.all())


# Connected organizations.


def prepare_refresh(scene: Scene) -> None:
    sandbox.set_switch("rotate_refresh_tokens", on=True)
    prepare_connected(scene)
    Organization.objects.update(access_token_expires_at=timezone.now())


def refresh(scene: Scene) -> None:
    ask(scene, lambda: services.get_access_token(scene.organization) and "token")


def refresh_again(scene: Scene) -> str:
    refresh(scene)
    return "ask"


def has_fresh_token(scene: Scene) -> bool:
    organization = scene.organization
    return works(organization) and organization.access_token_expires_at > timezone.now()


def prepare_check(scene: Scene) -> None:
    prepare_connected(scene)
    sandbox.move_onboarding(scene.organization.organization_id, "completed", True, True)
    Organization.objects.update(check_requested_at=None)


def check(scene: Scene) -> None:
    press(scene, action="check")


def check_again(scene: Scene) -> str:
    check(scene)
    return "press"


def is_read(scene: Scene) -> bool:
    return all(row.onboarding_status == "completed" for row in Organization.objects.all())


def prepare_sync(scene: Scene) -> None:
    yesterday = timezone.now() - timedelta(days=1)
    for row in connect(sandbox, 3, synced_at=yesterday, onboarding_status="needs-data"):
        sandbox.move_onboarding(row.organization_id, "completed", True, True)


def sync(scene: Scene) -> None:
    """Two pages."""
    with mock.patch.object(api, "CLIENTS_PER_PAGE", 2):
        scene.answer = "interrupted" if services.sync_onboarding_status().interrupted else "read"


def sync_again(scene: Scene) -> str:
    sync(scene)
    return "run"


def disconnect(scene: Scene) -> None:
    services.disconnect(scene.organization)
    scene.answer = str(scene.organization.connection_status)


def disconnect_again(scene: Scene) -> str:
    """Once more, as the operator, where it did not happen; else the revocation is left to the next sync."""
    if scene.organization.is_connected:
        disconnect(scene)
        return "operator"
    services.revoke_pending()
    return "run"


def is_gone(scene: Scene) -> bool:
    organization = scene.organization
    is_disconnected = organization.connection_status == Connection.DISCONNECTED
    return is_disconnected and organization.pending_revocation is None and not live_tokens()


LINK = ("row", "key", "link")
RETURN = ("denial", "tokens", "connection", "status")
MAIL = ("key", "link", "queued", "sent")

FLOWS = {
    flow.name: flow
    for flow in (
        Flow("signup", "merchant", prepare_signup, sign_up, sign_up_again, is_on_the_way, LINK),
        Flow("start", "merchant", prepare_row, press, press_again, is_on_the_way, LINK),
        Flow("restart", "merchant", prepare_started, press, press_again, is_on_the_way, LINK),
        Flow(
            "renewal",
            "merchant",
            prepare_renewal,
            press,
            press_again,
            is_on_the_way,
            ("key", "link", "old link"),
            client_links=2,
        ),
        Flow(
            "return",
            "merchant",
            prepare_return,
            return_from_mollie,
            press_and_connect,
            is_connected,
            RETURN,
            mails=1,
        ),
        Flow("denial", "merchant", prepare_denial, return_from_mollie, press_again, is_settled, RETURN),
        Flow(
            "resumption",
            "merchant",
            prepare_interruption,
            press,
            press_and_connect,
            is_connected,
            RETURN,
            mails=1,
        ),
        Flow(
            "late resumption",
            "worker",
            prepare_old_interruption,
            resume,
            resume_again,
            is_connected,
            RETURN,
            mails=1,
        ),
        Flow(
            "reconnection",
            "merchant",
            prepare_reconnection,
            reconnect,
            press_and_connect,
            is_connected,
            RETURN,
            mails=1,
        ),
        Flow("invitation", "worker", prepare_invitation, send, send_again, is_sent, MAIL, mails=1),
        Flow("reminder", "worker", prepare_reminder, remind, remind_again, is_sent, MAIL, mails=1),
        Flow("notice", "worker", prepare_notice, send, send_again, has_no_notice, ("notice",), mails=1),
        Flow(
            "correction",
            "operator",
            prepare_correction,
            correct,
            correct_again,
            is_corrected,
            ("corrected", *MAIL),
            mails=1,
            client_links=2,
        ),
        Flow(
            "batch",
            "operator",
            prepare_batch,
            start_batch,
            start_batch_again,
            is_batch_over,
            ("started", "queued", "sent"),
            mails=2,
            client_links=2,
        ),
        Flow(
            "refresh", "platform", prepare_refresh, refresh, refresh_again, has_fresh_token, ("connection",)
        ),
        Flow("check", "merchant", prepare_check, check, check_again, is_read, ("connection", "news")),
        Flow("sync", "worker", prepare_sync, sync, sync_again, is_read, ("page", "news"), client_links=0),
        Flow(
            "disconnection",
            "operator",
            prepare_connected,
            disconnect,
            disconnect_again,
            is_gone,
            ("connection", "revocation"),
        ),
    )
}
