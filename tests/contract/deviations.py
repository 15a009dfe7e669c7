"""Where we know better than Mollie's OpenAPI description, and from where.

The description names for each operation the statuses of its own examples only, and its enumerations and content types have
gaps. What a row here allows is checked all the same, with the schema that stands in it; a row that a newer description
makes superfluous fails a test.
"""

from __future__ import annotations

from typing import Any

# Where answers of an operation that the description names no status for are documented; "*" is every operation.
HANDLING_ERRORS = "docs.mollie.com/reference/handling-errors"
IDEMPOTENCY = "docs.mollie.com/reference/api-idempotency"
RFC_6749 = "RFC 6749 section 5.2; mollie/mollie-api-python tests/responses/error_bad_request.json"
RFC_6749_CLIENT = "RFC 6749 section 5.2"

UNDESCRIBED_STATUSES: dict[tuple[str, int], str] = {
    ("*", 401): HANDLING_ERRORS,
    ("*", 403): HANDLING_ERRORS,
    ("*", 500): HANDLING_ERRORS,
    ("*", 502): HANDLING_ERRORS,
    ("*", 503): HANDLING_ERRORS,
    ("*", 504): HANDLING_ERRORS,
    # A key that was used for another body; also the answer to Basic credentials.
    ("create-client-link", 400): IDEMPOTENCY,
    ("create-client-link", 409): IDEMPOTENCY,
    ("create-client-link", 415): HANDLING_ERRORS,
    ("oauth-generate-tokens", 400): RFC_6749,
    ("oauth-generate-tokens", 409): IDEMPOTENCY,
    ("oauth-revoke-tokens", 400): RFC_6749,
}

# The token endpoint says no in the words of OAuth, not with Mollie's error object; 429 and 5xx are Mollie's again.
# To a key that was used for another body it answers as every other endpoint does.
OAUTH_OPERATIONS = frozenset({"oauth-generate-tokens", "oauth-revoke-tokens"})
OAUTH_STATUSES = frozenset({400, 401})
OAUTH_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "enum": [
                "invalid_request",
                "invalid_client",
                "invalid_grant",
                "unauthorized_client",
                "unsupported_grant_type",
                "invalid_scope",
                "unsupported_token_type",  # RFC 7009 section 2.2.1
            ]
        },
        "error_description": {"type": "string", "minLength": 1},
        "error_uri": {"type": "string", "format": "uri"},
    },
    "additionalProperties": False,
}

# Content types of a request beside those described, each with the one whose schema it is held against.
# RFC 6749 section 4.1.3 and 6 ask for a form; docs.mollie.com/reference/oauth-generate-tokens takes both, and
# Content-Type says which.
REQUEST_TYPES: dict[tuple[str, str], str] = {
    ("oauth-generate-tokens", "application/x-www-form-urlencoded"): "application/json",
    ("oauth-revoke-tokens", "application/x-www-form-urlencoded"): "application/json",
}

# Enumerations that forget the null which the type beside them allows. docs.mollie.com/reference/get-partner-status
# has null for whoever is no partner.
MISSING_NULLS = (
    "/paths/~1v2~1organizations~1me~1partner/get/responses/200/content/application~1hal+json/schema/properties/partnerType",
)

# The partner's own token has had two names. mollie/openapi, commit d6b5e10 of 2026-05-12, gave it the newer one.
SCHEMES_OF_CALLERS: dict[str, frozenset[str]] = {
    "partner": frozenset({"advancedAccessToken", "organizationAccessToken"}),
    "merchant": frozenset({"oAuth"}),
    "app": frozenset({"basicAuth"}),
}
