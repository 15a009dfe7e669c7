"""Who may do what in the admin: each address and each action with nobody, with all permissions but one, and with exactly its own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core import mail
from django.test import Client, RequestFactory

from mollie_onboarding.models import Batch, ClientLink, Organization
from tests.conftest import MERCHANT

from .addresses import every_address
from .world import World, dump

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"])

ADMIN = "/admin/mollie_onboarding/"
NOBODY = ("nobody",)  # not the superuser either

# By address and method, the permissions that it takes: these and no other, each of them. `view` comes with `change`.
ADDRESSES: dict[str, dict[str, tuple[str, ...]]] = {
    "clientlink/": {"get": ("view_clientlink",)},  # its actions are below
    "clientlink/add/": {"get": ("add_clientlink",), "post": ("add_clientlink",)},
    "clientlink/<object_id>/change/": {"get": ("view_clientlink",), "post": ("change_clientlink",)},
    "clientlink/<object_id>/delete/": {"get": ("delete_clientlink",), "post": ("delete_clientlink",)},
    "clientlink/<object_id>/history/": {"get": ("view_clientlink",)},
    "clientlink/funnel/": {"get": ("view_clientlink",)},
    "clientlink/funnel.csv": {"get": ("view_clientlink",)},
    "clientlink/<object_id>/mail/": {
        "get": ("view_clientlink",),
        "post": ("view_clientlink", "send_clientlink"),
    },
    "clientlink/<object_id>/mail/html/": {"get": ("view_clientlink",)},
    **{
        f"clientlink/{name}/": dict.fromkeys(("get", "post"), ("add_clientlink", "change_clientlink"))
        for name in ("import", "process_import", "import_template")
    },
    "clientlink/export/": {"get": ("view_clientlink",), "post": ("view_clientlink",)},
    **{
        f"clientlink/<object_id>/{name}/": dict.fromkeys(
            ("get", "post"), ("view_clientlink", "send_clientlink")
        )
        for name in ("send", "no-reminders", "reminders")
    },
    **{
        f"clientlink/<object_id>/{name}/": dict.fromkeys(("get", "post"), ("change_clientlink",))
        for name in ("review", "share")
    },
    "clientlink/<object_id>/cancel/": dict.fromkeys(
        ("get", "post"), ("view_clientlink", "cancel_clientlink")
    ),
    "organization/": {"get": ("view_organization",)},
    "organization/add/": {"get": NOBODY, "post": NOBODY},
    "organization/<object_id>/change/": {"get": ("view_organization",), "post": NOBODY},
    "organization/<object_id>/delete/": {"get": NOBODY, "post": NOBODY},
    "organization/<object_id>/history/": {"get": ("view_organization",)},
    **{
        f"organization/<object_id>/{name}/": dict.fromkeys(
            ("get", "post"), ("view_organization", "send_clientlink")
        )
        for name in ("send", "read")
    },
    **{
        f"organization/<object_id>/{name}/": dict.fromkeys(
            ("get", "post"), ("view_organization", "disconnect_organization")
        )
        for name in ("revoke", "disconnect")
    },
    "batch/": {"get": ("view_batch",)},
    "batch/add/": {"get": NOBODY, "post": NOBODY},
    "batch/<object_id>/change/": {"get": ("view_batch",)},
    "batch/<object_id>/delete/": {"get": NOBODY, "post": NOBODY},
    "batch/<object_id>/history/": {"get": ("view_batch",)},
    "batch/<object_id>/progress/": {"get": ("view_batch",)},
    **{
        f"batch/<object_id>/{name}/": {"post": ("view_batch", "send_clientlink")}
        for name in ("start", "next", "again", "cancel")
    },
}
CASES = [(route, method) for route, methods in ADDRESSES.items() for method in methods]

# By the action of a list: the permissions that it takes, and a row of the world to which it does something.
LIST_ACTIONS: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("clientlink", "send_onboarding_link"): (("view_clientlink", "send_clientlink"), "draft"),
    ("clientlink", "send_me_a_test"): (("view_clientlink", "send_clientlink"), "draft"),
    ("clientlink", "exclude_from_reminders"): (("view_clientlink", "send_clientlink"), "draft"),
    ("clientlink", "include_in_reminders"): (("view_clientlink", "send_clientlink"), "excluded"),
    ("clientlink", "mark_reviewed"): (("change_clientlink",), "clash"),
    ("clientlink", "cancel"): (("view_clientlink", "cancel_clientlink"), "draft"),
    ("organization", "send_link_again"): (("view_organization", "send_clientlink"), "lost"),
    ("organization", "read_status"): (("view_organization", "send_clientlink"), "well"),
    ("organization", "revoke_again"): (("view_organization", "disconnect_organization"), "ended"),
    ("organization", "disconnect"): (("view_organization", "disconnect_organization"), "well"),
}
FORM = {**MERCHANT, "post": "yes", "upload": "x", "mail": "invitation", "format": "csv"}


def staff_with(codenames: set[str]) -> Client:
    user = get_user_model().objects.create_user(
        f"staff {len(codenames)} {get_user_model().objects.count()}", "staff@shopwise.example", is_staff=True
    )
    permissions = Permission.objects.filter(
        content_type__app_label="mollie_onboarding", codename__in=codenames
    )
    assert permissions.count() == len(codenames)
    user.user_permissions.set(permissions)
    return browser_of(user)


def browser_of(user: Any = None) -> Client:
    """A browser that has every CSRF token: here it is the permission that is to refuse."""
    browser = Client()
    if user is not None:
        browser.force_login(user)
    return browser


def all_but(codename: str) -> set[str]:
    """Every permission of this app that does not bring this one along."""
    every = set(
        Permission.objects.filter(content_type__app_label="mollie_onboarding").values_list(
            "codename", flat=True
        )
    )
    return every - {codename, codename.replace("view_", "change_")}


def path_of(route: str, world: World) -> str:
    [path, *_] = next(one for one in every_address() if one.route == ADMIN + route).paths(world)
    return path


def ask(browser: Client, method: str, path: str, **fields: Any) -> Any:
    if method == "get":
        return browser.get(path)
    return browser.post(path, {**FORM, **fields})


def leads_to_login(response: Any) -> bool:
    return response.status_code == 302 and response.headers["Location"].startswith("/admin/login/")


def test_every_address_of_the_admin_has_its_permissions_here():
    found = {
        one.route.removeprefix(ADMIN)
        for one in every_address()
        # Without a name of its own, Django's short address of a row leads to its page, and does no more.
        if one.route.startswith(ADMIN) and not re.fullmatch(r".*/\w+/<object_id>/", one.route)
    }
    assert found == set(ADDRESSES)


@pytest.mark.parametrize(("route", "method"), CASES)
def test_lessons_31_address_takes_exactly_its_permissions(sandbox, world, route, method):
    path = path_of(route, world)
    needed = ADDRESSES[route][method]
    if needed == NOBODY:
        superuser = browser_of(world.operator)
        before = dump()
        assert ask(superuser, method, path).status_code == 403
        assert dump() == before
        return
    poor = {codename: staff_with(all_but(codename)) for codename in needed}
    rich = staff_with(set(needed))
    strangers = [browser_of(), browser_of(world.merchant)]
    before = dump()
    for stranger in strangers:
        assert leads_to_login(ask(stranger, method, path))
    for codename, browser in poor.items():
        assert ask(browser, method, path).status_code == 403, f"without {codename}"
    assert dump() == before
    assert mail.outbox == []
    assert sandbox.calls() == []
    response = ask(rich, method, path)
    assert response.status_code in (200, 302)
    assert not leads_to_login(response)
    b"".join(response)


def test_every_action_of_a_list_has_its_permissions_here(world):
    request = RequestFactory().get("/")
    request.user = world.operator
    found = {
        (model._meta.model_name, name)
        for model in (ClientLink, Organization, Batch)
        for name in admin.site.get_model_admin(model).get_actions(request)
    }
    assert found == set(LIST_ACTIONS)


@pytest.mark.parametrize(("model", "action"), LIST_ACTIONS)
def test_lessons_31_action_takes_exactly_its_permissions(sandbox, world, model, action):
    needed, name = LIST_ACTIONS[model, action]
    row = {"clientlink": world.client_links, "organization": world.organizations}[model][name]
    fields = {"action": action, "_selected_action": str(row.pk)}
    poor = {codename: staff_with(all_but(codename)) for codename in needed}
    rich = staff_with(set(needed))
    merchant = browser_of(world.merchant)
    before = dump()
    assert leads_to_login(ask(merchant, "post", f"{ADMIN}{model}/", **fields))
    for codename, browser in poor.items():
        ask(browser, "post", f"{ADMIN}{model}/", **fields)
        assert dump() == before, f"without {codename}"
    assert sandbox.calls() == []
    ask(rich, "post", f"{ADMIN}{model}/", **fields)
    assert dump() != before


# What a list can be filtered by is as good as shown: `?url__startswith=…` tells a column letter by letter.


@pytest.mark.parametrize("model", [ClientLink, Organization])
def test_list_is_filtered_by_no_column_that_is_shown_nowhere(world, model):
    browser = browser_of(world.operator)
    modeladmin = admin.site.get_model_admin(model)
    request = RequestFactory().get("/")
    request.user = world.operator
    shown = {*flatten_fieldsets(modeladmin.get_fieldsets(request)), "id", "created_at"}
    offered = {
        "status",
        "stage",
        "delivery_status",
        "problem",
        "country",
        "connection_status",
        "onboarding_status",
    }
    hidden = {field.name for field in model._meta.concrete_fields} - shown - offered
    assert {"url", "submission_digest", "refresh_key", "access_token", "idempotency_key"} & hidden
    for column in hidden:
        for lookup in (column, f"{column}__startswith", f"{column}__isnull"):
            response = browser.get(f"{ADMIN}{model._meta.model_name}/?{lookup}=1")
            assert response.status_code == 400, lookup


def test_lists_are_still_filtered_by_what_they_show(world):
    browser = browser_of(world.operator)
    for path in (
        "clientlink/?created_at__year=2026&status=ready&country=NL&problem=&delivery_status__exact=bounced",
        "clientlink/?owner_email__startswith=jan&reference__exact=7&reminders_excluded__exact=1",
        "clientlink/?attention=1&stage=connected&expired=1&q=jansen&o=1&p=1",
        f"clientlink/?id__exact={world.client_links['draft'].pk}",
        "organization/?connection_status__exact=lost&can_receive_payments__exact=1&name__startswith=O",
        "organization/?organization_id__exact=org_lost&health=stale&onboarding_status=completed",
    ):
        response = browser.get(ADMIN + path)
        assert response.status_code == 200, path
