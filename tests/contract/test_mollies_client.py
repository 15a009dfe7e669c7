"""Mollie's own Python client against the sandbox, over a real connection, for every operation that we use."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import mollie
import pytest
from django.conf import settings
from mollie import models

from mollie_onboarding.sandbox import service

pytestmark = [
    pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True),
    # On Python 3.13 that library looks at names of `ast` that 3.14 does not have any more.
    pytest.mark.filterwarnings(r"ignore:ast\.\w+ is deprecated:DeprecationWarning"),
]

SCOPE = "organizations.read onboarding.read"
CLIENT_LINK = models.ClientLinkRequest(
    owner=models.Owner(
        email="ada@bakery.example", given_name="Ada", family_name="Baker", locale=models.LocaleResponse.NL_NL
    ),
    name="Bakery Baker",
    address=models.ClientLinkRequestAddress(
        street_and_number="Keizersgracht 1", postal_code="1015 CJ", city="Amsterdam", country="NL"
    ),
    registration_number="01234567",
    vat_number="NL123456789B01",
    legal_entity="nl-bv",
    registration_office="aachen",
    incorporation_date="2020-02-29",
)
CAPABILITY = {
    "resource": "capability",
    "name": "settlements",
    "status": "pending",
    "statusReason": "requirement-past-due",
    "requirements": [
        {"id": "process-first-payment", "dueDate": None, "status": "requested", "_links": {}},
        {
            "id": "needs-data",
            "dueDate": "2026-05-14T01:29:09+00:00",
            "status": "past-due",
            "_links": {"dashboard": {"href": "https://my.mollie.com/dashboard/x", "type": "text/html"}},
        },
    ],
}


class Library:
    """The client with one kind of credentials, and the answers that it was given."""

    def __init__(self, server_url: str, **credentials: str) -> None:
        self.answers: list[httpx.Response] = []
        self.http = httpx.Client(
            event_hooks={"response": [self.answers.append]},
            trust_env=False,  # a proxy of the machine has no business with the live server
        )
        self.sdk = mollie.ClientSDK(
            security=mollie.Security(**credentials) if credentials else None,
            server_url=server_url,
            client=self.http,
            retry_config=None,
        )

    def assert_understood(self, result):
        """The model holds all that the answer said, under the same names."""
        assert result.model_dump(mode="json", by_alias=True, exclude_unset=True) == self.answers[-1].json()
        return result


@pytest.fixture
def make_library(sandbox, live_server):
    made = []

    def make(**credentials):
        made.append(Library(f"{live_server}/sandbox", **credentials))
        return made[-1]

    yield make
    for library in made:
        library.http.close()


@pytest.fixture
def as_partner(make_library):
    return make_library(advanced_access_token=settings.MOLLIE_SANDBOX_ACCESS_TOKEN)


@pytest.fixture
def as_app(make_library):
    return make_library()


@pytest.fixture
def tokens(as_partner, as_app):
    """The answer of the token endpoint to the code of a merchant who has just signed up."""
    return exchange(as_app, allow(as_partner))


@pytest.fixture
def as_merchant(make_library, tokens):
    return make_library(o_auth=tokens.access_token)


def allow(as_partner, scope=SCOPE):
    """The code that comes back from a new client link."""
    link = as_partner.sdk.client_links.create(client_link_request=CLIENT_LINK)
    return parse_qs(urlsplit(service.approve(link.id, state="s", scope=scope)).query)["code"][0]


def exchange(as_app, code, **kwargs):
    return as_app.sdk.oauth.generate(
        security=app_security(),
        request_body=models.OauthGenerateTokensRequestBody(
            grant_type=models.OauthGrantType.AUTHORIZATION_CODE, code=code
        ),
        **kwargs,
    )


def refresh(as_app, refresh_token, **kwargs):
    return as_app.sdk.oauth.generate(
        security=app_security(),
        request_body=models.OauthGenerateTokensRequestBody(
            grant_type=models.OauthGrantType.REFRESH_TOKEN, refresh_token=refresh_token
        ),
        **kwargs,
    )


def revoke(as_app, token):
    return as_app.sdk.oauth.revoke(
        security=models.OauthRevokeTokensSecurity(**credentials()),
        request_body=models.OauthRevokeTokensRequestBody(
            token_type_hint=models.OauthTokenTypeHint.REFRESH_TOKEN, token=token
        ),
    )


def app_security(**changed):
    return models.OauthGenerateTokensSecurity(**{**credentials(), **changed})


def credentials():
    return {
        "username": settings.MOLLIE_SANDBOX_CLIENT_ID,
        "password": settings.MOLLIE_SANDBOX_CLIENT_SECRET,
    }


def test_client_link(as_partner):
    for _ in range(6):  # with both prefixes, with and without the link to itself
        link = as_partner.sdk.client_links.create(client_link_request=CLIENT_LINK)
        as_partner.assert_understood(link)
        assert link.links.client_link.href.endswith(f"/dashboard/client-link/{link.id}")
    assert len({call.idempotency_key for call in service.calls("client_links")}) == 6  # the client's own


def test_client_link_is_replayed_for_its_key(as_partner):
    links = [
        as_partner.sdk.client_links.create(client_link_request=CLIENT_LINK, idempotency_key="key")
        for _ in range(2)
    ]
    assert links[0] == links[1]
    assert "idempotent-replayed" not in as_partner.answers[0].headers
    assert as_partner.answers[1].headers["idempotent-replayed"] == "true"
    with pytest.raises(models.APIError) as refused:
        as_partner.sdk.client_links.create(
            client_link_request=CLIENT_LINK.model_copy(update={"name": "Another"}), idempotency_key="key"
        )
    assert refused.value.status_code == 400


def test_client_link_that_is_refused_for_a_field(as_partner):
    wrong = CLIENT_LINK.model_copy(update={"incorporation_date": "29-02-2020"})
    with pytest.raises(models.ErrorResponse) as refused:
        as_partner.sdk.client_links.create(client_link_request=wrong)
    assert refused.value.data.status == 422
    assert refused.value.data.field == "incorporationDate"
    assert refused.value.data.detail
    assert refused.value.data.links.documentation.href


def test_client_link_with_the_token_of_a_merchant(as_merchant):
    with pytest.raises(models.APIError) as refused:
        as_merchant.sdk.client_links.create(client_link_request=CLIENT_LINK)
    assert refused.value.status_code in (401, 403)


def test_tokens(as_app, tokens):
    as_app.assert_understood(tokens)
    assert tokens.access_token.startswith("access_")
    assert tokens.refresh_token.startswith("refresh_")
    assert (tokens.expires_in, tokens.token_type, tokens.scope) == (3600, "bearer", SCOPE)


def test_tokens_are_refreshed(as_app, tokens, make_library):
    refreshed = as_app.assert_understood(refresh(as_app, tokens.refresh_token))
    assert refreshed.access_token != tokens.access_token
    assert refreshed.refresh_token == tokens.refresh_token
    again = make_library(o_auth=refreshed.access_token)
    assert again.sdk.onboarding.get().status == "needs-data"


def test_code_works_once(as_partner, as_app):
    code = allow(as_partner)
    exchange(as_app, code)
    with pytest.raises(models.APIError) as refused:
        exchange(as_app, code)
    assert refused.value.status_code == 400
    assert as_app.answers[-1].json()["error"] == "invalid_grant"


def test_wrong_secret(as_app, tokens):
    with pytest.raises(models.APIError) as refused:
        as_app.sdk.oauth.generate(
            security=app_security(password="wrong"),
            request_body={"grant_type": "refresh_token", "refresh_token": tokens.refresh_token},
        )
    assert refused.value.status_code == 401


def test_revoked_tokens_are_dead(as_app, as_merchant, tokens):
    revoke(as_app, tokens.refresh_token)
    assert as_app.answers[-1].status_code == 204
    with pytest.raises(models.APIError) as refused:
        as_merchant.sdk.onboarding.get()
    assert refused.value.status_code == 401
    with pytest.raises(models.APIError):
        refresh(as_app, tokens.refresh_token)


@pytest.mark.parametrize("status", ["needs-data", "in-review", "completed"])
def test_merchant_in_each_state(as_merchant, status):
    sdk = as_merchant.sdk
    organization = as_merchant.assert_understood(sdk.organizations.get_current())
    assert organization.address.postal_code == "1015 CJ"
    service.move_onboarding(organization.id, status, status != "needs-data", status == "completed")

    onboarding = as_merchant.assert_understood(sdk.onboarding.get())
    assert onboarding.status == status
    assert onboarding.can_receive_payments == (status != "needs-data")

    listed = as_merchant.assert_understood(sdk.capabilities.list())
    assert listed.count == len(listed.embedded.capabilities) == 2

    assert as_merchant.assert_understood(sdk.organizations.get(organization_id=organization.id)).name


def test_capabilities_with_all_that_they_can_have(as_merchant):
    organization_id = as_merchant.sdk.organizations.get_current().id
    service.set_capabilities(organization_id, [CAPABILITY])
    listed = as_merchant.assert_understood(as_merchant.sdk.capabilities.list())
    [capability] = listed.embedded.capabilities
    assert [requirement.id for requirement in capability.requirements] == [
        "process-first-payment",
        "needs-data",
    ]
    service.set_capabilities(organization_id, [])
    assert as_merchant.assert_understood(as_merchant.sdk.capabilities.list()).count == 0


def test_onboarding_data_are_not_taken(as_merchant):
    """Mollie advises client links instead; the sandbox does not know the operation, and says so."""
    with pytest.raises(models.APIError) as refused:
        as_merchant.sdk.onboarding.submit(request_body={"organization": {"name": "Bakery Baker"}})
    assert refused.value.status_code == 405


@pytest.mark.parametrize(
    "embed", [None, "organization", "onboarding", "organization,onboarding,capabilities"]
)
def test_clients(as_partner, as_merchant, embed):
    organization_id = as_merchant.sdk.organizations.get_current().id
    service.add_clients(2)

    page = as_partner.sdk.clients.list(limit=2, embed=embed)
    as_partner.assert_understood(page.result)
    found = page.result.embedded.clients
    following = page.next()
    as_partner.assert_understood(following.result)
    found += following.result.embedded.clients
    assert following.next() is None
    assert [row.id for row in found] == sorted(row.id for row in found)
    assert len(found) == 3

    client = as_partner.sdk.clients.get(organization_id=organization_id, embed=embed)
    as_partner.assert_understood(client)
    shown = set(client.embedded.model_dump(exclude_unset=True)) if client.embedded else set()
    assert shown == set(embed.split(",") if embed else [])


def test_client_that_is_none(as_partner):
    with pytest.raises(models.ErrorResponse) as refused:
        as_partner.sdk.clients.get(organization_id="org_9")
    assert refused.value.data.status == 404
    with pytest.raises(models.ErrorResponse) as refused:
        as_partner.sdk.clients.list(from_="org_9")
    assert (refused.value.data.status, refused.value.data.field) == (400, "from")


def test_links_of_a_client_lead_on(as_partner, as_merchant):
    """To the organization that the partner then reads with its own token."""
    service.add_clients(1)
    for client in as_partner.sdk.clients.list().result.embedded.clients:
        organization_id = client.links.organization.href.rpartition("/")[2]
        found = as_partner.sdk.organizations.get(organization_id=organization_id)
        as_partner.assert_understood(found)
        assert found.id == client.id


def test_partner(as_partner, as_merchant):
    partner = as_partner.assert_understood(as_partner.sdk.organizations.get_partner())
    assert partner.partner_type == "oauth"
    merchant = as_merchant.assert_understood(as_merchant.sdk.organizations.get_partner())
    assert merchant.partner_type is None


def test_permissions(as_merchant):
    listed = as_merchant.assert_understood(as_merchant.sdk.permissions.list())
    granted = {permission.id for permission in listed.embedded.permissions if permission.granted}
    assert granted == set(SCOPE.split())
    permission = as_merchant.sdk.permissions.get(permission_id="onboarding.read")
    assert as_merchant.assert_understood(permission).granted
    with pytest.raises(models.ErrorResponse):
        as_merchant.sdk.permissions.get(permission_id="cake.read")


def test_rate_limit(as_partner, settings):
    settings.MOLLIE_SANDBOX_RATE_LIMIT = "1/3600"
    as_partner.sdk.client_links.create(client_link_request=CLIENT_LINK)
    with pytest.raises(models.ErrorResponse) as refused:
        as_partner.sdk.client_links.create(client_link_request=CLIENT_LINK)
    assert refused.value.data.status == 429
    assert int(as_partner.answers[-1].headers["retry-after"]) > 0


@pytest.mark.parametrize("status", [500, 503])
def test_mollie_that_fails(as_partner, status):
    service.add_fault("any", "server_error", times=None, status=status)
    with pytest.raises(models.APIError) as refused:
        as_partner.sdk.permissions.list()
    assert refused.value.status_code == status
