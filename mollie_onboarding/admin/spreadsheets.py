"""Import and export of merchants in the admin, as django-import-export has them, for files of any size.

The uploaded file waits in the site's storage for uploads (`IMPORT_EXPORT_TMP_STORAGE_CLASS`). The page that asks carries
its name, signed and bound to the operator; the same signed text names the batch, so that a page that is sent twice, or
again after Back, imports once.
"""

from __future__ import annotations

import logging
import os
import uuid
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters, get_content_type_for_model
from django.contrib.admin.views.main import ERROR_FLAG
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from import_export.admin import ImportExportMixin
from import_export.signals import post_export, post_import

from mollie_onboarding.models import Batch, ClientLink, label_of
from mollie_onboarding.observing import observe
from mollie_onboarding.spreadsheets.columns import EXPLANATIONS, IMPORTED_COLUMNS, REQUIRED_COLUMNS
from mollie_onboarding.spreadsheets.importing import SHOWN_ERRORS, SHOWN_ROWS, Import, Report
from mollie_onboarding.spreadsheets.reading import MAX_SIZE, Spreadsheet, UnreadableFileError
from mollie_onboarding.spreadsheets.resource import ClientLinkResource
from mollie_onboarding.spreadsheets.writing import (
    CSV_TYPE,
    XLSX_TYPE,
    export_rows,
    stream_csv,
    template_rows,
    template_sheets,
    write_xlsx,
    wrong_rows,
)

from .large_lists import LargeListAdmin

logger = logging.getLogger(__name__)

UPLOAD_LIFETIME = timedelta(hours=2)  # for which a file waits for the operator's answer
SALT = "mollie_onboarding.upload"
SESSION_KEY = "mollie_onboarding_uploads"
KEPT_NAME = 100  # characters of the file's name
TEMPLATE_NAME = "merchants-template"
FORMATS = (("xlsx", "XLSX"), ("csv", "CSV"))


class UploadForm(forms.Form):
    spreadsheet = forms.FileField(
        label=_("Spreadsheet"),
        help_text=_("CSV or XLSX, with the names of the columns in the first row."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.tsv,.txt,.xlsx"}),
    )

    def clean_spreadsheet(self) -> bytes:
        """What is in the file, once it is known to be a spreadsheet of merchants."""
        upload = self.cleaned_data["spreadsheet"]
        self.file_name = os.path.basename(upload.name)[:KEPT_NAME]
        content: bytes = upload.read(MAX_SIZE + 1)  # no more of it than tells that it is too large
        try:
            self.file = Spreadsheet(content)
            if next(self.file.rows(), None) is None:
                raise UnreadableFileError(gettext("There are no rows below the names of the columns."))
        except UnreadableFileError as exc:
            raise forms.ValidationError(str(exc)) from None
        return content


class ExportForm(forms.Form):
    format = forms.ChoiceField(label=_("Format"), choices=FORMATS)


@dataclass(frozen=True)
class Upload:
    """A file that waits for the operator's answer."""

    stored_as: str
    file_name: str
    batch_id: str
    user_id: str

    def sign(self) -> str:
        return signing.dumps(asdict(self), salt=SALT)

    @classmethod
    def read(cls, signed: str, user: Any) -> Upload | None:
        """The upload of this operator's; None for somebody else's, for one that is over, and for anything else."""
        try:
            upload = cls(**signing.loads(signed, salt=SALT, max_age=UPLOAD_LIFETIME))
        except signing.BadSignature:
            return None
        return upload if upload.user_id == str(user.pk) else None


class SpreadsheetAdmin(ImportExportMixin, LargeListAdmin):  # type: ignore[misc]  # untyped
    """An admin with Import and Export above its list."""

    resource_classes = (ClientLinkResource,)
    # Its template hides what ours has above the list from whoever may not add. Ours has its links.
    import_export_change_list_template = None

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        views = {
            "import": self.import_action,
            "process_import": self.process_import,
            "import_template": self.template_view,
            "export": self.export_action,
        }
        # The names of django-import-export, whose own pages hold the whole file in memory. One transaction is opened
        # where one is needed; a file that was taken away is not put back by a roll-back.
        ours = [
            path(
                f"{name}/",
                transaction.non_atomic_requests(self.admin_site.admin_view(view)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, view in views.items()
        ]
        return [*ours, *super().get_urls()]

    # Import.

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """The form for the file, and what would become of the file."""
        self._check_import_permission(request)
        form = UploadForm(request.POST or None, request.FILES or None)
        if form.is_valid():
            upload = self._keep(request, form)
            try:
                return self._preview(request, upload, Import(form.file))
            except UnreadableFileError as exc:
                self._forget(request, upload)
                form.add_error("spreadsheet", str(exc))
        context = {
            "title": gettext("Import merchants"),
            "form": form,
            "columns": [
                (name, label_of(name), name in REQUIRED_COLUMNS, EXPLANATIONS.get(name, ""))
                for name in IMPORTED_COLUMNS
            ],
            "template_url": self._url("import_template"),
            "formats": FORMATS,
        }
        return self._page(request, "import", context)

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """What the operator decided on the page that shows what would become of the file."""
        self._check_import_permission(request)
        upload = Upload.read(request.POST.get("upload", ""), request.user)
        if upload is None:
            return self._start_again(request)
        if batch := Batch.objects.filter(pk=upload.batch_id).first():
            messages.info(request, _("This file was imported already."))
            return self._go_to(request, batch)
        if "cancel" in request.POST:
            self._forget(request, upload)
            messages.info(request, _("Nothing was imported."))
            if request.POST["cancel"] == "another":
                return HttpResponseRedirect(self._url("import"))
            return self._go_to(request, None)
        content = self._stored(upload)
        if content is None:
            return self._start_again(request)
        run = Import(Spreadsheet(content), updates=request.POST.get("updates") == "1")
        if "wrong_rows" in request.POST:
            return _download(wrong_rows(run), "xlsx" if run.spreadsheet.is_xlsx else "csv", "wrong-rows")
        if "confirm" in request.POST:
            return self._import(request, upload, run)
        return self._preview(request, upload, run)

    def _import(self, request: HttpRequest, upload: Upload, run: Import) -> HttpResponse:
        try:
            report, batch = run.write(
                uuid.UUID(upload.batch_id), actor=request.user, description=upload.file_name
            )
        except IntegrityError:
            # The button was pressed twice, and the other press was first.
            if (batch := Batch.objects.filter(pk=upload.batch_id).first()) is None:
                raise
            return self._go_to(request, batch)
        self._forget(request, upload)
        post_import.send(sender=None, model=ClientLink)
        if batch:
            _log(request, ADDITION, gettext("Imported from a spreadsheet."), batch)
        _report(request, report)
        return self._go_to(request, batch)

    def _preview(self, request: HttpRequest, upload: Upload, run: Import) -> HttpResponse:
        report = run.preview()
        context = {
            "title": gettext("Import merchants"),
            "subtitle": upload.file_name,
            "upload": upload.sign(),
            "updates": run.updates,
            "report": report,
            "unknown_columns": run.header.unknown,
            "more_errors": report.error_count - SHOWN_ERRORS,
            "more_warnings": report.warning_count - len(report.warnings),
            "more_skipped": report.skipped_count - sum(group.count for group in report.skipped),
            "shown_rows": SHOWN_ROWS,
            "process_url": self._url("process_import"),
        }
        return self._page(request, "import_preview", context)

    def _check_import_permission(self, request: HttpRequest) -> None:
        if not self.has_import_permission(request):
            raise PermissionDenied

    def template_view(self, request: HttpRequest) -> HttpResponseBase:
        self._check_import_permission(request)
        if request.GET.get("format") == "csv":
            return _csv_response(template_rows(), TEMPLATE_NAME)
        return _xlsx_response(template_sheets(), TEMPLATE_NAME)

    # The file between two pages.

    def _keep(self, request: HttpRequest, form: UploadForm) -> Upload:
        storage = self.get_tmp_storage_class()(read_mode="rb", **self.get_tmp_storage_class_kwargs())
        storage.save(form.cleaned_data["spreadsheet"])
        upload = Upload(
            stored_as=os.path.basename(storage.name),
            file_name=form.file_name,
            batch_id=str(uuid.uuid4()),
            user_id=str(request.user.pk),
        )
        self._forget_abandoned(request, upload)
        return upload

    def _storage(self, stored_as: str) -> Any:
        storage_class = self.get_tmp_storage_class()
        return storage_class(name=stored_as, read_mode="rb", **self.get_tmp_storage_class_kwargs())

    def _stored(self, upload: Upload) -> bytes | None:
        """What was uploaded; None where it is gone."""
        try:
            content: bytes | None = self._storage(upload.stored_as).read()
        except OSError:
            return None
        return content

    def _forget(self, request: HttpRequest, upload: Upload) -> None:
        self._remove(upload.stored_as)
        request.session[SESSION_KEY] = [
            kept for kept in request.session.get(SESSION_KEY, []) if kept[0] != upload.stored_as
        ]

    def _forget_abandoned(self, request: HttpRequest, upload: Upload) -> None:
        """Take away what this operator left without an answer: there are names and addresses in it."""
        now = timezone.now().timestamp()
        uploads = request.session.get(SESSION_KEY, [])
        abandoned = [name for name, at in uploads if at < now - UPLOAD_LIFETIME.total_seconds()]
        for name in abandoned:
            self._remove(name)
        kept = [[name, at] for name, at in uploads if name not in abandoned]
        request.session[SESSION_KEY] = [*kept, [upload.stored_as, now]]

    def _remove(self, stored_as: str) -> None:
        try:
            self._storage(stored_as).remove()
        except FileNotFoundError:
            pass
        except OSError:
            observe(
                logger,
                logging.ERROR,
                "upload_not_deleted",
                "An uploaded spreadsheet could not be deleted.",
                exc_info=True,
            )

    # Export.

    def export_action(self, request: HttpRequest) -> HttpResponseBase:
        """Everything in the list, as it is filtered and searched."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        form = ExportForm(request.POST or None)
        if form.is_valid():
            try:
                client_links: QuerySet[ClientLink] = self.get_export_queryset(request)
            except IncorrectLookupParameters:  # as Django's list answers it
                return HttpResponseRedirect(f"{self._url('changelist')}?{ERROR_FLAG}=1")
            chosen = form.cleaned_data["format"]
            _log(request, CHANGE, gettext("Exported as %(format)s.") % {"format": chosen.upper()})
            post_export.send(sender=None, model=ClientLink)
            return _download(export_rows(client_links), chosen, "merchants")
        context = {
            "title": gettext("Export merchants"),
            "form": form,
            "is_filtered": bool(request.GET),
        }
        return self._page(request, "export", context)

    # Ways on.

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            **context,
        }
        return TemplateResponse(request, f"admin/mollie_onboarding/{template}.html", context)

    def _url(self, name: str) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}")

    def _start_again(self, request: HttpRequest) -> HttpResponse:
        messages.error(request, _("The uploaded file is not here any more. Upload it again."))
        return HttpResponseRedirect(self._url("import"))

    def _go_to(self, request: HttpRequest, batch: Batch | None) -> HttpResponse:
        """To the batch, where there is one and the operator may see it."""
        batches = self.admin_site._registry.get(Batch)
        if batch and batches and batches.has_view_permission(request, batch):
            return HttpResponseRedirect(reverse("admin:mollie_onboarding_batch_change", args=[batch.pk]))
        return HttpResponseRedirect(self._url("changelist"))


def _download(rows: Any, chosen: str, name: str) -> HttpResponseBase:
    if chosen == "csv":
        return _csv_response(rows, _dated(name))
    return _xlsx_response({gettext("Merchants"): rows}, _dated(name))


def _csv_response(rows: Any, name: str) -> HttpResponseBase:
    response = StreamingHttpResponse(stream_csv(rows), content_type=CSV_TYPE)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _xlsx_response(sheets: dict[str, Any], name: str) -> HttpResponseBase:
    file = write_xlsx(sheets)
    return FileResponse(file, as_attachment=True, filename=f"{name}.xlsx", content_type=XLSX_TYPE)


def _dated(name: str) -> str:
    return f"{name}-{timezone.localdate():%Y-%m-%d}"


def _report(request: HttpRequest, report: Report) -> None:
    """What was imported, updated and left out."""
    if report.new:
        text = ngettext("%d merchant was imported.", "%d merchants were imported.", report.new)
        messages.success(request, text % report.new)
    if report.updated:
        text = ngettext("%d merchant was updated.", "%d merchants were updated.", report.updated)
        messages.success(request, text % report.updated)
    if not report.right:
        messages.info(request, _("Nothing was imported."))
    if left_out := report.wrong + report.skipped_count:
        text = ngettext("%d row was left out.", "%d rows were left out.", left_out)
        messages.warning(request, text % left_out)


def _log(request: HttpRequest, action: int, message: str, batch: Batch | None = None) -> None:
    """In the admin's log: who took data in or out."""
    LogEntry.objects.create(
        user_id=request.user.pk,  # type: ignore[misc]  # the admin lets nobody else in
        content_type_id=get_content_type_for_model(batch or ClientLink).pk,
        object_id=str(batch.pk) if batch else None,
        object_repr=(batch.description if batch else str(ClientLink._meta.verbose_name_plural))[:200],
        action_flag=action,
        change_message=message,
    )
