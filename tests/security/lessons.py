"""Faults that were really made in comparable software, by number. The test of number 7 is called `test_lessons_7_…`.

Advisories are public; DOT is django-oauth-toolkit. `make test ARGS="--no-cov -k lessons_7_"` runs the tests of one.
`test_lessons.py` compares their names with those of the tests that there are.
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

# The tests of each number, whatever file they are in: none can go, come or be renamed without its line here.
TESTS = {
    1: [
        "test_lessons_1_callback_in_another_browser_is_refused",
        "test_lessons_1_callback_with_the_cookie_of_another_merchant_is_refused",
    ],
    2: ["test_lessons_2_callback_of_an_attacker_in_the_browser_of_a_merchant_connects_nothing"],
    3: ["test_lessons_3_state_that_was_never_made_is_refused"],
    4: ["test_lessons_4_no_cookie_but_the_one_that_was_set_opens_the_callback"],
    5: [
        "test_lessons_5_code_is_exchanged_at_one_place_behind_the_check",
        "test_lessons_5_no_setting_switches_the_check_off",
    ],
    6: ["test_lessons_6_link_opened_in_another_browser_starts_a_new_state"],
    7: [
        "test_lessons_7_nobody_is_found_by_an_email_address",
        "test_lessons_7_same_address_on_two_merchants_connects_one",
    ],
    8: ["test_lessons_8_state_code_and_ids_are_compared_exactly"],
    9: [
        "test_lessons_9_reconnecting_after_a_rename_updates_the_same_row",
        "test_lessons_9_renamed_organization_is_the_same_row",
    ],
    10: ["test_lessons_10_any_changed_character_of_the_state_is_refused"],
    11: ["test_lessons_11_state_that_names_somebody_is_refused"],
    12: ["test_lessons_12_looking_at_every_address_changes_nothing"],
    13: ["test_lessons_13_replay_with_a_new_code_exchanges_nothing"],
    14: ["test_lessons_14_two_tabs_connect_two_merchants"],
    15: [
        "test_lessons_15_code_and_state_are_in_no_page",
        "test_lessons_15_other_error_says_whose_problem_it_is",
    ],
    16: [
        "test_lessons_16_callback_without_a_state_is_refused",
        "test_lessons_16_client_link_authorization_url_without_state",
        "test_lessons_16_plain_authorization_url_without_state",
    ],
    17: [
        "test_lessons_17_next_never_leaves_the_platform",
        "test_lessons_17_return_url_that_is_refused",
    ],
    18: ["test_lessons_18_limit_is_not_fooled_by_a_forwarded_header"],
    19: ["test_lessons_19_limit_counts_an_owner_in_upper_and_lower_case_once"],
    20: ["test_lessons_20_no_log_line_holds_a_secret"],
    21: [
        "test_lessons_21_logs_name_no_person_when_mollie_fails",
        "test_lessons_21_no_log_names_a_person",
    ],
    22: ["test_lessons_22_a_dump_of_the_database_holds_no_secret"],
    23: [
        "test_lessons_23_column_saved_under_a_wrong_key_keeps_its_bytes",
        "test_lessons_23_wrong_key_raises",
    ],
    24: [
        "test_lessons_24_page_moves_on_by_itself_only_after_the_button",
        "test_lessons_24_page_that_is_left_open_presses_nothing",
    ],
    25: ["test_lessons_25_ten_threads_at_expiry_make_one_refresh"],
    26: ["test_lessons_26_refreshed_five_minutes_before_expiry_and_not_earlier"],
    27: ["test_lessons_27_only_invalid_grant_loses_a_connection"],
    28: ["test_lessons_28_create_after_a_lost_answer_takes_the_same_key_and_link"],
    29: [
        "test_lessons_29_client_link_is_redeemed_once_without_a_redirect_uri",
        "test_lessons_29_code_of_another_flow_of_the_same_browser_is_refused_at_mollie",
        "test_lessons_29_code_with_the_state_of_another_browsers_flow_is_refused",
        "test_lessons_29_each_flow_of_one_browser_connects_its_own_merchant",
        "test_lessons_29_plain_authorize_sends_the_same_redirect_uri_twice",
    ],
    30: [
        "test_lessons_30_a_megabyte_is_refused_at_once",
        "test_lessons_30_long_addresses_are_answered_and_change_nothing",
        "test_lessons_30_megabyte_in_a_form_is_never_stored",
        "test_lessons_30_megabyte_in_any_parameter_is_never_stored",
    ],
    31: [
        "test_lessons_31_action_takes_exactly_its_permissions",
        "test_lessons_31_address_takes_exactly_its_permissions",
    ],
    32: [
        "test_lessons_32_csv_neutralises_and_quotes_every_cell",
        "test_lessons_32_formula_is_neutralised",
    ],
    33: [
        "test_lessons_33_comparison_takes_constant_time",
        "test_lessons_33_no_secret_is_compared_by_equality",
        "test_lessons_33_nonce_of_the_form_reaches_the_database_as_a_digest_only",
        "test_lessons_33_reference_is_proven_before_the_database_is_asked",
        "test_lessons_33_state_and_cookie_reach_the_database_as_digests_only",
        "test_lessons_33_state_of_the_way_back_reaches_the_database_as_a_digest_only",
        "test_lessons_33_token_of_the_link_is_proven_before_the_database_is_asked",
    ],
}
