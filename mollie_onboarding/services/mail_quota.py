"""How many mails one recipient gets, by all workers and for all client links together: `MOLLIE_ONBOARDING_MAIL_LIMIT`."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from mollie_onboarding.conf import conf, parse_limit
from mollie_onboarding.models import MailQuota
from mollie_onboarding.recipients import spell


def take(owner_email: str, mail: str) -> float:
    """Count one mail to this recipient. 0.0 when it may go now, else the seconds until the next one may.

    `mail` is its name, such as the Message-ID: the one that was counted last may go again at no charge, for it is
    repeated only where it did not go out, or where nobody knows. Windows begin with their first mail.
    """
    number, seconds = parse_limit(conf.MOLLIE_ONBOARDING_MAIL_LIMIT)
    recipient = digest(owner_email)
    # Each time round somebody else has counted a mail of their own.
    while True:
        now = timezone.now()
        begins_after = now - timedelta(seconds=seconds)
        row = MailQuota.objects.filter(recipient=recipient).first()
        if row is None:
            is_counted = _begin(recipient, mail, now)
        elif row.window_started_at <= begins_after:
            is_counted = bool(_same_window(row).update(window_started_at=now, count=1, last_mail=mail))
        elif row.last_mail == mail:
            return 0.0
        elif row.count >= number:
            return (row.window_started_at - begins_after).total_seconds()
        else:
            open_window = _same_window(row).filter(count__lt=number)
            is_counted = bool(open_window.update(count=F("count") + 1, last_mail=mail))
        if is_counted:
            return 0.0


def over(now: datetime) -> QuerySet[MailQuota]:
    """The rows whose window is over: they limit nothing any more."""
    _, seconds = parse_limit(conf.MOLLIE_ONBOARDING_MAIL_LIMIT)
    return MailQuota.objects.filter(window_started_at__lte=now - timedelta(seconds=seconds))


def digest(owner_email: str) -> str:
    """The same for every spelling of an address; nobody reads the address out of it."""
    return salted_hmac("mollie_onboarding.mail_quota", spell(owner_email), algorithm="sha256").hexdigest()


def _same_window(row: MailQuota) -> QuerySet[MailQuota]:
    return MailQuota.objects.filter(pk=row.pk, window_started_at=row.window_started_at)


def _begin(recipient: str, mail: str, now: datetime) -> bool:
    """Make the recipient's row. False: somebody else has."""
    try:
        with transaction.atomic():
            MailQuota.objects.create(recipient=recipient, window_started_at=now, count=1, last_mail=mail)
    except IntegrityError:
        return False
    return True
