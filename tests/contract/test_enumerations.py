"""The lists of Mollie's words, ours and the sandbox's, held against those that Mollie has published."""

from __future__ import annotations

import pytest

from mollie_onboarding import enumerations
from mollie_onboarding.admin.requirements import WORDS
from mollie_onboarding.models import Organization
from mollie_onboarding.sandbox import clients, tokens
from mollie_onboarding.sandbox.models import SandboxOrganization, Token
from mollie_onboarding.sandbox.resources import EMBEDDED
from mollie_onboarding.sandbox.scopes import SCOPES
from mollie_onboarding.summary.requirements import CAPABILITIES, REQUIREMENTS

from .description import at


@pytest.fixture
def words(description):
    """The enumeration of a schema, without the null of those that may be empty."""

    def words(schema):
        return {
            word for word in description.document["components"]["schemas"][schema]["enum"] if word is not None
        }

    return words


def test_locales(words, mollies_list):
    assert set(enumerations.LOCALES) == words("locale-response")
    assert set(enumerations.LOCALES) == {item["value"] for item in mollies_list("locales")["locales"]}


def test_default_locale_of_the_sandbox(words):
    assert SandboxOrganization._meta.get_field("locale").default in words("locale-response")


def test_legal_entities(mollies_list):
    published = mollies_list("legal_entities")
    listed = {
        country: {item["value"]: item["label"] for item in node["entities"]}
        for country, node in published["countries"].items()
    }
    assert listed == enumerations.LEGAL_ENTITIES
    assert published["other"]["value"] == enumerations.OTHER_LEGAL_ENTITY
    # So that neither of the two lost some on the way.
    assert published["total"] == sum(map(len, listed.values())) + 1


def test_registration_offices(mollies_list):
    [office] = mollies_list("registration_offices")["offices"]
    assert office["value"] == enumerations.REGISTRATION_OFFICE_EXAMPLE
    assert {office["country"]} == enumerations.REGISTRATION_OFFICE_COUNTRIES


def test_scopes(mollies_list):
    published = mollies_list("scopes")["scopes"]
    assert {item["value"] for item in published} == enumerations.SCOPES
    # What the authorization server names counts for it.
    assert {item["value"] for item in published if item["in_metadata"]} == SCOPES


def test_scopes_of_the_description(description):
    named = {
        scope
        for operation in description.operations.values()
        for alternative in operation.node["security"]
        for scopes in alternative.values()
        for scope in scopes
    }
    assert named
    assert named <= enumerations.SCOPES
    assert named <= SCOPES


def test_onboarding_statuses(words):
    published = words("onboarding-status")
    assert set(SandboxOrganization.Status.values) == published
    assert set(Organization.OnboardingStatus.values) == published


@pytest.mark.parametrize(
    "schema", ["capability-status", "capability-status-reason", "capability-requirement-status"]
)
def test_operators_read_every_word_of_the_capabilities(words, schema):
    assert words(schema) <= set(WORDS)


def test_everybody_reads_the_capabilities_and_requirements_of_the_examples(description):
    operation = "/paths/~1v2~1capabilities/get/responses/200/content/application~1hal+json/examples"
    capabilities = [
        capability
        for example in at(description.document, operation).values()
        for capability in example["value"]["_embedded"]["capabilities"]
    ]
    requirements = {item["id"] for capability in capabilities for item in capability["requirements"]}
    assert {capability["name"] for capability in capabilities} == set(CAPABILITIES)
    assert requirements == set(REQUIREMENTS)
    assert requirements | set(CAPABILITIES) <= set(WORDS)


def test_words_of_the_token_endpoint(words):
    assert set(Token.Kind.values) == words("oauth-token-type-hint")


@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token", "cake"])
def test_grant_types(words, grant_type):
    try:
        tokens.grant({"grant_type": grant_type})
    except tokens.OAuthRefusalError as refusal:
        is_known = refusal.error != "unsupported_grant_type"
    assert is_known == (grant_type in words("oauth-grant-type"))


def test_limits_of_a_list(description):
    [limit] = [
        parameter
        for parameter in description.parameters(description.operations["list-clients"])
        if parameter["name"] == "limit"
    ]
    assert limit["schema"]["maximum"] == clients.MAX_LIMIT
    assert limit["schema"]["minimum"] == 1
    assert limit["schema"]["example"] == clients.DEFAULT_LIMIT


def test_what_can_be_embedded(description):
    schema = "/paths/~1v2~1clients~1{organizationId}/get/responses/200/content/application~1hal+json/schema"
    embedded = at(description.document, schema)["allOf"][1]["properties"]["_embedded"]["properties"]
    assert set(embedded) == set(clients.EMBEDS) == set(EMBEDDED)
