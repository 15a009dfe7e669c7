from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from . import views

app_name = "shop"

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("spreadsheet/", views.spreadsheet, name="spreadsheet"),
    path("privacy/", views.privacy, name="privacy"),
    path("login/", LoginView.as_view(template_name="shop/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
