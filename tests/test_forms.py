from __future__ import annotations

import re
import uuid
from datetime import date
from html import unescape

import pytest
from django import forms
from django.template.loader import render_to_string
from django.utils import translation
from django_countries import countries

from mollie_onboarding.enumerations import LEGAL_ENTITIES, LOCALES
from mollie_onboarding.forms import (
    LegalEntityInput,
    SignupForm,
    country_choices,
    default_locale,
    legal_entity_choices,
    locale_choices,
    preset_country,
)
from mollie_onboarding.models import BODY_COLUMNS, ClientLink
from mollie_onboarding.registers import REGISTERS
from tests.conftest import MERCHANT
from tests.pages import Page
from tests.platform_forms import HidesTheOwner, LeavesOutThePostalCode

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


def render(form, **context):
    """The sign-up page around the form."""
    return Page(render_to_string("mollie_onboarding/signup.html", {"form": form, "is_new": True, **context}))


def named(page, name):
    """The field's one tag on the page."""
    [field] = [tag for tag in page.find_all(name=name) if tag.tag in ("input", "select")]
    return field


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


@pytest.mark.parametrize(
    ("language", "country", "locale"),
    [
        ("nl", "BE", "nl_BE"),
        ("de", "AT", "de_AT"),
        ("en", "NL", "en_NL"),
        ("en", "DE", "en_GB"),
        ("fr", "NL", "fr_FR"),
        ("ja", "NL", ""),
    ],
)
def test_default_locale_of_a_country(language, country, locale):
    with translation.override(language):
        assert default_locale(country) == locale
        assert selected(SignupForm(initial={"country": country}), "owner_locale") == [locale]


@pytest.mark.parametrize(
    ("given", "accepted", "country"),
    [
        ("", "nl-NL,nl;q=0.9,en-US;q=0.8", "NL"),
        ("", "de-AT", "AT"),
        ("", "de", ""),
        ("", "de,en;q=0.9,en-gb;q=0.7", "GB"),
        ("", "en-US,en;q=0.9,nl;q=0.8", ""),  # as browsers come, wherever they are
        ("", "en-US,en;q=0.9,nl-BE;q=0.8", "BE"),
        ("", "en-us,pl-PL;q=0.5", "PL"),
        ("", "nl-NL;q=0", ""),
        ("", "de-1996-AT", "AT"),
        ("", "de-DE-u-co-phonebk", "DE"),
        ("", "en-u-ca-nl", ""),
        ("", "x-de-nl", ""),
        ("", "sgn-be-fr", "BE"),
        ("", "en;q=0.9,fr-BE;q=0.5,nl-NL;q=0.8", "NL"),
        ("", "es-419,pt-PT", "PT"),
        ("", "zh-Hant-TW,de-Latn-CH", "CH"),
        ("", "xx-ZZ,sv-FI", "FI"),
        ("", "*", ""),
        ("", "", ""),
        ("", "nonsense;;,=", ""),
        ("de", "nl-NL", "DE"),
        ("FR", "", "FR"),
        ("us", "nl-NL", "US"),
        ("ZZ", "nl-NL", "NL"),
        ("Netherlands", "", ""),
        ("\x00", "", ""),
    ],
)
def test_country_to_begin_with(given, accepted, country):
    assert preset_country(given, accepted) == country
    assert country == "" or country in countries.countries


def test_default_locale_is_for_new_forms_only():
    with translation.override("nl"):
        assert selected(submitted(owner_locale="de_DE"), "owner_locale") == ["de_DE"]
        assert selected(SignupForm(initial={"owner_locale": "fr_BE"}), "owner_locale") == ["fr_BE"]


@pytest.mark.parametrize("country", LEGAL_ENTITIES)
def test_legal_entities_of_a_country(country):
    assert [code for code, name in legal_entity_choices(country)] == ["", *LEGAL_ENTITIES[country], "other"]
    form = submitted(country=country, legal_entity="")
    assert options(form, "legal_entity") == ["", *LEGAL_ENTITIES[country], "other"]


@pytest.mark.parametrize("country", ["US", "", "XX"])
def test_legal_entities_without_a_country_that_has_any(country):
    assert options(submitted(country=country, legal_entity=""), "legal_entity") == ["", "other"]
    assert options(SignupForm(initial={"country": country}), "legal_entity") == ["", "other"]


@pytest.mark.parametrize(
    ("country", "help_text"), [("", "Choose the country to see its legal forms."), ("NL", ""), ("US", "")]
)
def test_legal_entities_need_a_country_first(country, help_text):
    assert SignupForm(initial={"country": country})["legal_entity"].help_text == help_text


@pytest.mark.parametrize(
    ("country", "code", "language"),
    [("NL", "nl-bv", "nl"), ("BE", "be-bv", "nl"), ("CH", "ch-ag", "de"), ("NO", "no-as", "nb")],
)
def test_legal_entities_are_in_the_language_of_their_country(country, code, language):
    field = Page(str(SignupForm(initial={"country": country})["legal_entity"]))

    assert field.find("option", value=code)["lang"] == language
    assert [option["lang"] for option in field.find_all("option") if option["value"] in ("", "other")] == [
        None
    ] * 2


@pytest.mark.parametrize(
    ("country", "code", "name"),
    [
        ("", "nl-bv", "Besloten Vennootschap (BV)"),
        ("XX", "nl-bv", "Besloten Vennootschap (BV)"),
        ("DE", "nl-new-at-mollie", "nl-new-at-mollie"),
        ("NL", "nl-new-at-mollie", "nl-new-at-mollie"),
        ("NL", "<Stichting>", "<Stichting>"),
    ],
)
def test_legal_entity_that_was_posted_is_kept(country, code, name):
    field = Page(str(submitted(country=country, legal_entity=code)["legal_entity"]))

    [option] = [option for option in field.find_all("option") if "selected" in option.attributes]
    assert (unescape(option["value"]), unescape(option.text)) == (code, name)
    assert option["lang"] is None


@pytest.mark.parametrize(
    ("country", "code", "kept"),
    [
        ("NL", "nl-bv", "nl-bv"),
        ("DE", "nl-bv", ""),
        ("US", "nl-bv", ""),
        ("", "nl-bv", "nl-bv"),
        ("DE", "other", "other"),
        ("DE", "nl-new-at-mollie", "nl-new-at-mollie"),
    ],
)
def test_legal_entity_of_another_country_goes_when_the_country_is_changed(country, code, kept):
    form = SignupForm(initial={"country": country, "legal_entity": code})

    assert selected(form, "legal_entity") == [kept]
    assert form.legal_entity == kept


@pytest.mark.parametrize("country", ["DE", "US"])
def test_legal_entity_of_another_country_is_refused(country):
    form = submitted(country=country, legal_entity=" nl-bv ")

    assert form.errors == {"legal_entity": ["Choose a legal form of this country."]}
    assert options(form, "legal_entity") == [code for code, name in legal_entity_choices(country)]
    assert selected(form, "legal_entity") == []
    assert form.legal_entity == ""


def test_legal_entity_of_a_country_that_is_none_is_not_mentioned():
    assert set(submitted(country="XX", legal_entity="nl-bv").errors) == {"country"}
    assert set(submitted(country="", legal_entity="nl-bv").errors) == {"country"}


@pytest.mark.parametrize("code", ["", "nl-bv", "other", "nl-new-at-mollie", "be-new-at-mollie"])
def test_legal_entity_accepted(code):
    form = submitted(legal_entity=code)

    assert form.is_valid()
    assert form.save(commit=False).legal_entity == code


def test_legal_entity_that_can_be_no_code():
    assert set(submitted(legal_entity="Besloten Vennootschap").errors) == {"legal_entity"}


# Fields


@pytest.mark.parametrize(("country", "is_asked"), [("DE", True), ("NL", False), ("AT", False), ("", False)])
def test_registration_office_is_for_germany(country, is_asked):
    for form in (submitted(country=country), SignupForm(initial={"country": country})):
        assert form.needs_registration_office() is is_asked
        assert len(render(form).find_all("input", name="registration_office")) == is_asked


def test_registration_office_of_another_country_is_kept_and_seen():
    form = submitted(registration_office="aachen")

    assert named(render(form), "registration_office")["value"] == "aachen"
    assert form.is_valid()
    assert form.save(commit=False).registration_office == "aachen"


def test_registration_office_that_mollie_misses_is_asked_for():
    form = submitted(country="AT", legal_entity="")
    assert form.is_valid()

    form.add_refusal("registration_office", "It is required")

    assert named(render(form), "registration_office")["aria-invalid"] == "true"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("organization_name", {"autocomplete": "organization", "type": "text", "required": ""}),
        ("country", {"autocomplete": "country", "tag": "select", "required": ""}),
        ("street_and_number", {"autocomplete": "address-line1"}),
        ("postal_code", {"autocomplete": "postal-code"}),
        ("city", {"autocomplete": "address-level2"}),
        ("legal_entity", {"tag": "select"}),
        ("registration_number", {"autocomplete": "off", "type": "text", "spellcheck": "false"}),
        ("vat_number", {"autocomplete": "off", "autocapitalize": "characters", "maxlength": "50"}),
        ("incorporation_date", {"autocomplete": "off", "type": "date"}),
        ("owner_given_name", {"autocomplete": "given-name", "required": "", "spellcheck": "false"}),
        ("owner_family_name", {"autocomplete": "family-name", "required": ""}),
        ("owner_email", {"autocomplete": "email", "inputmode": "email", "type": "email", "maxlength": "254"}),
        ("owner_email", {"autocapitalize": "none", "spellcheck": "false", "enterkeyhint": "go"}),
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


@pytest.mark.parametrize("country", REGISTERS)
def test_numbers_have_the_names_of_the_country(country):
    register = REGISTERS[country]
    form = SignupForm(initial={"country": country})

    for name, label, names, example in (
        ("registration_number", "Registration number", register.registration_number, register.example),
        ("vat_number", "VAT number", register.vat_number, register.vat_example),
    ):
        shown = Page(f"<p>{form[name].label}</p>")
        own_name = names.get("en") or next(iter(names.values()))
        assert unescape(shown.text) in ((own_name,) if "en" in names else (label, f"{label} ({own_name})"))
        assert form[name].help_text == f"For example: {example}"
    expected = "numeric" if register.has_digits_only else None
    assert attributes(form, "registration_number").get("inputmode") == expected
    assert "inputmode" not in attributes(form, "vat_number")


def test_numbers_of_a_merchant_abroad():
    form = submitted(country="BE", legal_entity="")

    shown = Page(f"<p>{form['registration_number'].label}</p>")
    assert shown.text == "Registration number (Ondernemingsnummer)"
    assert shown.find("span")["lang"] == "nl"
    with translation.override("fr"):
        assert submitted(country="BE")["registration_number"].label == "Numéro d'entreprise"


def test_number_of_a_legal_form_with_a_register_of_its_own():
    form = submitted(country="DE", legal_entity="de-verein")

    assert "(Vereinsregisternummer)" in form["registration_number"].label
    assert form["registration_number"].help_text == "For example: VR 1234"


@pytest.mark.parametrize("country", ["", "US"])
def test_numbers_have_general_names_elsewhere(country):
    form = SignupForm(initial={"country": country})

    assert [form[name].label for name in ("registration_number", "vat_number")] == [
        "Registration number",
        "VAT number",
    ]
    assert form["registration_number"].help_text == ""
    assert "inputmode" not in attributes(form, "registration_number")


@pytest.mark.parametrize(("country", "is_helped"), [("", True), ("NL", False), ("IE", False), ("AE", True)])
def test_postal_code_may_be_left_out_where_there_is_none(country, is_helped):
    assert bool(SignupForm(initial={"country": country})["postal_code"].help_text) is is_helped


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
    form = SignupForm(initial={"country": "DE"})

    assert "aachen" in form["registration_office"].help_text
    assert SignupForm()["postal_code"].help_text == "Leave the postal code out if your country has none."


# The page


def test_page_asks_for_the_country_first_and_for_the_person_last():
    names = [
        field["name"] for field in render(SignupForm(initial={"country": "DE"})).find_all() if field["id"]
    ]

    assert [name for name in names if name in BODY_COLUMNS] == [*SignupForm.Meta.fields]


@pytest.mark.parametrize(
    "form", [SignupForm(), SignupForm({}), SignupForm(MERCHANT)], ids=["new", "empty", "full"]
)
def test_page_has_each_id_once_and_each_field_named(form):
    page = render(form)
    ids = [tag["id"] for tag in page.find_all() if tag["id"]]

    assert len(ids) == len(set(ids))
    for field in [*page.find_all("input"), *page.find_all("select")]:
        if field["type"] != "hidden":
            assert page.find("label", **{"for": field["id"]}).text
        for described in (field["aria-describedby"] or "").split():
            assert page.find(id=described).text


def test_page_says_what_may_be_left_out():
    page = render(SignupForm())

    for name in BODY_COLUMNS:
        if name != "registration_office":
            field = named(page, name)
            label = page.find("label", **{"for": field["id"]})
            assert ("required" in field.attributes) is not label.text.endswith("(optional)"), name
    assert "novalidate" in page.find("form").attributes


def test_page_has_what_depends_on_the_country_in_one_part():
    part = render(SignupForm(initial={"country": "DE"})).find("div", id="by-country")

    fields = [field["name"] for field in [*part.find_all("select"), *part.find_all("input")]]
    assert fields == [
        "legal_entity",
        "registration_number",
        "registration_office",
        "vat_number",
        "incorporation_date",
    ]


def test_page_has_a_button_for_the_country():
    [button] = [
        button
        for button in render(SignupForm()).find_all("button")
        if "data-country-button" in button.attributes
    ]

    assert (button["name"], button["value"], button["type"]) == ("choose_country", "1", None)


@pytest.mark.parametrize(
    ("values", "is_open"),
    [
        ({}, [False, False]),
        ({"vat_number": "NL815839091B01"}, [True, False]),
        ({"incorporation_date": "2020-02-29"}, [True, False]),
        ({"incorporation_date": "2020-02-30"}, [True, False]),
        ({"owner_locale": "en_GB"}, [False, False]),
        ({"owner_locale": "en_US"}, [False, False]),
        ({"owner_locale": "nl_NL"}, [False, True]),
        ({"owner_locale": ""}, [False, True]),
    ],
)
def test_page_folds_away_what_few_need(values, is_open):
    values = {"country": "NL", "owner_locale": "en_GB", **values}

    for form in (SignupForm(initial=values), SignupForm(values)):
        page = render(form)
        numbers, at_hand, language = page.find("form").find_all("details")
        assert ["open" in part.attributes for part in (numbers, language)] == is_open
        assert [field["name"] for field in numbers.find_all("input")] == ["vat_number", "incorporation_date"]
        assert [field["name"] for field in language.find_all("select")] == ["owner_locale"]
        assert "open" not in at_hand.attributes


@pytest.mark.parametrize(
    ("column", "part"), [("vat_number", 0), ("incorporation_date", 0), ("owner_locale", 2)]
)
def test_page_opens_the_part_with_an_error(column, part):
    form = SignupForm({**MERCHANT, "vat_number": "", "owner_locale": "en_GB"})
    assert form.is_valid()
    form.add_refusal(column, "It is required")

    page = render(form)

    folded = page.find("form").find_all("details")[part]
    assert "open" in folded.attributes
    assert named(folded, column)["aria-invalid"] == "true"


def test_page_shows_errors_beside_their_fields_and_in_a_summary():
    page = render(submitted(owner_email="jan", city="", registration_number="none"))
    summary = page.find(id="errors")

    assert summary["role"] == "group"
    assert (summary["tabindex"], "autofocus" in summary.attributes) == ("-1", True)
    assert page.find("h2", id=summary["aria-labelledby"]).text == "Please check what is marked below."
    columns = ["registration_number", "city", "owner_email"]
    assert [link["href"] for link in summary.find_all("a")] == [f"#id_{column}" for column in columns]
    for column, entry in zip(columns, summary.find_all("li"), strict=True):
        field = named(page, column)
        assert field["aria-invalid"] == "true"
        error = page.find("ul", id=f"id_{column}_error")
        assert error["id"] in field["aria-describedby"].split()
        assert error.text in entry.text
    assert "aria-invalid" not in named(page, "country").attributes


def test_page_describes_a_field_by_its_help_and_then_its_error():
    page = render(submitted(registration_number="none"))
    field = named(page, "registration_number")

    assert field["aria-describedby"].split() == [
        "id_registration_number_helptext",
        "id_registration_number_error",
    ]
    assert page.find(id="id_registration_number_helptext").text == "For example: 12345678"
    assert named(page, "city")["aria-describedby"] is None


def test_page_shows_errors_of_no_field_and_of_hidden_ones():
    form = submitted(nonce="x" * 65)
    assert not form.is_valid()
    form.add_refusal("", "Size <b>unknown</b>")

    summary = render(form).find(id="errors")

    assert "Mollie says: Size &lt;b&gt;unknown" in str(summary.root)
    assert summary.find_all("a") == []
    assert "at most 64 characters" in summary.text


def test_page_without_errors_has_no_summary():
    page = render(submitted())

    assert page.find_all(id="errors") == []
    assert [tag for tag in page.find_all() if "autofocus" in tag.attributes] == []


def test_page_keeps_values_that_were_sent():
    values = {**MERCHANT, "incorporation_date": "2020-02-29", "city": '"><b>', "owner_email": ""}
    page = render(submitted(**values), is_new=False)

    for name, value in values.items():
        field = named(page, name)
        if field.tag == "select":
            [option] = [option for option in field.find_all("option") if "selected" in option.attributes]
            assert option["value"] == value
        else:
            assert unescape(field["value"] or "") == value
    assert "data-sent-before" in page.find("form").attributes


def test_page_remembers_what_is_typed_into_a_new_form():
    assert "data-sent-before" not in render(SignupForm()).find("form").attributes


class ChoosingForm(SignupForm):
    """A platform's own: one field with several inputs, and without what this platform does not ask for."""

    size = forms.ChoiceField(
        choices=[("s", "Small"), ("l", "Large")], widget=forms.RadioSelect, help_text="Of shoes."
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in ("vat_number", "incorporation_date", "registration_office", "owner_locale"):
            del self.fields[name]


def test_page_of_a_form_of_the_platforms_own():
    page = render(ChoosingForm({**MERCHANT, "size": "xl", "country": "DE", "legal_entity": ""}))

    group = page.find("input", name="size", value="s")
    [fieldset] = [part for part in page.find_all("fieldset") if part["aria-describedby"]]
    assert fieldset.find("legend").text == "Size"
    assert fieldset["aria-describedby"].split() == ["id_size_helptext", "id_size_error"]
    assert "xl is not one" in fieldset.find("ul", id="id_size_error").text
    assert fieldset.find("input", id=group["id"])["name"] == "size"
    summary = page.find(id="errors")
    assert page.find(id=summary.find("a")["href"][1:])
    assert page.find_all("input", name="vat_number") == []
    assert page.find_all("select", name="owner_locale") == []
    assert all("open" not in part.attributes for part in page.find("form").find_all("details"))


@pytest.mark.parametrize("form", [HidesTheOwner(initial=MERCHANT), HidesTheOwner(MERCHANT)])
def test_page_draws_a_field_that_the_platform_hid_once(form):
    page = render(form)

    field = page.find("input", name="owner_email")
    assert (field["type"], field["value"]) == ("hidden", MERCHANT["owner_email"])
    assert page.find_all("label", **{"for": "id_owner_email"}) == []


def test_page_does_not_draw_a_field_that_the_platform_left_out():
    page = render(LeavesOutThePostalCode(MERCHANT))

    shown = [label["for"] for label in page.find_all("label")]
    assert not {"id_postal_code", "id_legal_entity", "", None} & {*shown}
    assert "id_city" in shown


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
        field.attname: getattr(ClientLink(), field.attname)
        for field in ClientLink._meta.fields
        if not field.generated
    }
    for name in set(untouched) - set(BODY_COLUMNS) - {"id", "created_at", "updated_at"}:
        assert getattr(row, name) == untouched[name], name
    assert row.pk != other.pk
    assert set(form.cleaned_data) == {*BODY_COLUMNS, "nonce"}


def test_fields_are_the_body_of_the_request():
    assert sorted(SignupForm.Meta.fields) == sorted(BODY_COLUMNS)  # mass assignment: no column more
    assert set(SignupForm().fields) == {*BODY_COLUMNS, "nonce"}


def test_error_of_a_field_that_is_left_out_is_at_the_top():
    form = LeavesOutThePostalCode({**MERCHANT, "city": ""})

    assert form.errors == {
        "city": ["Enter the city that goes with the street."],
        "__all__": ["Enter the postal code that goes with the street."],
    }


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
