"""Makes the demo's databases, fills them, and says where everything is. Running it again changes nothing."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections, transaction
from django.urls import reverse

from example_project.shop.demo import MERCHANTS, Merchant
from example_project.shop.models import Shop
from example_project.shop.spreadsheet import write_spreadsheet
from mollie_onboarding.conf import conf
from mollie_onboarding.models import ClientLink


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--history", action="store_true", help="Also 72 merchants of the last weeks, for the funnel."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for alias in connections:
            call_command("migrate", database=alias, verbosity=0)
        operator, operator_login = make_account("operator", is_staff=True, is_superuser=True)
        shopkeeper, merchant_login = make_account("merchant")
        Shop.objects.get_or_create(
            owner=shopkeeper, name="Atelier Noor", defaults={"contact_email": "noor@atelier-noor.example"}
        )
        new = sum(make_merchant(merchant, operator) for merchant in MERCHANTS)
        self.stdout.write(f"Merchants: {new} new, {len(MERCHANTS) - new} were there.")
        if options["history"] and answers_itself():
            from example_project.shop.history import add_past_merchants  # imports the sandbox

            self.stdout.write(f"Merchants of the last weeks: {add_past_merchants()} new.")
        remember_port()
        self.print_addresses(operator_login, merchant_login)

    def print_addresses(self, operator_login: str, merchant_login: str) -> None:
        pages = [
            ("Sign-up page", reverse("mollie_onboarding:signup"), ""),
            ("A shop", reverse("shop:dashboard"), merchant_login),
            ("Admin", reverse("admin:index"), operator_login),
            ("Spreadsheet", reverse("shop:spreadsheet"), f"{write_spreadsheet()} (the address: as operator)"),
        ]
        if apps.is_installed("mollie_onboarding.sandbox"):
            pages.append(("Mollie sandbox", reverse("mollie_sandbox:control"), ""))
            pages.append(("Mails", reverse("mollie_sandbox:mails"), ""))
        else:
            self.stdout.write(f"Mollie: {conf.MOLLIE_ONBOARDING_API_URL}")
        self.stdout.write()
        for name, path, login in pages:
            self.stdout.write(f"  {name:16}{conf.MOLLIE_ONBOARDING_BASE_URL + path:50}{login}".rstrip())
        python = os.path.relpath(sys.executable)
        self.stdout.write(f"  {'Queued mails':16}{python} example_project/manage.py send_onboarding_links")
        self.stdout.write()


def remember_port() -> None:
    """For commands that are run without PORT: see the settings."""
    if port := os.environ.get("PORT"):
        path: Path = settings.DIRECTORY / "port"  # type: ignore[misc]  # of the example's settings
        path.write_text(port)


def answers_itself() -> bool:
    """Whether our calls go to the sandbox of this very site. To any other Mollie the seed makes none: ten drafts."""
    if not apps.is_installed("mollie_onboarding.sandbox"):
        return False
    sandbox_url = conf.MOLLIE_ONBOARDING_BASE_URL + reverse("mollie_sandbox:control")
    return sandbox_url.rstrip("/") == conf.MOLLIE_ONBOARDING_API_URL


def make_account(name: str, **rights: bool) -> tuple[User, str]:
    """An account, and how to log in to it: by its name twice, or without DEBUG by a password that is shown once."""
    users = User.objects
    login = f"{name} / {name}" if settings.DEBUG else f"{name}, password as shown the first time"
    if user := users.filter(username=name).first():
        return user, login
    password = name if settings.DEBUG else secrets.token_urlsafe(12)
    user = users.create_user(name, f"{name}@shopwise.example", password, **rights)
    return user, f"{name} / {password}"


def make_merchant(merchant: Merchant, operator: User) -> bool:
    """A merchant and, where that is safe, its history. False: it was there."""
    with transaction.atomic():
        row = make_draft(merchant, operator)
    if row is not None and answers_itself():
        from example_project.shop.stories import live  # imports the sandbox, which is not always installed

        live(row, merchant.story, operator=operator, age=merchant.age)
    return row is not None


def make_draft(merchant: Merchant, operator: User) -> ClientLink | None:
    """A shop with its owner and a client link, as an operator would enter it; None when they are there."""
    if Shop.objects.filter(owner__username=merchant.username).exists():
        return None
    email = merchant.columns["owner_email"]
    owner, _ = User.objects.get_or_create(username=merchant.username, defaults={"email": email})
    shop = Shop.objects.create(name=merchant.columns["organization_name"], owner=owner, contact_email=email)
    row = ClientLink(**merchant.columns, reference=str(shop.pk), user=owner, created_by=operator)
    row.full_clean()
    row.save()
    return row
