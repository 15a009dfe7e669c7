from __future__ import annotations

from django.contrib.auth.decorators import login_required, user_passes_test
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from .models import Shop
from .spreadsheet import FILE_NAME, demo_spreadsheet


def privacy(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/privacy.html")


@never_cache
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """The shops of whoever is logged in, each with its state at Mollie and the way there."""
    shops = Shop.objects.filter(owner_id=request.user.pk).order_by("name")
    rows = [(shop, shop.find_client_link()) for shop in shops]
    return render(request, "shop/dashboard.html", {"rows": rows})


@never_cache
@user_passes_test(lambda user: user.is_staff)
def spreadsheet(request: HttpRequest) -> HttpResponse:
    """Merchants to import in the admin."""
    headers = {"Content-Disposition": f'attachment; filename="{FILE_NAME}"'}
    return HttpResponse(demo_spreadsheet(), content_type="text/csv; charset=utf-8", headers=headers)
