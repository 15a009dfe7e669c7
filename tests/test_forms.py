from __future__ import annotations

import re
import uuid
from datetime import date

import pytest
from django.utils import translation

from mollie_onboarding.enumerations import LEGAL_ENTITIES, LOCALES
from mollie_onboarding.forms import (
    LegalEntityInput,
    SignupForm,
    country_choices,
    default_locale,
    legal_entity_choices,
    locale_choices,
)
from mollie_onboarding.models import BODY_COLUMNS, ClientLink
from tests.conftest import MERCHANT

pytestmark = pytest.mark.django_db


def submitted(**replaced):
    return SignupForm({**MERCHANT, **replaced})


def attributes(form, name):
    """The attributes of a field's first tag. A browser takes the first of two by one name, so none is there twice."""
    [tag] = re.findall(r"^<[^>]+>", str(form[name]))
    pairs = re.findall(r'\s([\w-]+)(?:="([^"]*)")?', tag)
    assert len(pairs) == len(dict(pairs)), tag
    return {"tag": re.match(r"<(\w+)", tag)[1], **dict(pairs)}


def options(form, name):
    return re.findall(r'<option value="([^"]*)"', str(form[name]))


def selected(form, name):
    return re.findall(r'<option value="([^"]*)" selected', str(form[name]))


# Choices


def test_country_is_chosen_by_name():
    form = SignupForm()

    assert attributes(form, "country")["tag"] == "select"
    assert len(options(form, "country")) > 200
    assert options(form, "country")[0] == ""
    assert '<option value="NL">Netherlands</option>' in str(form["country"])


def test_country_is_named_in_the_language_of_the_page():
    with translation.override("nl"):
        assert ("DE", "Duitsland") in country_choices()
        assert ">Duitsland</option>" in str(SignupForm()["country"])


@pytest.mark.parametrize("country", ["NL", "US"])
def test_country_is_kept(country):
    assert selected(submitted(country=country), "country") == [country]
    assert selected(SignupForm(initial={"country": country}), "country") == [country]


@pytest.mark.parametrize("country", ["", "XX", "nl", "Netherlands"])
def test_country_refused(country):
    assert set(submitted(country=country, legal_entity="").errors) == {"country"}


def test_locale_choices_name_language_and_country():
    choices = dict(locale_choices())

    assert list(choices) == ["", *LOCALES]
    assert choices["nl_BE"] == "Nederlands (BE)"
    assert choices["nb_NO"] == "Norsk bokmål (NO)"
    assert options(SignupForm(), "owner_locale") == ["", *LOCALES]


@pytest.mark.parametrize(
    ("locale", "is_valid"), [("", True), ("nl_BE", True), ("nl", False), ("pt_BR", False)]
)
def test_locale_is_one_of_them(locale, is_valid):
    form = submitted(owner_locale=locale)

    assert form.is_valid() is is_valid
    assert set(form.errors) == (set() if is_valid else {"owner_locale"})


@pytest.mark.parametrize(
    ("language", "locale"),
    [
        ("en", "en_GB"),
        ("en-us", "en_GB"),
        ("nl", "nl_NL"),
        ("de", "de_DE"),
        ("fr", "fr_FR"),
        ("pt", "pt_PT"),
        ("da", "da_DK"),
        ("sv", "sv_SE"),
        ("nb", "nb_NO"),
        ("ca", "ca_ES"),
        ("cs", "cs_CZ"),
        ("ja", ""),
        (None, ""),
    ],
)
def test_default_locale(language, locale):
    with translation.override(language):
        assert default_locale() == locale
        assert selected(SignupForm(), "owner_locale") == [locale]


def test_default_locale_is_for_new_forms_only():
    with translation.override("nl"):
        assert selected(submitted(owner_locale="de_DE"), "owner_locale") == ["de_DE"]
        assert selected(SignupForm(initial={"owner_locale": "fr_BE"}), "owner_locale") == ["fr_BE"]


@pytest.mark.parametrize("country", LEGAL_ENTITIES)
def test_legal_entities_of_a_country(country):
    assert [code for code, name in legal_entity_choices(country)] == ["", *LEGAL_ENTITIES[country], "other"]
    assert options(submitted(country=country), "legal_entity") == ["", *LEGAL_ENTITIES[country], "other"]


def test_legal_entities_of_a_country_without_any():
    assert options(submitted(country="US"), "legal_entity") == ["", "other"]


@pytest.mark.parametrize(("language", "first"), [("en", "Austria"), ("nl", "België")])
def test_legal_entities_of_all_countries(language, first):
    with translation.override(language):
        empty, *groups, other = legal_entity_choices()

    assert (empty[0], other[0]) == ("", "other")
    assert [name for name, entities in groups] == sorted(name for name, entities in groups)
    assert groups[0][0] == first
    assert sum(len(entities) for name, entities in groups) == 207
    assert len(options(SignupForm(), "legal_entity")) == 209


@pytest.mark.parametrize("code", ["", "nl-bv", "be-bv", "other", "nl-new-at-mollie"])
def test_legal_entity_accepted(code):
    form = submitted(legal_entity=code)

    assert form.is_valid()
    assert form.save(commit=False).legal_entity == code


def test_legal_entity_that_can_be_no_code():
    assert set(submitted(legal_entity="Besloten Vennootschap").errors) == {"legal_entity"}


# Fields


@pytest.mark.parametrize(("country", "is_hidden"), [("DE", False), ("NL", True), ("AT", True), ("", False)])
def test_registration_office_is_for_germany(country, is_hidden):
    for form in (submitted(country=country), SignupForm(initial={"country": country})):
        assert form["registration_office"].is_hidden is is_hidden


def test_registration_office_hidden_is_kept():
    form = submitted(registration_office="aachen")

    assert attributes(form, "registration_office")["value"] == "aachen"
    assert form.save(commit=False).registration_office == "aachen"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("organization_name", {"autocomplete": "organization", "type": "text", "required": ""}),
        ("country", {"autocomplete": "country", "tag": "select", "required": ""}),
        ("street_and_number", {"autocomplete": "address-line1"}),
        ("postal_code", {"autocomplete": "postal-code"}),
        ("city", {"autocomplete": "address-level2"}),
        ("legal_entity", {"tag": "select"}),
        ("registration_number", {"autocomplete": "off", "type": "text"}),
        ("vat_number", {"autocomplete": "off", "autocapitalize": "characters"}),
        ("incorporation_date", {"autocomplete": "off", "type": "date"}),
        ("owner_given_name", {"autocomplete": "given-name", "required": ""}),
        ("owner_family_name", {"autocomplete": "family-name", "required": ""}),
        ("owner_email", {"autocomplete": "email", "inputmode": "email", "type": "email", "maxlength": "254"}),
        ("owner_locale", {"autocomplete": "language", "tag": "select"}),
        ("nonce", {"type": "hidden"}),
    ],
)
def test_attributes(name, expected):
    found = attributes(SignupForm(), name)

    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize("name", ["street_and_number", "legal_entity", "owner_locale", "incorporation_date"])
def test_attributes_of_what_may_be_left_out(name):
    assert "required" not in attributes(SignupForm(), name)


@pytest.mark.parametrize("language", ["en", "nl", "de"])
def test_incorporation_date_is_iso_in_every_language(language):
    # An input of the type date takes and sends nothing else.
    with translation.override(language):
        form = SignupForm(initial={"incorporation_date": date(2020, 2, 29)})
        assert attributes(form, "incorporation_date")["value"] == "2020-02-29"
        form = submitted(incorporation_date="2020-02-29")
        assert form.is_valid()
        assert form.save(commit=False).incorporation_date == date(2020, 2, 29)


def test_labels_are_those_of_the_columns():
    for name in BODY_COLUMNS:
        column = ClientLink._meta.get_field(name).verbose_name
        assert str(SignupForm().fields[name].label).casefold() == str(column).casefold()


def test_legal_entity_input_suggests_and_takes_any():
    html = LegalEntityInput({"class": "vTextField"}).render(
        "legal_entity", '"><b>', {"id": "id_legal_entity"}
    )

    [tag, *suggestions] = re.findall(r"<(?:input|option)[^>]*>", html)
    assert 'list="legal_entity_suggestions"' in tag
    assert 'class="vTextField"' in tag
    assert 'id="id_legal_entity"' in tag
    assert 'value="&quot;&gt;&lt;b&gt;"' in tag
    assert '<datalist id="legal_entity_suggestions">' in html
    assert len(suggestions) == 207
    assert '<option value="nl-bv">Besloten Vennootschap (BV)</option>' in html
    assert "<option" in LegalEntityInput().render("legal_entity", None)


def test_help_texts():
    form = SignupForm()

    assert "aachen" in form["registration_office"].help_text
    assert form["postal_code"].help_text == "Leave the postal code out if your country has none."


# Cleaning


def test_form_is_saved():
    form = submitted()

    assert form.is_valid(), form.errors
    row = form.save()
    row.refresh_from_db()
    assert {name: getattr(row, name) for name in MERCHANT} == MERCHANT
    assert row.status == ClientLink.Status.DRAFT


def test_form_normalises():
    form = submitted(
        organization_name="  Bakkerij  ", vat_number=" nl 8158.39091 b01 ", owner_email=" a@b.example "
    )

    assert form.is_valid(), form.errors
    row = form.save(commit=False)
    assert (row.organization_name, row.vat_number) == ("Bakkerij", "NL8158.39091B01")
    assert row.owner_email == "a@b.example"


def test_form_needs_owner_organization_and_country():
    assert set(SignupForm({}).errors) == {
        "organization_name",
        "country",
        "owner_email",
        "owner_given_name",
        "owner_family_name",
    }


@pytest.mark.parametrize(
    ("replaced", "column"),
    [
        ({"city": ""}, "city"),
        ({"postal_code": ""}, "postal_code"),
        ({"vat_number": "none"}, "vat_number"),
        ({"registration_number": "none"}, "registration_number"),
        ({"incorporation_date": "0202-01-01"}, "incorporation_date"),
        ({"incorporation_date": "9999-01-01"}, "incorporation_date"),
        ({"incorporation_date": "2020-02-30"}, "incorporation_date"),
        ({"owner_email": "jan"}, "owner_email"),
        ({"owner_given_name": "x" * 101}, "owner_given_name"),
        ({"organization_name": " "}, "organization_name"),
        ({"organization_name": "a\x00b"}, "organization_name"),
        ({"nonce": "x" * 65}, "nonce"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value}"[:40],
)
def test_error_is_at_its_field(replaced, column):
    form = submitted(**replaced)

    assert set(form.errors) == {column}
    assert len(form.errors[column]) == 1


def test_form_takes_no_column_more(operator, make_client_link):
    other = make_client_link(reference="other")
    now = "2026-10-01T12:00:00Z"
    forged = {
        "id": str(other.pk),
        "pk": str(other.pk),
        "reference": "forged",
        "user": str(operator.pk),
        "user_id": str(operator.pk),
        "created_by": str(operator.pk),
        "status": "connected",
        "problem": "mail_failed",
        "organization": "1",
        "organization_id": "1",
        "mollie_id": "cl_forged",
        "url": "https://evil.example/",
        "issued_at": now,
        "expires_at": now,
        "link_generation": "9",
        "link_expires_at": now,
        "idempotency_key": str(uuid.uuid4()),
        "submission_digest": "0" * 64,
        "identity_check": "matches",
        "send_requested_at": now,
        "delivery_status": "sent",
    }
    form = submitted(**forged)

    assert form.is_valid()
    row = form.save()

    untouched = {
        name: getattr(ClientLink(), name) for name in (field.attname for field in ClientLink._meta.fields)
    }
    for name in set(untouched) - set(BODY_COLUMNS) - {"id", "created_at", "updated_at"}:
        assert getattr(row, name) == untouched[name], name
    assert row.pk != other.pk
    assert set(form.cleaned_data) == {*BODY_COLUMNS, "nonce"}


def test_fields_are_the_body_of_the_request():
    assert set(SignupForm().fields) == {*BODY_COLUMNS, "nonce"}


# Mollie's refusal


@pytest.mark.parametrize("column", BODY_COLUMNS)
def test_refusal_at_its_field(column):
    form = submitted()
    assert form.is_valid()

    form.add_refusal(column, "The value is 100% wrong.")

    assert form.errors == {column: ["Mollie says: The value is 100% wrong."]}


@pytest.mark.parametrize("column", ["", "status", "reference", "__all__"])
def test_refusal_at_the_top(column):
    form = submitted()
    assert form.is_valid()

    form.add_refusal(column, "The account is suspended")

    assert form.non_field_errors() == ["Mollie says: The account is suspended"]
    assert set(form.errors) == {"__all__"}


def test_refusal_is_escaped():
    form = submitted()

    form.add_refusal("", "<script>alert(1)</script>")

    assert "<script>" not in str(form.non_field_errors())
    assert "&lt;script&gt;" in str(form.non_field_errors())
