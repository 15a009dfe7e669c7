"""Faults that were really made in comparable software, by number. The test of number 7 is called `test_lessons_7_…`.

Advisories are public; DOT is django-oauth-toolkit. `make test ARGS="--no-cov -k lessons_7_"` runs the tests of one.
"""

from __future__ import annotations

LESSONS = {
    1: "Authlib CVE-2025-68158, CVE-2026-41425: a state that is not tied to the browser links accounts by one click",
    2: "fastapi-users CVE-2025-68481: a correctly signed state of somebody else's was taken",
    3: "fastapi-sso CVE-2025-14546: the state was made, and never stored or compared",
    4: "Langfuse CVE-2025-65107: the same family",
    5: "django-allauth 65.16.1, social-core 5.0.2: providers for which the check was switched off",
    6: "social-core 5.0.0: a mailed link went on with another browser's flow, and was used up by looking at it",
    7: "social-auth-app-django CVE-2025-61783: accounts were linked by the e-mail address",
    8: "social-auth-app-django CVE-2024-32879: ids were compared without regard to case on MySQL",
    9: "django-allauth CVE-2025-65431: the key was a name that its owner can change",
    10: "pretix-payment-fees: the merchant was read from an unsigned state",
    11: "saas-ticketing: the state named the organization, and a literal value replaced the platform's own tokens",
    12: "pretix-payment-fees: GET disconnected",
    13: "pretix-mollie, social-core: the state could be used again",
    14: "pretix-mollie: one flow per session, so two tabs connected the wrong merchant",
    15: "Mollie's partner demo: the code stood in the address of a page",
    16: "mollie-api-python with oauthlib: without a state the check was skipped without a word",
    17: "django-allauth 65.14.1, social-core, django-invitations: open redirects",
    18: "django-allauth 65.14.2: X-Forwarded-For was trusted by a rate limit",
    19: "django-allauth 2020, 2022: a rate limit told upper from lower case in an e-mail address",
    20: "django-allauth 2024: tokens in a repr, in the admin and in logs",
    21: "A platform with client links: the whole body, with personal data, was logged when the API failed",
    22: "DOT before 2.0: secrets in clear in the database",
    23: "django-fernet-encrypted-fields 13, 46: under a wrong key the ciphertext was taken for the text, and saved",
    24: "django-magicauth: a page that waits and then uses up its link by itself",
    25: "DOT 314, 638, 960, 1687: parallel refreshes lost a rotated token",
    26: "pretix-mollie: the comparison with the expiry was the wrong way round",
    27: "A platform with client links: 429 and 5xx counted as the end of the grant",
    28: "mollie-api-python 325, mollie-api-php 642: repeated without an idempotency key, so made twice",
    29: "RFC 9700: codes of another app or flow, and a redirect URI that differs",
    30: "oauthlib CVE-2022-36087, Authlib CVE-2025-61920: input without a bound",
    31: "django-hijack: actions by GET, without a lock or a notice",
    32: "django-import-export: formulas in an export",
    33: "social-auth 1.5.0, pretix: secrets compared in a time that depends on them",
}
