"""What a mail provider reports, or somebody in its name: at most the delivery of one mail changes, to a word of ours."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from anymail.signals import AnymailTrackingEvent
from hypothesis import given
from hypothesis import strategies as st

from mollie_onboarding import services
from mollie_onboarding.models import ClientLink, Event
from mollie_onboarding.services.delivery import METADATA_KEY, STATUSES, heed_tracking, reference_of_next_mail

from .examples import MARKS, undone
from .profiles import fuzzed
from .values import bent, json_values, texts

pytestmark = MARKS

RIGHT = "the reference"


@st.composite
def reports(draw: Any) -> dict[str, Any]:
    """An event as anymail makes them, of anything that a webhook may have held."""
    anything = json_values | texts
    reference = draw(st.just(RIGHT) | st.just(RIGHT) | anything)
    metadata = draw(st.just({METADATA_KEY: reference}) | st.just({METADATA_KEY: reference}) | anything)
    return {
        "event_type": draw(st.sampled_from([*STATUSES, "opened", "unknown"]) | anything),
        "metadata": metadata,
        "message_id": draw(st.none() | st.just("mail-1") | anything),
        "recipient": draw(st.none() | st.just("jan@bakkerij-jansen.example") | anything),
        "reject_reason": draw(st.none() | st.sampled_from(["bounced", "spam"]) | anything),
        "description": draw(anything),
        "timestamp": None,
    }


@given(data=st.data(), report=reports(), as_anymail=st.booleans())
@fuzzed(share=35)
def test_report_changes_the_delivery_of_one_mail_at_most(sandbox, make_client_link, data, report, as_anymail):
    with undone():
        row = make_client_link(mail_id="mail-1")
        other = make_client_link(owner_email="other@shops.example")
        right = reference_of_next_mail(row)
        services.request_sending(row)
        if isinstance(report["metadata"], dict) and report["metadata"].get(METADATA_KEY) == RIGHT:
            report["metadata"] = {METADATA_KEY: data.draw(st.just(right) | bent(right))}
        columns = [
            field.name for field in ClientLink._meta.concrete_fields if field.name != "delivery_status"
        ]
        before = list(ClientLink.objects.order_by("pk").values(*columns))
        events = Event.objects.count()
        event = AnymailTrackingEvent(**report) if as_anymail else SimpleNamespace(**report)
        heed_tracking(sender=None, event=event, esp_name="Postmark")
        assert list(ClientLink.objects.order_by("pk").values(*columns)) == before
        assert Event.objects.count() <= events + 1
        assert ClientLink.objects.get(pk=other.pk).delivery_status == ""
        status = ClientLink.objects.get(pk=row.pk).delivery_status
        assert status in (row.delivery_status, "queued", *map(str, STATUSES.values()))
        for line in Event.objects.order_by("pk")[events:]:
            assert line.data.keys() <= {"reason"}
