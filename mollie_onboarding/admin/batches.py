"""Batches: the list, and the page that shows how far one is and what became of each merchant."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import transaction
from django.db.models import Count, Max, Min
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from mollie_onboarding import services
from mollie_onboarding.models import ATTENTION_AFTER, Batch, BatchItem, Problem, Reason
from mollie_onboarding.services import INLINE_LIMIT, Progress

from .client_link_actions import report_batch
from .confirming import AnyQueryAdmin, Words
from .labels import EMPTY, format_moment

if TYPE_CHECKING:
    BatchModelAdmin = admin.ModelAdmin[Batch]
    PaginatorBase = Paginator[BatchItem]
else:
    BatchModelAdmin = admin.ModelAdmin
    PaginatorBase = Paginator

Outcome = BatchItem.Outcome
SHOWN_ITEMS = 100  # on a page


def progress_of(batch: Batch) -> Progress:
    return services.count_outcomes([batch])[batch.pk]


def is_running(batch: Batch, progress: Progress) -> bool:
    """Whether its numbers may still move. Also one that was cancelled, while a mail is in a worker's hands."""
    return bool(progress.waiting and (batch.started_at or batch.cancelled_at))


def state_of(batch: Batch, progress: Progress) -> Words:
    if batch.cancelled_at:
        return _("Cancelled")
    if not batch.started_at:
        return _("Prepared")
    return _("Running") if progress.waiting else _("Finished")


def send_title(progress: Progress) -> str:
    text = ngettext(
        "Send onboarding link to this merchant",
        "Send onboarding link to these %(counter)s merchants",
        progress.pending,
    )
    return text % {"counter": progress.pending}


def next_title(count: int) -> str:
    return ngettext("Send %(count)d more mail now", "Send %(count)d more mails now", count) % {"count": count}


def count_next(batch: Batch, progress: Progress) -> int:
    """How many mails go out at the press of a button: those that may, and as many as a request has time for."""
    if not services.tasks_run_inline():
        return 0
    return min(INLINE_LIMIT, progress.pending + services.count_due_items(batch.pk))


def actions_for(batch: Batch, progress: Progress) -> list[tuple[str, Words]]:
    """What can be done with a batch now: names of addresses, and words on buttons."""
    found: list[tuple[str, Words]] = []
    is_open = not batch.cancelled_at and progress.waiting
    if is_open and not batch.started_at:
        found.append(("start", send_title(progress)))
    if is_open and batch.started_at and (count := count_next(batch, progress)):
        found.append(("next", next_title(count)))
    if not is_open and progress.total > progress.waiting + progress.sent and may_get_more(batch):
        found.append(("again", _("Run again for whoever got no mail")))
    if is_open:
        found.append(("cancel", _("Cancel the batch")))
    return found


def may_get_more(batch: Batch) -> bool:
    """Whether somebody got no mail whom another try may reach: who is connected, or cancelled, stays without."""
    for_good = [Reason.CONNECTED, Reason.CANCELLED, Reason.ERASED]
    unsent = batch.items.filter(outcome__in=[Outcome.SKIPPED, Outcome.FAILED, Outcome.CANCELLED])
    return unsent.exclude(outcome=Outcome.SKIPPED, reason__in=for_good).exists()


ACTIONS: dict[str, Callable[[Batch, Any], Any]] = {
    "start": services.start_batch,
    "next": lambda batch, actor: services.send_next(batch.pk),
    "again": services.rerun_batch,
    "cancel": services.cancel_batch,
}
# In the admin's own log. To send the next ones is nothing new.
HISTORY = {"start": _("Started"), "again": _("Run again"), "cancel": _("Cancelled")}


def report(request: HttpRequest, name: str, batch: Batch, before: Progress) -> None:
    """Say what a button has done, in the words of the list's action."""
    if name != "cancel":
        # Who got no mail before is judged anew.
        report_batch(request, batch, Progress(sent=before.sent) if name == "again" else before)
        return
    count = progress_of(batch).cancelled - before.cancelled
    text = ngettext(
        "The batch is cancelled: %(counter)s merchant gets no mail.",
        "The batch is cancelled: %(counter)s merchants get no mail.",
        count,
    )
    messages.success(request, text % {"counter": count})


class ItemPaginator(PaginatorBase):
    """The merchants, whose number is known already."""

    def __init__(self, items: Any, count: int) -> None:
        super().__init__(items, SHOWN_ITEMS)
        self.__dict__["count"] = count


@admin.register(Batch)
class BatchAdmin(AnyQueryAdmin, BatchModelAdmin):
    list_display = (
        "created",
        "created_by",
        "origin",
        "count",
        "sent",
        "skipped",
        "failed",
        "waiting",
        "state",
    )
    list_select_related = ("created_by",)
    ordering = ("-created_at",)
    list_per_page = 50
    show_full_result_count = False

    class Media:
        css = {"all": ["mollie_onboarding/admin.css"]}  # noqa: RUF012 (as Django reads it)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Batch | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Batch | None = None) -> bool:
        return False

    def may_act(self, request: HttpRequest) -> bool:
        may_send = request.user.has_perm("mollie_onboarding.send_clientlink")
        return may_send and self.has_view_permission(request)

    # The list.

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        changelist.result_list = list(changelist.result_list)
        progress = services.count_outcomes(changelist.result_list)
        for batch in changelist.result_list:
            batch.progress = progress[batch.pk]
        return changelist

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, obj: Batch) -> str:
        return format_moment(obj.created_at)

    @admin.display(description=_("source"))
    def origin(self, obj: Batch) -> str:
        return ": ".join(filter(None, (obj.get_source_display(), obj.description)))

    @admin.display(description=_("sent"))
    def sent(self, obj: Any) -> int:
        return int(obj.progress.sent)

    @admin.display(description=_("skipped"))
    def skipped(self, obj: Any) -> int:
        return int(obj.progress.skipped)

    @admin.display(description=_("failed"))
    def failed(self, obj: Any) -> int:
        return int(obj.progress.failed)

    @admin.display(description=_("waiting"))
    def waiting(self, obj: Any) -> int:
        return int(obj.progress.waiting)

    @admin.display(description=_("state"))
    def state(self, obj: Any) -> str:
        return str(state_of(obj, obj.progress))

    # The page of one.

    def get_urls(self) -> list[URLPattern]:
        protect = self.admin_site.admin_view
        return [
            *(self._url_of(name) for name in ACTIONS),
            path(
                "<uuid:object_id>/progress/",
                protect(self.progress_view),
                name="mollie_onboarding_batch_progress",
            ),
            *super().get_urls(),
        ]

    def _url_of(self, name: str) -> URLPattern:
        def view(request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
            if not self.may_act(request):
                raise PermissionDenied
            batch = get_object_or_404(Batch, pk=object_id)
            before = progress_of(batch)
            has_changed = ACTIONS[name](batch, request.user)
            if has_changed:
                self.log_change(request, batch, str(HISTORY[name]))
            if has_changed or name == "next":
                report(request, name, batch, before)
            return HttpResponseRedirect(address_of(batch))

        # A mail that was sent stays sent, whatever fails after it.
        return path(
            f"<uuid:object_id>/{name}/",
            transaction.non_atomic_requests(self.admin_site.admin_view(require_POST(view))),
            name=f"mollie_onboarding_batch_{name}",
        )

    def progress_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """For the page's script."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        batch = get_object_or_404(Batch, pk=object_id)
        progress = progress_of(batch)
        return JsonResponse(
            {
                "done": progress.done,
                "total": progress.total,
                "text": share(progress),
                "waiting": how_the_rest_goes(batch, progress),
                "late": what_is_late(batch, progress),
                "outcomes": {outcome: getattr(progress, outcome) for outcome in Outcome.values},
                "is_running": is_running(batch, progress),
            }
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        batch = self.get_object(request, unquote(object_id))
        if batch is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined, no-any-return]  # not in the stubs
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": _("Batch of %(when)s") % {"when": format_moment(batch.created_at)},
            "batch": batch,
            "may_see_merchants": request.user.has_perm("mollie_onboarding.view_clientlink"),
            **self._describe(request, batch),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/mollie_onboarding/batch.html", context)

    def _describe(self, request: HttpRequest, batch: Batch) -> dict[str, Any]:
        progress = progress_of(batch)
        outcome = request.GET.get("outcome", "")
        chosen = outcome if outcome in Outcome.values else ""
        page = find_items(batch, progress, chosen, request.GET.get("p", "1"))
        return {
            "progress": progress,
            "share": share(progress),
            "state": state_of(batch, progress),
            "finished_at": find_end(batch, progress),
            "is_running": is_running(batch, progress),
            "progress_url": address_of(batch, "progress"),
            "buttons": [
                {"title": title, "url": address_of(batch, name), "name": name}
                for name, title in (actions_for(batch, progress) if self.may_act(request) else ())
            ],
            "chosen": chosen,
            "outcomes": [(one, one.label, getattr(progress, one)) for one in Outcome],
            "reasons": count_reasons(batch),
            "waiting_words": how_the_rest_goes(batch, progress),
            "late_words": what_is_late(batch, progress),
            "page": page,
            "items": [(item, *why_it_waits(item)) for item in page],
        }


def address_of(batch: Batch, name: str = "change") -> str:
    return reverse(f"admin:mollie_onboarding_batch_{name}", args=[batch.pk])


def share(progress: Progress) -> str:
    return str(_("%(done)d of %(total)d") % {"done": progress.done, "total": progress.total})


def count_reasons(batch: Batch) -> list[tuple[Words, Words, int]]:
    """Why merchants got no mail: outcome, reason, how many."""
    explained = BatchItem.objects.filter(batch=batch, outcome__in=[Outcome.SKIPPED, Outcome.FAILED])
    groups = (
        explained.values_list("outcome", "reason").annotate(count=Count("pk")).order_by("-count", "reason")
    )
    return [(Outcome(outcome).label, label_of(reason), count) for outcome, reason, count in groups]


def label_of(reason: str) -> Words:
    return Reason(reason).label if reason else EMPTY


def find_end(batch: Batch, progress: Progress) -> datetime | None:
    """When it was over: as soon as it is, also where a worker sent the last mail and nobody has noted it yet."""
    if batch.finished_at or progress.waiting or not (batch.started_at or batch.cancelled_at):
        return batch.finished_at
    last: datetime | None = batch.items.aggregate(last=Max("at"))["last"]
    return last


def how_the_rest_goes(batch: Batch, progress: Progress) -> str:
    """How those who wait get their mail: by the command, where no worker is told of it, and later, where one failed."""
    if not (batch.started_at and progress.waiting) or batch.cancelled_at:
        return ""
    held, next_at = find_held(batch)
    sentences = []
    if progress.waiting > held and services.tasks_run_inline():
        count = progress.waiting - held
        text = ngettext(
            "%(counter)s mail waits in the queue: it goes out with the next run of send_onboarding_links.",
            "%(counter)s mails wait in the queue: they go out with the next run of send_onboarding_links.",
            count,
        )
        sentences.append(text % {"counter": count})
    if next_at:
        text = ngettext(
            "%(counter)s mail could not be sent yet: it will be tried again, from %(when)s on.",
            "%(counter)s mails could not be sent yet: they will be tried again, from %(when)s on.",
            held,
        )
        sentences.append(text % {"counter": held, "when": format_moment(next_at)})
    return " ".join(sentences)


def find_held(batch: Batch) -> tuple[int, datetime | None]:
    """How many mails are not to be tried again yet, and when the first of them is."""
    held = BatchItem.objects.filter(
        batch=batch, outcome=Outcome.QUEUED, client_link__send_not_before__gt=timezone.now()
    )
    found = held.aggregate(count=Count("pk"), next_at=Min("client_link__send_not_before"))
    return found["count"], found["next_at"]


def why_it_waits(item: BatchItem) -> tuple[Words, str]:
    """Why a mail that is queued was not sent yet, and when it is tried again; nothing where it only waits its turn."""
    row, now = item.client_link, timezone.now()
    if item.outcome != Outcome.QUEUED or row.send_not_before is None or row.send_not_before <= now:
        return "", ""
    failed = Reason.MAIL_FAILED if row.problem == Problem.MAIL_FAILED else Reason.NO_ANSWER
    return row.reason_to_wait(now) or failed.label, format_moment(row.send_not_before)


def what_is_late(batch: Batch, progress: Progress) -> str:
    """What to look after where mails of a running batch wait for long; '' where none does."""
    if not is_running(batch, progress):
        return ""
    before = timezone.now() - ATTENTION_AFTER
    late = progress.pending if batch.started_at and batch.started_at <= before else 0
    if progress.queued:
        late += BatchItem.objects.filter(batch=batch, outcome=Outcome.QUEUED, at__lte=before).count()
    if not late:
        return ""
    text = ngettext(
        "%(counter)s mail has waited for over 10 minutes. If the numbers do not move, see whether the workers of the task queue run, and whether cron runs send_onboarding_links.",
        "%(counter)s mails have waited for over 10 minutes. If the numbers do not move, see whether the workers of the task queue run, and whether cron runs send_onboarding_links.",
        late,
    )
    return text % {"counter": late}


def find_items(batch: Batch, progress: Progress, outcome: str, number: str) -> Page[BatchItem]:
    of_batch = BatchItem.objects.filter(batch=batch).order_by("client_link_id")
    items = of_batch.filter(outcome=outcome) if outcome else of_batch
    count = getattr(progress, outcome) if outcome else progress.total
    # The pages before it are passed over in an index alone, and only this one is read from the tables.
    keys = ItemPaginator(items.values_list("client_link_id", flat=True), count).get_page(number)
    rows = of_batch.filter(client_link__in=list(keys)).select_related("client_link")
    return Page(rows, keys.number, keys.paginator)
