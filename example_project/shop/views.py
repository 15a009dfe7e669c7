from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from .models import Shop


def privacy(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/privacy.html")


@never_cache
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """The shops of whoever is logged in, each with its state at Mollie and the way there."""
    shops = Shop.objects.filter(owner_id=request.user.pk).order_by("name")
    rows = [(shop, shop.find_client_link()) for shop in shops]
    return render(request, "shop/dashboard.html", {"rows": rows})
